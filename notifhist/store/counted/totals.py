"""Totals, and the way to a record of any position or date, from the counts that `counts` keeps."""

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from notifhist.schemas.instants import MAX_INSTANT, MIN_INSTANT
from notifhist.serializers.stored import encoded
from notifhist.store.counted.table import BINARY_LEVELS, PARTS, CountedTable, Terms
from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.tenants import TENANT_ID

_LEVELS = BINARY_LEVELS
_ROOTS = range(MIN_INSTANT // _LEVELS[0].bucket_ms, MAX_INSTANT // _LEVELS[0].bucket_ms + 1)
"""The buckets of the first level: they hold the years 1 to 9999."""
_LEVELS_TO_NOW, _LEVELS_TO_DATE = 4, 7
"""How many levels are read at once on the way to now, and to a date that is asked for: down to 17 minutes."""
_Bucket = tuple[int, int]
"""A level and the number of a bucket of it."""


class Parts(NamedTuple):
    """How many records there are in each part of a bucket, and which parts are split, a bit each."""

    counts: tuple[int, ...]
    split_mask: int

    def is_split(self, index: int) -> bool:
        """Say whether there are counts of the part's own parts."""
        return bool(self.split_mask >> index & 1)


_NONE = Parts((0,) * len(PARTS), 0)


class Position(NamedTuple):
    """Where a record stands: in the bucket from `begin` to before `end` (ms), which holds `size` records.

    `skipped` records of the bucket are before it.
    """

    begin: int
    end: int
    skipped: int
    size: int


class Totals:
    """The counts of a tenant's records, read in the transaction that reads the records."""

    def __init__(
        self,
        db: Database,
        table: CountedTable,
        tenant: str,
        terms: Terms,
        *,
        dates: Sequence[int] = (),
        is_deep: bool = False,
    ) -> None:
        """Read the first level, and all levels on the ways to `dates` (ms), whose `rank` will be asked for.

        If `is_deep`, a record at some position is to be found: then the way to now is read too, and the bucket before
        its last one. Together they hold at least two years, and most records, so one query is mostly enough.
        """
        self._db, self._table, self._tenant, self._terms = db, table, tenant, terms
        wanted = dict.fromkeys((0, root) for root in _ROOTS)  # a set that keeps its order
        for at_ms in dates:
            wanted |= dict.fromkeys(_way_to(at_ms, _LEVELS_TO_DATE))
        if is_deep:
            *way, (level, bucket) = _way_to(time.time_ns() // 1_000_000, _LEVELS_TO_NOW)
            wanted |= dict.fromkeys([*way, (level, bucket - 1), (level, bucket)])
        self._known: dict[_Bucket, Parts] = {}
        self._read(tuple(wanted))
        self._of_roots = [sum(self._known[0, root].counts) for root in _ROOTS]
        self.total = sum(self._of_roots)

    def rank(self, at_ms: int) -> tuple[int, Position | None]:
        """Return how many records were created before `at_ms`, except those in the bucket that holds it.

        The second value is that bucket, unless it is empty: its records have to be counted one by one.
        """
        before = sum(self._of_roots[: _ROOTS.index(at_ms // _LEVELS[0].bucket_ms)])
        for level, each in enumerate(_LEVELS):
            part = at_ms // each.part_ms
            bucket, index = divmod(part, each.parts)
            parts = self._parts(level, bucket)
            before += sum(parts.counts[:index])
            if not parts.counts[index]:
                return before, None
            if not parts.is_split(index):
                break
        return before, _position(level, part, 0, parts.counts[index])

    def find(self, rank: int) -> Position:
        """Return the position of the record with `rank` others before it, oldest first; there must be such a one."""
        index, rank = _find(self._of_roots, rank)
        bucket, size = _ROOTS[index], self._of_roots[index]
        for level, each in enumerate(_LEVELS):
            parts = self._parts(level, bucket, rank / size)
            index, rank = _find(parts.counts, rank)
            bucket, size = bucket * each.parts + index, parts.counts[index]
            if not parts.is_split(index):
                break
        return _position(level, bucket, rank, size)

    def _parts(self, level: int, bucket: int, fraction: float | None = None) -> Parts:
        """Return the counts of a bucket's parts.

        `fraction` (0 to 1) of the bucket's records are before the wanted one, which is then likely to be at the same
        fraction of the bucket's time: the two parts around that are read by the same query.
        """
        if (level, bucket) not in self._known:
            wanted = [(level, bucket)]
            if fraction is not None and level + 1 < len(_LEVELS):
                middle = round(fraction * len(PARTS))
                likely = range(max(middle - 1, 0), min(middle + 1, len(PARTS)))
                wanted += [(level + 1, bucket * _LEVELS[level].parts + index) for index in likely]
            self._read(wanted)
        return self._known[level, bucket]

    def _read(self, wanted: Sequence[_Bucket]) -> None:
        firsts, seconds = self._terms
        text = _sums_sql(type(self._db), self._table, len(wanted), len(firsts), len(seconds))
        ((found,),) = rows(
            self._db,
            text,
            tenant=self._tenant,
            **_numbered("first", firsts),
            **_numbered("second", seconds),
            **_numbered("level", (_LEVELS[level].number for level, _ in wanted)),
            **_numbered("bucket", (bucket for _, bucket in wanted)),
        )
        self._known |= dict.fromkeys(wanted, _NONE)
        words = encoded(found or "").split()
        for n, split_mask, *counts in zip(*[map(int, words)] * (2 + len(PARTS)), strict=True):
            self._known[wanted[n]] = Parts(tuple(counts), split_mask)


def _way_to(at_ms: int, levels: int) -> Iterator[_Bucket]:
    """Yield the bucket that holds a time, of each of the first levels."""
    for level in range(levels):
        yield level, at_ms // _LEVELS[level].bucket_ms


def _find(counts: Sequence[int], rank: int) -> tuple[int, int]:
    """Return the index of the part that holds the record of a rank, and the record's rank in that part."""
    index = 0
    while rank >= counts[index]:
        rank -= counts[index]
        index += 1
    return index, rank


def _position(level: int, part: int, skipped: int, size: int) -> Position:
    """Return a position in a part of a bucket of the level."""
    part_ms = _LEVELS[level].part_ms
    return Position(part * part_ms, (part + 1) * part_ms, skipped, size)


def _numbered(name: str, values: Iterable[int]) -> dict[str, int]:
    return {f"{name}{n}": value for n, value in enumerate(values)}


def _names(name: str, count: int) -> str:
    return ", ".join(f":{name}{n}" for n in range(count))


@cache
def _sums_sql(dialect: type[Database], table: CountedTable, buckets: int, firsts: int, seconds: int) -> str:
    """Return the query that sums up the counts of the terms, for each part of each bucket.

    It returns one text: of each bucket that has counts the index among those wanted, the split mask and the sums.
    To fetch a row for each would be the larger part of the cost (docs/adr/0013).
    """
    wanted = ", ".join(f"({n}, :level{n}, :bucket{n})" for n in range(buckets))
    at = "{0}.tenant_id = {1} AND {0}.level = wanted.level AND {0}.bucket = wanted.bucket"
    sums = [f"sum(part.{name})" for name in PARTS]
    text = " || ' ' || ".join(f"CAST({each} AS TEXT)" for each in ("n", "max(whole.split_mask)", *sums))
    first, second = _names("first", firsts), _names("second", seconds)
    counts = table.counts.name
    return f"""WITH wanted (n, level, bucket) AS (VALUES {wanted})
    SELECT {dialect.joined("text", " ")} FROM (SELECT {text} AS text
    FROM wanted CROSS JOIN {counts} AS whole CROSS JOIN {counts} AS part
    WHERE {at.format("whole", TENANT_ID)} AND whole.first_filter = 0 AND whole.second_filter = 0
    AND {at.format("part", TENANT_ID)} AND part.first_filter IN ({first}) AND part.second_filter IN ({second})
    GROUP BY n) AS counted"""
