"""What the stored counts of runs or logs must be, found out by counting each."""

from collections import Counter
from itertools import combinations

from notifhist.store.counted import counts
from notifhist.store.counted.table import PARTS, CountedTable
from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.runs import TABLE
from notifhist.store.tenants import find_tenant

Counted = tuple[int, int, int, int]
"""The level and the number of a bucket, and two terms."""


def assert_counts_are_true(db: Database, tenant: str, table: CountedTable = TABLE) -> None:
    """Fail unless each bucket's counts are those of its records, and each full one is split."""
    tenant_id = find_tenant(db, tenant)
    columns = ", ".join(("level", "bucket", "first_filter", "second_filter", "split_mask", *PARTS))
    rows_of = f"SELECT {columns} FROM {table.counts.name} WHERE tenant_id = :tenant_id"
    stored: dict[Counted, int] = {}
    split = set()
    for shift, bucket, first, second, mask, *numbers in rows(db, rows_of, tenant_id=tenant_id):
        for n, number in enumerate(numbers):
            part = shift - 4, bucket * 16 + n
            stored[*part, first, second] = number
            if (first, second) != (0, 0):
                assert not mask
            elif mask & 2**n:
                assert part[0] > 0
                split.add(part)
            elif part[0] > 0:
                assert number <= counts.SPLIT_ABOVE, f"{part} is full"
    records = f"SELECT date_created, {', '.join(table.codes)} FROM {table.name} WHERE tenant_id = :tenant_id"
    counted: Counter[Counted] = Counter()
    for date_created, *codes in rows(db, records, tenant_id=tenant_id):
        for shift in range(44, -1, -4):
            bucket = date_created >> shift
            counted.update((shift, bucket, *pair) for pair in _counted_as(codes))
            if (shift, bucket) not in split:
                break
    assert {key: number for key, number in stored.items() if number} == counted


def _counted_as(codes: list[int | None]) -> list[tuple[int, int]]:
    """Return the pairs of terms that a record of these codes is counted as: none, one, or two of its values."""
    terms = [number * 256 + code for number, code in enumerate(codes, start=1) if code is not None]
    return [(0, 0), *((term, 0) for term in terms), *combinations(terms, 2)]
