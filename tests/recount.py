"""What the stored counts must be, found out by counting every record of a tenant one by one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations

from notifhist.store.counted import counts
from notifhist.store.counted.table import PARTS, Counted
from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.deliveries.table import DELIVERIES
from notifhist.store.logs import TABLE as LOGS
from notifhist.store.runs import TABLE as RUNS
from notifhist.store.tenants import find_tenant

_Part = tuple[int, int]
"""The depth of a level and the number of a part of one of its buckets, counted from the epoch."""
_Number = tuple[_Part, int, int]
"""A part and two terms."""


def assert_counts_are_true(db: Database, tenant: str) -> None:
    """Fail unless all counts of the tenant are those of its records, and each full part is split."""
    for table in (RUNS, LOGS, DELIVERIES):
        _assert_counts_of(table, db, find_tenant(db, tenant) or 0)


def _assert_counts_of(table: Counted, db: Database, tenant_id: int) -> None:
    stored, split = _stored(table, db, tenant_id)
    records = f"SELECT {table.time}, {', '.join(table.codes)} FROM {table.name} WHERE tenant_id = :tenant_id"
    counted: Counter[_Number] = Counter()
    for time, *codes in rows(db, records, tenant_id=tenant_id):
        for depth, level in enumerate(table.levels):
            part = depth, time // table.units_per_ms // level.part_ms
            counted.update((part, *pair) for pair in _counted_as(table, codes))
            if part not in split:
                break
    assert stored == counted


def _stored(table: Counted, db: Database, tenant_id: int) -> tuple[dict[_Number, int], set[_Part]]:
    """Return the stored counts that are not zero, and the parts that are split."""
    columns = ", ".join(("level", "bucket", "first_filter", "second_filter", "split_mask", *PARTS))
    depths = {level.number: depth for depth, level in enumerate(table.levels)}
    stored: dict[_Number, int] = {}
    split = set()
    counted = f"SELECT {columns} FROM {table.counts.name} WHERE tenant_id = :tenant_id"
    for number, bucket, first, second, mask, *counts_of_parts in rows(db, counted, tenant_id=tenant_id):
        level, is_last = table.levels[depths[number]], depths[number] == len(table.levels) - 1
        assert mask < 1 << level.parts
        assert not mask or (not is_last and (first, second) == (0, 0))
        assert not any(counts_of_parts[level.parts :])
        for n, count in enumerate(counts_of_parts[: level.parts]):
            part = depths[number], bucket * level.parts + n
            if count:
                stored[part, first, second] = count
            if mask >> n & 1:
                split.add(part)
            elif (first, second) == (0, 0) and not is_last:
                assert count <= counts.SPLIT_ABOVE * table.coarseness, f"{part} is full"
    return stored, split


def _counted_as(table: Counted, codes: Sequence[int | None]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of terms that a record of these codes is counted as: none, one, or two that are paired."""
    terms = {
        each: number << table.code_bits | code
        for number, (each, code) in enumerate(zip(table.filters, codes, strict=True), start=1)
        if code is not None
    }
    yield 0, 0
    yield from ((term, 0) for each, term in terms.items() if each.is_counted_alone)
    for (one, first), (other, second) in combinations(terms.items(), 2):
        if all(a.paired_with is None or b.column in a.paired_with for a, b in ((one, other), (other, one))):
            yield first, second
