"""Load files of records: each is checked whole, then stored in batches; nothing stored is changed."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Protocol

import orjson

from notifhist.bulk.records import SUFFIXES, BadRecord, Place, Record, Tenant, place_of, read_records
from notifhist.clock import Clock
from notifhist.database import Database
from notifhist.errors import ApiError
from notifhist.queries import history, runs
from notifhist.queries.same import same_json
from schemas.document import Document
from schemas.query import CheckPath

BATCH = 500
"""Records that become durable together."""


class Report(Protocol):
    """Is told how many records are done (durable, if they are stored), and how many more are to be."""

    def __call__(self, done: int, expected: int = 0) -> None:
        """Take note."""


def _silent(done: int, expected: int = 0) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Source:
    """A file to load and where its records belong, if the file does not say so itself."""

    path: Path
    place: Place | None


def find_sources(paths: Sequence[Path], place: Place | None) -> Iterator[Source]:
    """Yield the files to load. Of a folder, those that lie as the URLs do (or all, if `place` is given)."""
    for path in paths:
        if not path.is_dir():
            yield Source(path, place or place_of(path))
            continue
        for inner in sorted(path.rglob("*")):
            found = place or place_of(inner)
            if (
                inner.is_file()
                and inner.suffix in SUFFIXES
                and (found or inner.suffix not in (".json", ".xml"))
            ):
                yield Source(inner, found)


@dataclass
class Loader:
    """Loads files, and keeps count: of records stored, of those that were there already, and of bad ones."""

    db: Database
    clock: Clock
    report: Report = _silent
    stored: int = 0
    present: int = 0
    bad: list[str] = field(default_factory=list)
    """Each as `file:line: problem`."""

    def load(self, source: Source, *, skip_bad: bool = False) -> None:
        """Check a file and store it, unless it has bad records and they are not to be skipped."""
        with closing(_Sound()) as sound:
            bad = sorted(self._check(source, sound), key=attrgetter("line"))
            for record in bad:
                self._add_bad(source, record.line, record.problem)
            if bad and not skip_bad:
                self.report(0, expected=-sound.count)
            else:
                self.store(source, sound.records())

    def store(self, source: Source, records: Iterator[Record]) -> None:
        """Store records in batches; those that are there already stay as they are."""
        while batch := list(islice(records, BATCH)):
            for place, some in _by_place(batch):
                self._store(source, place, some)

    def _check(self, source: Source, sound: "_Sound") -> Iterator[BadRecord]:
        """Put sound records aside; yield those that do not fit, or contradict what is there or each other."""
        records = read_records(source.path, source.place)
        while batch := list(islice(records, BATCH)):
            before = sound.count
            yield from (record for record in batch if isinstance(record, BadRecord))
            for place, some in _by_place(record for record in batch if isinstance(record, Record)):
                conflicts = _find_conflicts(self.db, place, [record.document for record in some])
                for record, is_conflict in zip(some, conflicts, strict=True):
                    name = f"{record.document['id']} is"
                    if is_conflict:
                        yield BadRecord(record.line, f"{name} there already, with other content.")
                    elif line := sound.add(record):
                        yield BadRecord(record.line, f"{name} in line {line} already, with other content.")
            self.report(0, expected=sound.count - before)

    def _store(self, source: Source, place: Place, records: list[Record]) -> None:
        try:
            with self.db.turn():
                created = _record(self.db, place, [record.document for record in records], self.clock)
        except ApiError as error:
            if len(records) > 1:  # somebody has just recorded one of them otherwise: find out which
                for record in records:
                    self._store(source, place, [record])
            else:
                self._add_bad(source, records[0].line, str(error))
            return
        self.stored += created
        self.present += len(records) - created
        self.report(len(records))

    def _add_bad(self, source: Source, line: int, problem: str) -> None:
        self.bad.append(f"{source.path}:{line}: {problem}")


class _Sound:
    """The sound records of a file; on disk, so that memory stays flat however large the file."""

    def __init__(self) -> None:
        self.count = 0
        self._db = sqlite3.connect("", isolation_level=None)  # a temporary file
        self._db.execute("CREATE TABLE record (id TEXT, line INTEGER, place BLOB, document BLOB)")
        self._db.execute("CREATE INDEX by_id ON record (id, place)")

    def add(self, record: Record) -> int | None:
        """Add a record; or return the line of an earlier one that has its id and other content."""
        item_id, place = str(record.document["id"]), orjson.dumps(list(vars(record.place).values()))
        earlier = "SELECT line, document FROM record WHERE id = ? AND place = ? LIMIT 1"
        for line, document in self._db.execute(earlier, (item_id, place)):
            if not same_json(orjson.loads(document), record.document):
                return int(line)
        row = (item_id, record.line, place, orjson.dumps(record.document))
        self._db.execute("INSERT INTO record VALUES (?, ?, ?, ?)", row)
        self.count += 1
        return None

    def records(self) -> Iterator[Record]:
        """Yield the records in the order in which they were added."""
        rows = self._db.execute("SELECT line, place, document FROM record ORDER BY rowid")
        for line, place, document in rows:
            ids = orjson.loads(place)
            yield Record(line, Tenant(*ids) if len(ids) == 1 else CheckPath(*ids), orjson.loads(document))

    def close(self) -> None:
        """Remove what was kept."""
        self._db.close()


def _by_place(records: Iterable[Record]) -> Iterable[tuple[Place, list[Record]]]:
    by_place: dict[Place, list[Record]] = {}
    for record in records:
        by_place.setdefault(record.place, []).append(record)
    return by_place.items()


def _find_conflicts(db: Database, place: Place, documents: list[Document]) -> list[bool]:
    """Return of each of the documents whether it is there with other content."""
    if isinstance(place, Tenant):
        return runs.find_conflicts(db, place.tenant, documents)
    return history.find_conflicts(db, place, documents)


def _record(db: Database, place: Place, documents: list[Document], clock: Clock) -> int:
    """Record documents; return how many were not there before."""
    if isinstance(place, Tenant):
        return runs.record_runs(db, place.tenant, documents, clock.now_ms())[1]
    return history.record_items(db, place, documents, clock.now_ticks()).created
