"""Load files of records: each is checked whole, then stored in batches; nothing stored is changed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path

from notifhist.bulk.records import SUFFIXES, BadRecord, Place, Record, Tenant, place_of, read_records
from notifhist.clock import Clock
from notifhist.database import Database
from notifhist.errors import ApiError
from notifhist.queries import history, runs

BATCH = 500
"""Records that become durable together."""

Report = Callable[[int], None]


@dataclass(frozen=True)
class Source:
    """A file to load and where its records belong, if the file does not say so itself."""

    path: Path
    place: Place | None


@dataclass
class Outcome:
    """What became of the files: counts of records, and each bad one as `file:line: problem`."""

    stored: int = 0
    present: int = 0
    bad: list[str] = field(default_factory=list)

    def add_bad(self, source: Source, record: BadRecord) -> None:
        """Note a bad record."""
        self.bad.append(f"{source.path}:{record.line}: {record.problem}")


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


def load_file(
    db: Database, source: Source, clock: Clock, outcome: Outcome, *, skip_bad: bool, report: Report
) -> None:
    """Check a file and store it, unless it has bad records and they are not to be skipped.

    `report` is called with the number of records of each batch that has become durable.
    """
    before = len(outcome.bad)
    for record in read_records(source.path, source.place):
        if isinstance(record, BadRecord):
            outcome.add_bad(source, record)
    if len(outcome.bad) > before and not skip_bad:
        return
    sound = (each for each in read_records(source.path, source.place) if isinstance(each, Record))
    store(db, source, sound, clock, outcome, report)


def store(
    db: Database, source: Source, records: Iterator[Record], clock: Clock, outcome: Outcome, report: Report
) -> None:
    """Store records in batches; those that are there already stay as they are."""
    for place, group in groupby(records, key=lambda record: record.place):
        while batch := list(islice(group, BATCH)):
            _store_batch(db, source, place, batch, clock, outcome)
            report(len(batch))


def _store_batch(
    db: Database, source: Source, place: Place, batch: list[Record], clock: Clock, outcome: Outcome
) -> None:
    try:
        created = _record(db, place, batch, clock)
    except ApiError as error:
        if len(batch) > 1:  # one of them contradicts what is there: find out which
            for record in batch:
                _store_batch(db, source, place, [record], clock, outcome)
        else:
            problem = f"{error.message} {error.details}".strip()
            outcome.add_bad(source, BadRecord(batch[0].line, problem))
        return
    outcome.stored += created
    outcome.present += len(batch) - created


def _record(db: Database, place: Place, batch: list[Record], clock: Clock) -> int:
    documents = [record.document for record in batch]
    if isinstance(place, Tenant):
        return runs.record_runs(db, place.tenant, documents, clock.now_ms())[1]
    return history.record_items(db, place, documents, clock.now_ticks()).created
