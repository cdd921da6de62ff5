"""What the stored counts must be, found out by counting every record."""

from collections import Counter
from itertools import combinations

from notifhist.store.counted import counts
from notifhist.store.counted.table import PARTS, Counted
from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.runs import TABLE
from notifhist.store.tenants import find_tenant

Part = tuple[int, int, int, int]
"""The depth of a level, the number of a part of its buckets, and two terms."""


def assert_counts_are_true(db: Database, tenant: str, table: Counted = TABLE) -> None:
    """Fail unless each bucket's counts are those of its records, and each full one is split."""
    tenant_id = find_tenant(db, tenant)
    stored, split = _stored(db, table, tenant_id)
    columns = ", ".join((table.time, *table.codes))
    records = rows(db, f"SELECT {columns} FROM {table.name} WHERE tenant_id = :tenant_id", tenant_id=tenant_id)
    counted: Counter[Part] = Counter()
    for time, *codes in records:
        for depth, level in enumerate(table.levels):
            part = depth, time // table.units_per_ms // level.part_ms
            counted.update((*part, *pair) for pair in _counted_as(table, codes))
            if part not in split:
                break
    assert {key: number for key, number in stored.items() if number} == counted


def _stored(db: Database, table: Counted, tenant_id: int | None) -> tuple[dict[Part, int], set[tuple[int, int]]]:
    """Return the stored numbers, and which parts are split."""
    columns = ", ".join(("level", "bucket", "first_filter", "second_filter", "split_mask", *PARTS))
    depths = {level.number: depth for depth, level in enumerate(table.levels)}
    stored: dict[Part, int] = {}
    split = set()
    rows_of = f"SELECT {columns} FROM {table.counts.name} WHERE tenant_id = :tenant_id"
    for number, bucket, first, second, mask, *numbers in rows(db, rows_of, tenant_id=tenant_id):
        depth = depths[number]
        is_last = depth + 1 == len(depths)
        parts = table.levels[depth].parts
        assert not any(numbers[parts:])
        for n, of_part in enumerate(numbers[:parts]):
            part = depth, bucket * parts + n
            stored[*part, first, second] = of_part
            if (first, second) != (0, 0):
                assert not mask
            elif mask & 2**n:
                assert not is_last
                split.add(part)
            elif not is_last:
                assert of_part <= counts.SPLIT_ABOVE, f"{part} is full"
    return stored, split


def _counted_as(table: Counted, codes: list[int | None]) -> list[tuple[int, int]]:
    """Return the pairs of terms that a record of these codes is counted as: none, one, or two of its values."""
    has = [
        (number * 2**table.code_bits + code, each)
        for number, (code, each) in enumerate(zip(codes, table.filters, strict=True), start=1)
        if code is not None
    ]
    pairs = [(one, other) for (one, a), (other, b) in combinations(has, 2) if a.is_paired_with(b)]
    return [(0, 0), *((term, 0) for term, _ in has), *pairs]
