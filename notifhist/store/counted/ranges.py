"""Sums of the stored counts over ranges of time, such as the total of a query or the bars of a chart."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from notifhist.store.counted.table import PARTS, Counted, Filter
from notifhist.store.database import Database
from notifhist.store.database.sql import first, rows

_MANY_BUCKETS = 64
_BUCKETS = {"level": "bigint", "bucket": "bigint"}
_SEGMENTS = {"n": "integer", "level": "integer", "bucket": "bigint", "low": "integer", "high": "integer"}
_OF = "{0}.tenant_id = :tenant_id AND {0}.level = param.level AND {0}.bucket = param.bucket"

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


class _Bucket(NamedTuple):
    depth: int
    number: int


class _Counts(NamedTuple):
    """How many records there are in each part of a bucket, and which parts are split, a bit each."""

    split_mask: int
    parts: Sequence[int]


class _Segment(NamedTuple):
    """The parts of a bucket from `low` to before `high`, which lie in the n-th range."""

    n: int
    bucket: _Bucket
    low: int
    high: int


class Ranges:
    """Sums up counts of a tenant's records, all in the transaction of the caller."""

    def __init__(self, db: Database, table: Counted, tenant_id: int, pairs: Pairs) -> None:
        self._db, self._table, self._tenant_id, self._pairs = db, table, tenant_id, pairs
        self._known: dict[_Bucket, _Counts] = {}

    def sums(self, ranges: Sequence[Range]) -> tuple[list[Sums], list[tuple[int, Range]]]:
        """Return the sums of each range, by codes; and the pieces of ranges that are no whole parts.

        The records of these pieces, each with the number of its range, have to be counted one by one.
        """
        edges = sorted({edge for each in ranges for edge in each})
        sums = [Sums() for _ in ranges]
        if not edges or edges[0] == edges[-1]:
            return sums, []
        roots = [_Bucket(0, root) for root in self._roots(Range(edges[0], edges[-1]))]
        self._read([*roots, *self._ways(edges)])
        whole: list[_Segment] = []
        left: list[tuple[int, Range]] = []
        for n, each in enumerate(ranges):
            for root in roots:
                self._divide(n, each, root, whole, left)
        for n, codes, count in self._added_up(whole):
            sums[n][codes] += count
        return sums, left

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
            yield from {_Bucket(depth, edge // level.bucket_ms): None for edge in edges if edge % level.bucket_ms}

    def _divide(
        self, n: int, wanted: Range, bucket: _Bucket, whole: list[_Segment], left: list[tuple[int, Range]]
    ) -> None:
        """Add the parts of a bucket that lie in the n-th range to `whole`, and pieces of parts to `left`."""
        if (counts := self._known.get(bucket)) is None:
            return
        level = self._table.levels[bucket.depth]
        begin = bucket.number * level.parts
        low = max(-(-wanted.begin // level.part_ms) - begin, 0)
        high = min(wanted.end // level.part_ms - begin, level.parts)
        if low < high and any(counts.parts[low:high]):
            whole.append(_Segment(n, bucket, low, high))
        for part in {edge // level.part_ms for edge in wanted if edge % level.part_ms}:
            index = part - begin
            if not (0 <= index < level.parts and counts.parts[index]):
                continue
            if counts.split_mask >> index & 1:
                self._divide(n, wanted, _Bucket(bucket.depth + 1, part), whole, left)
            else:
                cut = Range(max(wanted.begin, part * level.part_ms), min(wanted.end, (part + 1) * level.part_ms))
                if cut.begin < cut.end:
                    left.append((n, cut))

    def _read(self, wanted: Sequence[_Bucket]) -> None:
        """Read how many records there are, of whatever codes, in the parts of buckets."""
        levels = self._table.levels
        parts = ", ".join(PARTS)
        select = f"""SELECT param.level, param.bucket, split_mask, {parts}
        FROM {self._db.param_table(_BUCKETS)} CROSS JOIN {self._table.counts.name} AS whole
        WHERE {_OF.format("whole")} AND first_filter = 0 AND second_filter = 0"""
        param = self._db.param_value(_BUCKETS, [(levels[depth].number, bucket) for depth, bucket in wanted])
        depths = {level.number: depth for depth, level in enumerate(levels)}
        for number, bucket, split_mask, *counts in rows(self._db, select, tenant_id=self._tenant_id, param=param):
            self._known[_Bucket(depths[number], bucket)] = _Counts(split_mask, counts)

    def _added_up(self, segments: Sequence[_Segment]) -> Iterator[tuple[int, Codes, int]]:
        """Yield the number of a range, codes, and how many records of these codes there are in its segments."""
        if not segments:
            return
        if self._pairs == Pairs((0,), (0,)):
            for n, bucket, low, high in segments:
                yield n, (), sum(self._known[bucket].parts[low:high])
            return
        conditions, codes = [], []
        values: dict[str, object] = {"tenant_id": self._tenant_id}
        for name, side in (("first", self._pairs.first), ("second", self._pairs.second)):
            if isinstance(side, Filter):
                codes.append(f"{name}_filter & {(1 << self._table.code_bits) - 1}")
            condition, its_values = self._condition(name, side)
            conditions.append(f"{name}_filter {condition}")
            values |= its_values
        inside = " + ".join(
            f"CASE WHEN low <= {n} AND high > {n} THEN {part} ELSE 0 END" for n, part in enumerate(PARTS)
        )
        group = ", ".join(["n", *codes])
        select = f"""SELECT {group}, CAST(sum(count) AS BIGINT) FROM (
            SELECT {", ".join(["n", "first_filter", "second_filter"])}, {inside} AS count
            FROM {self._db.param_table(_SEGMENTS)} CROSS JOIN {self._table.counts.name} AS part
            WHERE {_OF.format("part")} AND {" AND ".join(conditions)}) AS counted
        WHERE count > 0 GROUP BY {group}"""
        numbered = [
            (n, self._table.levels[bucket.depth].number, bucket.number, low, high) for n, bucket, low, high in segments
        ]
        values["param"] = self._db.param_value(_SEGMENTS, numbered)
        for n, *its_codes, count in rows(self._db, select, **values):
            yield n, tuple(its_codes), count

    def _condition(self, name: str, side: tuple[int, ...] | Filter) -> tuple[str, dict[str, int]]:
        """Return the condition for one side of the pairs, and its values.

        Rows with some value of the first filter and one of the second are no neighbours in the index, which is by the
        first: so each value of the first is looked up by itself.
        """
        if isinstance(side, Filter) and name == "first" and not side.values:
            terms = f"SELECT {self._table.term(side, 0)} + code FROM {self._table.names}"
            return f"IN ({terms} WHERE tenant_id = :tenant_id AND column_name = '{side.column}')", {}
        if isinstance(side, Filter) and name == "second":
            low, high = self._table.terms_of(side)
            return f"BETWEEN :{name}0 AND :{name}1", {f"{name}0": low, f"{name}1": high}
        if isinstance(side, Filter):
            side = tuple(self._table.term(side, code) for code in range(1, len(side.values) + 1))
        numbered = {f"{name}{n}": term for n, term in enumerate(side)}
        return f"IN ({', '.join(f':{each}' for each in numbered)})", numbered
