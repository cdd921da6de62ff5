"""Totals of runs, and the way to a run of any position or date, from the counts that `run_counts` keeps."""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from notifhist.database import Database
from notifhist.queries.run_counts import SHIFTS, TOP
from notifhist.statements import Statement, written

Terms = tuple[tuple[int, ...], ...]
"""Which counts are asked for; see `run_filters.asked_terms`."""
_LEVELS_TO_NOW, _LEVELS_TO_DATE = 3, 7
"""How many levels are read at once on the way to now, and to a date that is asked for: down to 17 minutes."""


class Count(NamedTuple):
    """How many runs there are in a bucket, and whether there are counts of its parts."""

    runs: int
    is_divided: bool


Counts = Mapping[int, Count]
"""Of each bucket of a level that has any."""
_Buckets = tuple[int, range]
"""A level, and some buckets of it."""


class Place(NamedTuple):
    """Where a run stands: in the bucket from `begin` to before `end` (ms) with `skipped` others before it.

    `runs`: how many there are in the bucket.
    """

    begin: int
    end: int
    skipped: int
    runs: int


class Totals:
    """The counts of a tenant's runs, read in the transaction that reads the runs."""

    def __init__(
        self, db: Database, tenant: str, terms: Terms, *, dates: Sequence[int] = (), is_deep: bool = False
    ) -> None:
        """Read the first level, and all levels on the ways to `dates` (ms), of which the `rank` will be asked for.

        If `is_deep`, because a run of some position is to be found, the way to now is read too, as far as it is
        likely to be the same: it is there that most runs are. One question to the database costs less than three.
        """
        self._db, self._tenant, self._terms = db, tenant, terms
        wanted = {(0, TOP): None}  # a set that keeps its order
        for at_ms in dates:
            wanted |= dict.fromkeys(_way_to(at_ms, _LEVELS_TO_DATE))
        if is_deep:
            wanted |= dict.fromkeys(_way_to(time.time_ns() // 1_000_000, _LEVELS_TO_NOW))
        self._known: dict[_Buckets, Counts] = {}
        self._read(tuple(wanted))
        self._top = self._known[0, TOP]
        self.total = sum(count.runs for count in self._top.values())

    def rank(self, at_ms: int) -> tuple[int, Place | None]:
        """Return how many runs were created before `at_ms`, except those in the bucket that holds it.

        That bucket, undivided, is returned too, if there is any run in it: those have to be counted one by one.
        """
        before, level, counts = 0, 0, self._top
        while True:
            bucket = at_ms >> SHIFTS[level]
            before += _before(counts, bucket)
            if bucket not in counts:
                return before, None
            if not counts[bucket].is_divided:
                return before, _place(level, bucket, 0, counts)
            level, counts = level + 1, self._counts_of_parts(level, bucket)

    def find(self, position: int) -> Place:
        """Return the place of the run with `position` others before it, oldest first; there must be such a run."""
        level, counts = 0, self._top
        while True:
            bucket = next(
                each for each in sorted(counts) if position < _before(counts, each) + counts[each].runs
            )
            position -= _before(counts, bucket)
            if not counts[bucket].is_divided:
                return _place(level, bucket, position, counts)
            part = position / counts[bucket].runs
            level, counts = level + 1, self._counts_of_parts(level, bucket, part)

    def _counts_of_parts(self, level: int, bucket: int, part: float | None = None) -> Counts:
        """Return the counts of a bucket's parts.

        If it is `part` of the bucket's runs, from 0 to 1, behind which is to be looked, then that part of its time
        is likely to hold what is looked for: what it is divided into is read in the same question.
        """
        parts = _parts(level, bucket)
        buckets = level + 1, parts
        if buckets not in self._known:
            wanted = [buckets]
            if part is not None and level + 2 < len(SHIFTS):
                wanted.append((level + 2, _parts(level + 1, parts[int(part * len(parts))])))
            self._read(wanted)
        return self._known[buckets]

    def _read(self, wanted: Sequence[_Buckets]) -> None:
        ones, others = self._terms
        values: dict[str, object] = {"tenant": self._tenant, **_named("one", ones), **_named("other", others)}
        for n, (level, buckets) in enumerate(wanted):
            values |= {f"shift{n}": SHIFTS[level]} | _named(f"bucket{n}_", buckets)
        statement = _reading(tuple(len(buckets) for _, buckets in wanted), len(ones), len(others))
        ((text,),) = statement.rows(self._db, **values)
        found: dict[int, dict[int, Count]] = {shift: {} for shift in SHIFTS}
        numbers = map(int, (text or "").split())
        for shift, bucket, runs, is_divided in zip(*[numbers] * 4, strict=True):
            found[shift][bucket] = Count(runs, bool(is_divided))
        for level, buckets in wanted:
            counts = found[SHIFTS[level]]
            self._known[level, buckets] = {bucket: counts[bucket] for bucket in buckets if bucket in counts}


def _way_to(at_ms: int, levels: int) -> Iterator[_Buckets]:
    """Yield the parts of the bucket that holds a time, of each level but the last of so many."""
    for level in range(levels - 1):
        yield level + 1, _parts(level, at_ms >> SHIFTS[level])


def _parts(level: int, bucket: int) -> range:
    """Return the buckets of the next level into which one of this level is divided."""
    finer = SHIFTS[level] - SHIFTS[level + 1]
    return range(bucket << finer, (bucket + 1) << finer)


def _before(counts: Counts, bucket: int) -> int:
    return sum(count.runs for each, count in counts.items() if each < bucket)


def _place(level: int, bucket: int, skipped: int, counts: Counts) -> Place:
    shift = SHIFTS[level]
    return Place(bucket << shift, (bucket + 1) << shift, skipped, counts[bucket].runs)


def _named(name: str, values: Sequence[int]) -> dict[str, int]:
    return {f"{name}{n}": value for n, value in enumerate(values)}


def _names(name: str, number: int) -> str:
    return ", ".join(f":{name}{n}" for n in range(number))


@cache
def _reading(buckets: tuple[int, ...], ones: int, others: int) -> Statement:
    """Return the statement that sums up so many terms for each of so many buckets, which are of one level each.

    One row: shift, bucket, sum and whether it is divided, in turn, as one text. To take rows one by one costs
    more than to sum up.
    """
    tenant = "tenant_id = (SELECT id FROM tenant WHERE name = :tenant)"
    terms = f"one IN ({_names('one', ones)}) AND other IN ({_names('other', others)}) AND runs <> 0"
    sums = " UNION ALL ".join(
        f"""SELECT shift, bucket, sum(runs) AS runs FROM run_count WHERE {tenant} AND shift = :shift{n}
        AND bucket IN ({_names(f"bucket{n}_", number)}) AND {terms} GROUP BY shift, bucket"""  # noqa: S608
        for n, number in enumerate(buckets)
    )
    divided = f"""SELECT max(CASE WHEN is_divided THEN 1 ELSE 0 END) FROM run_count AS whole WHERE {tenant}
        AND whole.shift = sums.shift AND whole.bucket = sums.bucket AND one = 0 AND other = 0"""  # noqa: S608
    numbers = ("sums.shift", "sums.bucket", "sums.runs", f"({divided})")
    text = " || ' ' || ".join(f"CAST({number} AS TEXT)" for number in numbers)
    return Statement(lambda db: written(f"SELECT {db.JOINED}({text}, ' ') FROM ({sums}) AS sums"))  # noqa: S608
