"""What a data set holds, where in it to ask, and how it gets into a store."""

import hashlib
import random
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from typing import NamedTuple, Protocol

from notifhist.store.runs.recording import record_runs

from bench.documents import Items
from bench.documents import runs as make_runs
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS, parse_instant
from notifhist.schemas.query import AlarmPath, CheckPath
from notifhist.schemas.runs import RUN
from notifhist.store.database import Database
from notifhist.store.history.recording import record_items

TENANT = "bench"
MS_PER_DAY = 86_400_000
BIG_ALARM = AlarmPath(TENANT, "enBig", "alBig")
HISTORY_DAYS = 25
"""Over how many days items are spread; a service keeps 30, so a data set serves for some days."""
RUN_DAYS = 365
_SLICES = 5
"""In how many parts the days go by: in each, every check gets its items, so that the series interleave."""
_BATCH = 1000

Report = Callable[[int], None]
"""Is told how many more records are stored."""


class Series(NamedTuple):
    """A check and how many items it has."""

    check: CheckPath
    items: int


class Place(NamedTuple):
    """An item of a check: what a page starts from."""

    check: CheckPath
    item_id: str


@dataclass(frozen=True)
class DataSet:
    """How much there is of what."""

    series: tuple[Series, ...]
    runs: int
    item_bytes: int

    @property
    def items(self) -> int:
        """How many items there are in all."""
        return sum(series.items for series in self.series)

    def digest(self) -> str:
        """Return a name for these parameters."""
        parameters = repr([[*vars(check).values(), items] for check, items in self.series])
        return hashlib.sha256(f"{parameters} {self.runs} {self.item_bytes}".encode()).hexdigest()[:12]


def even(checks: int, items: int, runs: int, item_bytes: int = 2000) -> DataSet:
    """Return a data set of `checks` checks with `items` items each, two checks to an alarm."""
    series = tuple(Series(_check(n), items) for n in range(checks))
    return DataSet(series, runs, item_bytes)


def grown(items: int, runs: int, item_bytes: int) -> DataSet:
    """Return the data set of a size, such that only what grows in real life grows with it.

    A history grows in two ways: there come more checks, and what a check has becomes more. Four fifths of
    the items are in checks of 2000 items, of which there are more and more; one fifth is in the four checks of
    BIG_ALARM, which become longer and longer. So each page that is asked for is as full at every size, and
    places spread evenly over all items lie in long series as well as in many.
    """
    big = items // 20
    checks = max(1, round((items - 4 * big) / 2000))
    alarm = vars(BIG_ALARM)
    series = [Series(CheckPath(**alarm, check_id=f"chBig{n}"), big) for n in range(4)]
    ends = [(items - 4 * big) * (n + 1) // checks for n in range(checks)]
    series += [Series(_check(n), end - start) for n, (start, end) in enumerate(pairwise([0, *ends]))]
    return DataSet(tuple(series), runs, item_bytes)


def _check(number: int) -> CheckPath:
    return CheckPath(TENANT, f"en{number // 4:05d}", f"al{number // 2:05d}", f"ch{number:05d}")


def spread(data_set: DataSet, number: int, limit: int) -> list[tuple[int, int]]:
    """Return up to `number` places, as index of the series and position in it, evenly spread over all items.

    At each a full page of `limit` items begins that is not the last of its series, if that is long enough.
    """
    ends = list(accumulate(series.items for series in data_set.series))
    places = []
    for n in range(number):
        at = (2 * n + 1) * ends[-1] // (2 * number)
        index = bisect_right(ends, at)
        items = data_set.series[index].items
        places.append((index, min(at - ends[index] + items, max(0, items - limit - 1))))
    return list(dict.fromkeys(places))


class Sink(Protocol):
    """Where records go."""

    def add_items(self, check: CheckPath, documents: Sequence[Document]) -> None:
        """Store items of a check."""

    def add_runs(self, documents: Sequence[Document]) -> None:
        """Store runs, given as a client sends them."""


class ServiceStore:
    """The service's own store, written by its own functions."""

    def __init__(self, db: Database, now_ms: int) -> None:
        self._db, self._now_ms = db, now_ms

    def add_items(self, check: CheckPath, documents: Sequence[Document]) -> None:
        """Store items of a check."""
        record_items(self._db, check, documents, self._now_ms * TICKS_PER_MS)

    def add_runs(self, documents: Sequence[Document]) -> None:
        """Store runs, given as a client sends them."""
        record_runs(self._db, TENANT, [loaded_run(document) for document in documents], self._now_ms)


_RUN_NAMES = {field.data_key or name: name for name, field in RUN.fields.items()}


def loaded_run(document: Document) -> Document:
    """Return what RUN.load returns of a valid run, in a hundredth of the time."""
    run = {_RUN_NAMES[name]: value for name, value in document.items()}
    for name in ("date_created", "date_updated"):
        run[name] = parse_instant(run[name])
    return run


class Batch(NamedTuple):
    """Items of one series that follow each other, and the position of the first."""

    series: int
    first: int
    documents: list[Document]


def item_batches(data_set: DataSet, now_ms: int) -> Iterator[Batch]:
    """Yield all items, each series oldest first, evenly spread over the days before `now_ms`."""
    rng = random.Random(1)
    make = Items(rng, data_set.item_bytes)
    span = HISTORY_DAYS * MS_PER_DAY * TICKS_PER_MS
    start = now_ms * TICKS_PER_MS - span
    for part in range(_SLICES):
        for index, (_, items) in enumerate(data_set.series):
            end = items * (part + 1) // _SLICES
            for first in range(items * part // _SLICES, end, _BATCH):
                positions = range(first, min(first + _BATCH, end))
                documents = [make.at(start + int((at + rng.random()) * span / items)) for at in positions]
                yield Batch(index, first, documents)


def fill(
    data_set: DataSet, sinks: Sequence[Sink], now_ms: int, wanted: set[tuple[int, int]], report: Report
) -> dict[tuple[int, int], str]:
    """Store all records in every sink; return the ids of the items at the `wanted` places (see `spread`)."""
    ids = {}
    for index, first, documents in item_batches(data_set, now_ms):
        for sink in sinks:
            sink.add_items(data_set.series[index].check, documents)
        for position, document in enumerate(documents, first):
            if (index, position) in wanted:
                ids[index, position] = document["id"]
        report(len(documents))
    made = make_runs(random.Random(2), data_set.runs, now_ms - RUN_DAYS * MS_PER_DAY, now_ms)
    while some := list(islice(made, _BATCH)):
        for sink in sinks:
            sink.add_runs(some)
        report(len(some))
    return ids
