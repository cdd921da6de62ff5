"""What the kept counts of runs must be, found out by counting every run."""

from collections import Counter
from itertools import combinations

from notifhist.store.counts import keeping as run_counts

from notifhist.store.database import RUNS_OF_PARTS, Database
from notifhist.store.models import NotificationRunRow, RunCountRow
from notifhist.store.tenants import find_tenant

FILTERS = ("notification_type", "status", "medium", "ignored_reason", "failed_reason")

Counted = tuple[int, int, int, int]
"""Of a bucket the shift and the number, and the two terms."""


def assert_counts_are_true(db: Database, tenant: str) -> None:
    """Fail unless each bucket's counts are those of its runs, and each full one is divided."""
    tenant_id = find_tenant(db, tenant)
    row = RunCountRow
    parts = [getattr(row, runs) for runs in RUNS_OF_PARTS]
    rows = row.select(row.shift, row.bucket, row.one, row.other, row.divided, *parts)
    kept: dict[Counted, int] = {}
    divided = set()
    for shift, bucket, one, other, bits, *runs in rows.where(row.tenant_id == tenant_id).tuples().execute(db):
        for n, number in enumerate(runs):
            part = shift - 4, bucket * 16 + n
            kept[*part, one, other] = number
            if (one, other) != (0, 0):
                assert not bits
            elif bits & 2**n:
                assert part[0] > 0
                divided.add(part)
            elif part[0] > 0:
                assert number <= run_counts._MOST_UNDIVIDED, f"{part} is full"
    run = NotificationRunRow
    runs = run.select(run.date_created, *(getattr(run, name) for name in FILTERS))
    counted: Counter[Counted] = Counter()
    for date_created, *codes in runs.where(run.tenant_id == tenant_id).tuples().execute(db):
        for shift in range(44, -1, -4):
            bucket = date_created >> shift
            counted.update((shift, bucket, *pair) for pair in _counted_as(codes))
            if (shift, bucket) not in divided:
                break
    assert {key: number for key, number in kept.items() if number} == counted


def _counted_as(codes: list[int | None]) -> list[tuple[int, int]]:
    """Return the pairs of terms that a run of these codes is counted as: none, one, or two of its values."""
    terms = [number * 256 + code for number, code in enumerate(codes, start=1) if code is not None]
    return [(0, 0), *((term, 0) for term in terms), *combinations(terms, 2)]
