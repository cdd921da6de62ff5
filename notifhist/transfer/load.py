"""Load files of records: each is checked whole, then stored in batches; nothing stored is changed."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Protocol

from notifhist.clock import Clock
from notifhist.store.bulk import (
    ItemRow,
    Row,
    RunRow,
    Stored,
    find_item_conflicts,
    find_run_conflicts,
    store_items,
    store_runs,
)
from notifhist.store.database import Database
from notifhist.store.staging import BATCH, Sound
from notifhist.transfer.files import SUFFIXES, BadRecord, Place, Record, place_of, read_records
from notifhist.transfer.rows import Prepared, prepare
from notifhist.transfer.workers import Workers, is_large

_CHECKED_TOGETHER = 100
"""Records of a document, or of a small file of lines."""


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
    workers: Workers | None = None
    """Check large files, if there are any; else it is done here."""
    stored: int = 0
    present: int = 0
    bad: list[str] = field(default_factory=list)
    """Each as `file:line: problem`."""

    def load(self, source: Source, *, skip_bad: bool = False) -> None:
        """Check a file and store it, unless it has bad records and they are not to be skipped."""
        with closing(Sound()) as sound:
            bad = [record for some in self._prepared(source) for record in self._check(some, sound)]
            for record in sorted(bad, key=attrgetter("line")):
                self._add_bad(source, record.line, record.problem)
            if bad and not skip_bad:
                self.report(0, expected=-sound.count)
            else:
                for batch in sound.batches():
                    self._store(source, batch)

    def store(self, source: Source, records: Iterable[Record]) -> None:
        """Store records in batches; those that are there already stay as they are."""
        remaining = iter(records)
        while some := list(islice(remaining, BATCH)):
            prepared = prepare(some, self.clock.now_ms())
            self._store(source, [*prepared.items, *prepared.runs])

    def _prepared(self, source: Source) -> Iterator[Prepared]:
        now_ms = self.clock.now_ms()
        if self.workers is not None and is_large(source.path):
            yield from self.workers.prepare_file(source.path, now_ms)
            return
        records = read_records(source.path, source.place)
        while some := list(islice(records, _CHECKED_TOGETHER)):
            yield prepare(some, now_ms)

    def _check(self, prepared: Prepared, sound: Sound) -> Iterator[BadRecord]:
        """Put sound records aside; yield those that do not fit, or contradict what is there or each other."""
        before = sound.count
        yield from prepared.bad
        rows: list[Row] = [*prepared.items, *prepared.runs]
        conflicts = find_item_conflicts(self.db, prepared.items) + find_run_conflicts(self.db, prepared.runs)
        sound_rows = []
        for row, is_conflict in zip(rows, conflicts, strict=True):
            if is_conflict:
                yield BadRecord(row.line, _is_there(row))
            else:
                sound_rows.append(row)
        for row, line in sound.add(sound_rows):
            yield BadRecord(row.line, f"{row.name} is in line {line} already, with other content.")
        self.report(0, expected=sound.count - before)

    def _store(self, source: Source, rows: Sequence[Row]) -> None:
        items = [row for row in rows if isinstance(row, ItemRow)]
        by_tenant: dict[str, list[RunRow]] = {}
        for row in rows:
            if isinstance(row, RunRow):
                by_tenant.setdefault(row.tenant, []).append(row)
        if items:
            with self.db.turn():
                stored = store_items(self.db, items, self.clock.now_ticks())
            self._count(source, items, stored)
        for tenant, runs in by_tenant.items():
            with self.db.turn():
                stored = store_runs(self.db, tenant, runs)
            self._count(source, runs, stored)

    def _count(self, source: Source, rows: Sequence[Row], stored: Stored) -> None:
        done = len(rows) - len(stored.conflicts)
        for row in stored.conflicts:  # somebody has recorded it otherwise since it was checked
            self._add_bad(source, row.line, _is_there(row))
        self.stored += stored.created
        self.present += done - stored.created
        self.report(done)

    def _add_bad(self, source: Source, line: int, problem: str) -> None:
        self.bad.append(f"{source.path}:{line}: {problem}")


def _is_there(row: Row) -> str:
    return f"{row.name} is there already, with other content."
