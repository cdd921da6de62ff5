"""What the kept counts of runs must be, found out by counting every run."""

from collections import Counter
from itertools import combinations

from notifhist.database import Database
from notifhist.models import NotificationRunRow, RunCountRow
from notifhist.queries import run_counts
from notifhist.queries.run_counts import SHIFTS
from notifhist.queries.tenants import find_tenant

FILTERS = ("notification_type", "status", "medium", "ignored_reason", "failed_reason")

Counted = tuple[int, int, int, int]
"""Shift, bucket, and the two terms."""


def assert_counts_are_true(db: Database, tenant: str) -> None:
    """Fail unless each bucket's counts are those of its runs, and exactly the full buckets are divided."""
    tenant_id = find_tenant(db, tenant)
    row = RunCountRow
    rows = row.select(row.shift, row.bucket, row.one, row.other, row.runs, row.is_divided)
    kept: dict[Counted, int] = {}
    divided = set()
    for *key, number, is_divided in rows.where(row.tenant_id == tenant_id).tuples().execute(db):
        shift, bucket, one, other = key
        kept[shift, bucket, one, other] = number
        if is_divided:
            assert (one, other) == (0, 0)
            divided.add((shift, bucket))
        elif (one, other) == (0, 0) and shift > 0:
            assert number <= run_counts._MOST_UNDIVIDED, f"{bucket} of {shift} is full"
    run = NotificationRunRow
    runs = run.select(run.date_created, *(getattr(run, name) for name in FILTERS))
    counted: Counter[Counted] = Counter()
    for date_created, *codes in runs.where(run.tenant_id == tenant_id).tuples().execute(db):
        for shift in SHIFTS:
            bucket = date_created >> shift
            counted.update((shift, bucket, *pair) for pair in _counted_as(codes))
            if (shift, bucket) not in divided:
                break
    assert {key: runs for key, runs in kept.items() if runs} == counted


def _counted_as(codes: list[int | None]) -> list[tuple[int, int]]:
    """Return the pairs of terms that a run of these codes is counted as: none, one, or two of its values."""
    terms = [number * 256 + code for number, code in enumerate(codes, start=1) if code is not None]
    return [(0, 0), *((term, 0) for term in terms), *combinations(terms, 2)]
