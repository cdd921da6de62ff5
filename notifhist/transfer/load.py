"""Load files of records: each is checked whole, then stored in batches; nothing stored is changed."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Protocol

from notifhist.clock import Clock
from notifhist.store.database import Database
from notifhist.store.recording import Draft, Recorder, record
from notifhist.store.staging import BATCH_RECORDS, Line, Staging
from notifhist.transfer.drafts import Drafted, make_drafts
from notifhist.transfer.files import SUFFIXES, BadRecord, Destination, Record, destination_of, read_records
from notifhist.transfer.workers import Workers, is_large

_CHECKED_TOGETHER = 100
"""Records of a document, or of a small file of lines, that one query looks for."""


class Report(Protocol):
    """The callback for progress: `done` records are finished (durable, if stored), `expected` more are announced."""

    def __call__(self, done: int, expected: int = 0) -> None:
        """Take note."""


def _silent(done: int, expected: int = 0) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Source:
    """A file to load and where its records belong, if the file does not say so itself."""

    path: Path
    destination: Destination | None


def find_sources(paths: Sequence[Path], destination: Destination | None) -> Iterator[Source]:
    """Yield the files to load. In a folder: files laid out like the URLs (or all, if `destination` is given)."""
    for path in paths:
        if not path.is_dir():
            yield Source(path, destination or destination_of(path))
            continue
        for inner in sorted(path.rglob("*")):
            found = destination or destination_of(inner)
            if inner.is_file() and inner.suffix in SUFFIXES and (found or inner.suffix not in (".json", ".xml")):
                yield Source(inner, found)


@dataclass
class Loader:
    """Loads files, and keeps count: of records stored, of those that were there already, and of bad ones."""

    db: Database
    clock: Clock
    report: Report = _silent
    workers: Workers | None = None
    """The processes that check large files; None: this process checks them."""
    stored: int = 0
    present: int = 0
    bad: list[str] = field(default_factory=list)
    """Each as `file:line: problem`."""

    def load(self, source: Source, *, skip_bad: bool = False) -> None:
        """Check a file and store it, unless it has bad records and they are not to be skipped."""
        with closing(Staging()) as staging:
            bad = [each for some in self._drafted(source) for each in self._check(some, staging)]
            for each in sorted(bad, key=attrgetter("line")):
                self._add_bad(source, each.line, each.problem)
            if bad and not skip_bad:
                self.report(0, expected=-staging.count)
            else:
                for batch in staging.batches():
                    self._store(source, batch)

    def store(self, source: Source, records: Iterable[Record]) -> None:
        """Store records in batches; those that are there already stay as they are."""
        remaining = iter(records)
        while some := list(islice(remaining, BATCH_RECORDS)):
            self._store(source, make_drafts(some, self.clock.now_ticks()).lines)

    def _drafted(self, source: Source) -> Iterator[Drafted]:
        now_ticks = self.clock.now_ticks()
        if self.workers is not None and is_large(source.path):
            yield from self.workers.draft_file(source.path, now_ticks)
            return
        records = read_records(source.path, source.destination)
        while some := list(islice(records, _CHECKED_TOGETHER)):
            yield make_drafts(some, now_ticks)

    def _check(self, drafted: Drafted, staging: Staging) -> Iterator[BadRecord]:
        """Stage valid records; yield bad ones, and those that conflict with a stored or an earlier record."""
        before = staging.count
        yield from drafted.bad
        by_recorder: dict[Recorder, list[Line]] = {}
        for line in drafted.lines:
            by_recorder.setdefault(line[1].recorder, []).append(line)
        valid: list[Line] = []
        for recorder, lines in by_recorder.items():
            stored = recorder.find(self.db, [draft for _, draft in lines])
            for (number, draft), document in zip(lines, stored, strict=True):
                if document is None or draft.equals(document):
                    valid.append((number, draft))
                else:
                    yield BadRecord(number, _is_there(draft))
        for (number, draft), earlier in staging.add(valid):
            yield BadRecord(number, f"{draft.name} is in line {earlier} already, with other content.")
        self.report(0, expected=staging.count - before)

    def _store(self, source: Source, lines: Sequence[Line]) -> None:
        with self.db.pausing_after():
            drafts = [draft for _, draft in lines]
            recorded = record(self.db, drafts, self.clock.now_ticks(), skip_conflicts=True)
        number_of = {id(draft): number for number, draft in lines}
        for draft in recorded.conflicts:  # recorded by others, with other content, since it was checked
            self._add_bad(source, number_of[id(draft)], _is_there(draft))
        done = len(lines) - len(recorded.conflicts)
        self.stored += recorded.created
        self.present += done - recorded.created
        self.report(done)

    def _add_bad(self, source: Source, line: int, problem: str) -> None:
        self.bad.append(f"{source.path}:{line}: {problem}")


def _is_there(draft: Draft) -> str:
    return f"{draft.name} is there already, with other content."
