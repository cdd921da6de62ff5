"""Totals of runs, and the way to a run of any position or date, from the counts that `run_counts` keeps."""

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from notifhist.store.counts.keeping import PART_BITS, ROOTS, SHIFTS, place_of_part
from notifhist.store.database import RUNS_OF_PARTS, Database
from notifhist.store.sql import Statement, written

Terms = tuple[tuple[int, ...], ...]
"""Which counts are asked for; see `run_filters.asked_terms`."""
_LEVELS_TO_NOW, _LEVELS_TO_DATE = 4, 7
"""How many levels are read at once on the way to now, and to a date that is asked for: down to 17 minutes."""
_Bucket = tuple[int, int]
"""A level and the number of a bucket of it."""


class Parts(NamedTuple):
    """How many runs there are in each part of a bucket, and which parts are divided, a bit each."""

    runs: tuple[int, ...]
    divided: int

    def is_divided(self, place: int) -> bool:
        """Say whether there are counts of the part's own parts."""
        return bool(self.divided >> place & 1)


_NONE = Parts((0,) * len(RUNS_OF_PARTS), 0)


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

        If `is_deep`, because a run of some position is to be found, the way to now is read too, and of its last level
        the bucket before: together they hold at least two years, and most runs. One question to the database
        costs less than three.
        """
        self._db, self._tenant, self._terms = db, tenant, terms
        wanted = dict.fromkeys((0, root) for root in ROOTS)  # a set that keeps its order
        for at_ms in dates:
            wanted |= dict.fromkeys(_way_to(at_ms, _LEVELS_TO_DATE))
        if is_deep:
            *way, (level, bucket) = _way_to(time.time_ns() // 1_000_000, _LEVELS_TO_NOW)
            wanted |= dict.fromkeys([*way, (level, bucket - 1), (level, bucket)])
        self._known: dict[_Bucket, Parts] = {}
        self._read(tuple(wanted))
        self._of_roots = [sum(self._known[0, root].runs) for root in ROOTS]
        self.total = sum(self._of_roots)

    def rank(self, at_ms: int) -> tuple[int, Place | None]:
        """Return how many runs were created before `at_ms`, except those in the bucket that holds it.

        That bucket, undivided, is returned too, if there is any run in it: those have to be counted one by one.
        """
        before = sum(self._of_roots[: ROOTS.index(at_ms >> SHIFTS[0])])
        for level, shift in enumerate(SHIFTS):
            part = at_ms >> (shift - PART_BITS)
            parts, place = self._parts(level, part >> PART_BITS), place_of_part(part)
            before += sum(parts.runs[:place])
            if not parts.runs[place]:
                return before, None
            if not parts.is_divided(place):
                break
        return before, _place(level, part, 0, parts.runs[place])

    def find(self, position: int) -> Place:
        """Return the place of the run with `position` others before it, oldest first; there must be such a run."""
        place, position = _find(self._of_roots, position)
        bucket, runs = ROOTS[place], self._of_roots[place]
        for level in range(len(SHIFTS)):
            parts = self._parts(level, bucket, position / runs)
            place, position = _find(parts.runs, position)
            bucket, runs = bucket << PART_BITS | place, parts.runs[place]
            if not parts.is_divided(place):
                break
        return _place(level, bucket, position, runs)

    def _parts(self, level: int, bucket: int, fraction: float | None = None) -> Parts:
        """Return the counts of a bucket's parts.

        If `fraction` of the bucket's runs, from 0 to 1, are before the one that is looked for, then it is likely to be
        at that fraction of its time: the two parts next to there are read in the same question.
        """
        if (level, bucket) not in self._known:
            wanted = [(level, bucket)]
            if fraction is not None and level + 1 < len(SHIFTS):
                middle = round(fraction * len(RUNS_OF_PARTS))
                likely = range(max(middle - 1, 0), min(middle + 1, len(RUNS_OF_PARTS)))
                wanted += [(level + 1, bucket << PART_BITS | place) for place in likely]
            self._read(wanted)
        return self._known[level, bucket]

    def _read(self, wanted: Sequence[_Bucket]) -> None:
        ones, others = self._terms
        values: dict[str, object] = {"tenant": self._tenant, **_named("one", ones), **_named("other", others)}
        values |= _named("shift", (SHIFTS[level] for level, _ in wanted))
        values |= _named("bucket", (bucket for _, bucket in wanted))
        ((text,),) = _reading(len(wanted), len(ones), len(others)).rows(self._db, **values)
        self._known |= dict.fromkeys(wanted, _NONE)
        numbers = map(int, (text or "").split())
        for n, divided, *runs in zip(*[numbers] * (2 + len(RUNS_OF_PARTS)), strict=True):
            self._known[wanted[n]] = Parts(tuple(runs), divided)


def _way_to(at_ms: int, levels: int) -> Iterator[_Bucket]:
    """Yield the bucket that holds a time, of each of the first levels."""
    for level in range(levels):
        yield level, at_ms >> SHIFTS[level]


def _find(numbers: Sequence[int], position: int) -> tuple[int, int]:
    """Return in which of the parts, of so many runs each, the run at a position is, and its position there."""
    place = 0
    while position >= numbers[place]:
        position -= numbers[place]
        place += 1
    return place, position


def _place(level: int, part: int, skipped: int, runs: int) -> Place:
    """Return a place in a part of a bucket of the level."""
    finer = SHIFTS[level] - PART_BITS
    return Place(part << finer, (part + 1) << finer, skipped, runs)


def _named(name: str, values: Iterable[int]) -> dict[str, int]:
    return {f"{name}{n}": value for n, value in enumerate(values)}


def _names(name: str, number: int) -> str:
    return ", ".join(f":{name}{n}" for n in range(number))


@cache
def _reading(buckets: int, ones: int, others: int) -> Statement:
    """Return the statement that sums up so many terms, for each part of so many buckets.

    One row: of each bucket that has counts its place among those asked for, which parts are divided, and the sums, as
    one text. To take rows one by one costs more than to sum up.
    """
    asked = ", ".join(f"({n}, :shift{n}, :bucket{n})" for n in range(buckets))
    at = "{0}.tenant_id = (SELECT id FROM of) AND {0}.shift = asked.shift AND {0}.bucket = asked.bucket"
    sums = [f"sum(part.{runs})" for runs in RUNS_OF_PARTS]
    text = " || ' ' || ".join(f"CAST({each} AS TEXT)" for each in ("n", "max(whole.divided)", *sums))
    terms = f"part.one IN ({_names('one', ones)}) AND part.other IN ({_names('other', others)})"
    return Statement(
        lambda db: written(
            f"""WITH asked (n, shift, bucket) AS (VALUES {asked}), of AS (SELECT id FROM tenant WHERE name = :tenant)
            SELECT {db.JOINED}(text, ' ') FROM (SELECT {text} AS text
            FROM asked CROSS JOIN run_count AS whole CROSS JOIN run_count AS part
            WHERE {at.format("whole")} AND whole.one = 0 AND whole.other = 0
            AND {at.format("part")} AND {terms}
            GROUP BY n) AS counted"""  # noqa: S608 - our own names
        )
    )
