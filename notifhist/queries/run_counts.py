"""How many runs there are: counts are kept, so that a total and the way to a deep page cost the same at any size.

Time is divided into buckets, each of them into 16 smaller ones. The runs of a bucket are counted as
`run_filters.pairs_of` says, so a total of runs with up to two filters is a sum of few rows. A bucket is divided
when it holds many runs, so there are few counts where there are few runs. Counts change in the transaction
that changes the runs; of one tenant one such transaction runs at a time (`Database.lock_name`).
"""

from collections import Counter
from collections.abc import Mapping

import peewee

from notifhist.database import Database
from notifhist.models import NotificationRunRow, RunCountRow
from notifhist.queries.run_filters import FILTERS, Codes, pairs_of
from notifhist.statements import Statement, given
from schemas.fields import MAX_INSTANT, MIN_INSTANT

SHIFTS = tuple(range(44, -1, -4))
"""A bucket of the level is 2^shift ms long: 557 years, 35 years, 2.2 years, 50 days, 3 days, 4.7 hours …"""
TOP = range(MIN_INSTANT >> SHIFTS[0], (MAX_INSTANT >> SHIFTS[0]) + 1)
"""The buckets of the first level: they hold the years 1 to 9999."""
_MOST_UNDIVIDED = 1000
"""Runs that a bucket holds at most before it is divided: those that are counted or skipped one by one."""

Change = tuple[int, Codes]
"""What is counted: a `date_created` (ms), and the codes of a run's filters."""


def change(db: Database, tenant_id: int, changes: Mapping[Change, int], level: int = 0) -> None:
    """Add `changes` to the counts; the runs themselves have been changed before, in this transaction."""
    if not changes:
        return
    shift = SHIFTS[level]
    counts: Counter[tuple[int, int, int]] = Counter()
    for (date_created, codes), runs in changes.items():
        for one, other in pairs_of(codes):
            counts[date_created >> shift, one, other] += runs
    rows = sorted((tenant_id, shift, *key, runs, False) for key, runs in counts.items())
    db.add_counts(rows)
    if level + 1 == len(SHIFTS):
        return
    below: Counter[Change] = Counter()
    divided, full = _state(db, tenant_id, shift, {bucket for bucket, _, _ in counts})
    for (date_created, codes), runs in changes.items():
        if date_created >> shift in divided:
            below[date_created, codes] += runs
    db.execute_many(_DIVIDE, [(tenant_id, shift, bucket) for bucket in full])
    for bucket in full:
        below.update(_recorded(db, tenant_id, bucket, shift, SHIFTS[level + 1]))
    change(db, tenant_id, below, level + 1)


def _state(db: Database, tenant_id: int, shift: int, buckets: set[int]) -> tuple[set[int], list[int]]:
    """Return which of the buckets are divided, and which are to be."""
    divided, full = set(), []
    for bucket in sorted(buckets):
        for runs, is_divided in _STATE.rows(db, tenant_id=tenant_id, shift=shift, bucket=bucket):
            if is_divided:
                divided.add(bucket)
            elif runs > _MOST_UNDIVIDED:
                full.append(bucket)
    return divided, full


def _recorded(db: Database, tenant_id: int, bucket: int, shift: int, finer: int) -> Counter[Change]:
    """Return the changes that count all runs of a bucket in its parts."""
    rows = _RECORDED.rows(
        db, tenant_id=tenant_id, begin=bucket << shift, end=(bucket + 1) << shift, finer=finer
    )
    return Counter({(part << finer, tuple(codes)): runs for part, *codes, runs in rows})


def _statement_of_state() -> Statement:
    row = RunCountRow
    return Statement(
        lambda db: row.select(row.runs, row.is_divided).where(
            row.tenant_id == given("tenant_id"),
            row.shift == given("shift"),
            row.bucket == given("bucket"),
            row.one == 0,
            row.other == 0,
        )
    )


def _statement_of_recorded() -> Statement:
    row = NotificationRunRow
    codes = [getattr(row, each.column) for each in FILTERS]
    part = peewee.Expression(row.date_created, ">>", given("finer"))
    return Statement(
        lambda db: (
            row.select(part, *codes, peewee.fn.COUNT(row.id))
            .where(
                row.tenant_id == given("tenant_id"),
                row.date_created >= given("begin"),
                row.date_created < given("end"),
            )
            .group_by(peewee.SQL("1"), *codes)
        )
    )


_STATE = _statement_of_state()
_RECORDED = _statement_of_recorded()
_DIVIDE = """UPDATE run_count SET is_divided = true
WHERE tenant_id = ? AND shift = ? AND bucket = ? AND one = 0 AND other = 0"""
