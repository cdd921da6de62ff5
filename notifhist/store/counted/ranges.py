"""Sums of the stored counts over ranges of time, such as the total of a query or the bars of a chart."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from notifhist.store.counted.table import PARTS, Counted, Filter
from notifhist.store.database import Database
from notifhist.store.database.sql import first, rows

_MANY_BUCKETS = 64
_PARAM = {"level": "bigint", "bucket": "bigint"}

Codes = tuple[int, ...]
"""The codes of the filters by which is grouped, in the order of the table's filters."""
Sums = Counter[Codes]


class Range(NamedTuple):
    """From `begin` to before `end`, ms since the epoch, UTC."""

    begin: int
    end: int


@dataclass(frozen=True)
class Pairs:
    """Which count rows are summed up: each side is some terms, or a filter by whose values is grouped."""

    first: tuple[int, ...] | Filter
    second: tuple[int, ...] | Filter


_Bucket = tuple[int, int]
"""The depth of a level and the number of a bucket of it."""


class _Counts(NamedTuple):
    """The counts of a bucket's parts, by codes, and which parts are split, a bit each."""

    split_mask: int
    parts: dict[Codes, Sequence[int]]


class Ranges:
    """Sums up counts of a tenant's records, all in the transaction of the caller.

    `count` counts the records of ranges one by one: those of a part that is only partly in a range.
    """

    def __init__(
        self,
        db: Database,
        table: Counted,
        tenant_id: int,
        pairs: Pairs,
        count: Callable[[Sequence[Range]], Sequence[Sums]],
    ) -> None:
        self._db, self._table, self._tenant_id, self._pairs, self._count = db, table, tenant_id, pairs, count
        self._known: dict[_Bucket, _Counts] = {}

    def sums(self, ranges: Sequence[Range]) -> list[Sums]:
        """Return the sums of each range, by codes."""
        edges = sorted({edge for each in ranges for edge in each})
        if not edges or edges[0] == edges[-1]:
            return [Sums() for _ in ranges]
        roots = self._roots(Range(edges[0], edges[-1]))
        self._read([*((0, root) for root in roots), *self._ways(edges)])
        sums = [Sums() for _ in ranges]
        left: list[tuple[int, Range]] = []
        for n, each in enumerate(ranges):
            left += [(n, part) for root in roots for part in self._add(sums[n], 0, root, each)]
        if left:
            for (n, _), counted in zip(left, self._count([part for _, part in left]), strict=True):
                sums[n].update(counted)
        return sums

    def _roots(self, whole: Range) -> range:
        """Return the buckets of the first level that may have records of a range."""
        bucket_ms = self._table.levels[0].bucket_ms
        begin, end = whole.begin // bucket_ms, (whole.end - 1) // bucket_ms
        if end - begin > _MANY_BUCKETS:
            counts, number = self._table.counts.name, self._table.levels[0].number
            there = f"SELECT bucket FROM {counts} WHERE tenant_id = :tenant_id AND level = :level ORDER BY bucket"
            values = {"tenant_id": self._tenant_id, "level": number}
            oldest = first(self._db, f"{there} LIMIT 1", **values)
            if oldest is None:
                return range(0)
            ((newest,),) = rows(self._db, f"{there} DESC LIMIT 1", **values)
            begin, end = max(begin, oldest[0]), min(end, newest)
        return range(begin, end + 1)

    def _ways(self, edges: Sequence[int]) -> Iterator[_Bucket]:
        """Yield the buckets, below the first level, that an edge divides."""
        for depth, level in enumerate(self._table.levels[1:], start=1):
            yield from {(depth, edge // level.bucket_ms): None for edge in edges if edge % level.bucket_ms}

    def _add(self, sums: Sums, depth: int, bucket: int, wanted: Range) -> Iterator[Range]:
        """Add the counts of a bucket's parts that lie in a range; yield what must be counted one by one."""
        counts = self._known.get((depth, bucket))
        level = self._table.levels[depth]
        begin = bucket * level.parts
        inside = slice(
            max(-(-wanted.begin // level.part_ms) - begin, 0),
            max(min(wanted.end // level.part_ms - begin, level.parts), 0),
        )
        if counts is not None:
            for codes, parts in counts.parts.items():
                if count := sum(parts[inside]):
                    sums[codes] += count
        for part in {edge // level.part_ms for edge in wanted if edge % level.part_ms}:
            index = part - begin
            if not 0 <= index < level.parts or counts is None:
                continue
            if counts.split_mask >> index & 1:
                yield from self._add(sums, depth + 1, part, wanted)
            elif any(parts[index] for parts in counts.parts.values()):
                cut = Range(max(wanted.begin, part * level.part_ms), min(wanted.end, (part + 1) * level.part_ms))
                if cut.begin < cut.end:
                    yield cut

    def _read(self, wanted: Sequence[_Bucket]) -> None:
        levels = self._table.levels
        param = self._db.param_value(_PARAM, [(levels[depth].number, bucket) for depth, bucket in wanted])
        depths = {level.number: depth for depth, level in enumerate(levels)}
        for number, bucket, split_mask, *others in rows(
            self._db, self._sql, tenant_id=self._tenant_id, param=param, **self._values
        ):
            codes, parts = tuple(others[: -len(PARTS)]), others[-len(PARTS) :]
            self._known.setdefault((depths[number], bucket), _Counts(split_mask, {})).parts[codes] = parts

    @property
    def _values(self) -> dict[str, int]:
        values: dict[str, int] = {}
        for name, side in (("first", self._pairs.first), ("second", self._pairs.second)):
            terms = self._table.terms_of(side) if isinstance(side, Filter) else side
            values |= {f"{name}{n}": term for n, term in enumerate(terms)}
        return values

    @property
    def _sql(self) -> str:
        """Return the query for the counts of buckets: a row for each bucket and each value that is grouped by."""
        conditions, codes = [], []
        for name, side in (("first", self._pairs.first), ("second", self._pairs.second)):
            column = f"part.{name}_filter"
            if isinstance(side, Filter):
                conditions.append(f"{column} BETWEEN :{name}0 AND :{name}1")
                codes.append(f"{column} & {(1 << self._table.code_bits) - 1}")
            else:
                conditions.append(f"{column} IN ({', '.join(f':{name}{n}' for n in range(len(side)))})")
        group = ", ".join(["part.level", "part.bucket", "whole.split_mask", *codes])
        of = "{0}.tenant_id = :tenant_id AND {0}.level = param.level AND {0}.bucket = param.bucket"
        sums = ", ".join(f"CAST(sum(part.{name}) AS BIGINT)" for name in PARTS)
        counts = self._table.counts.name
        return f"""SELECT {group}, {sums}
        FROM {self._db.param_table(_PARAM)} CROSS JOIN {counts} AS whole CROSS JOIN {counts} AS part
        WHERE {of.format("whole")} AND whole.first_filter = 0 AND whole.second_filter = 0
        AND {of.format("part")} AND {" AND ".join(conditions)} GROUP BY {group}"""
