"""How many runs there are: counts are kept, so that a total and the way to a deep page cost the same at any size.

Time is divided into buckets, each of them into 16 parts, which are buckets in turn. A row has how many runs there
are in each part of a bucket, of those that count as one pair of `run_filters.pairs_of`: so a total of runs with up to
two filters is a sum of few rows. A part that holds many runs has rows of its own: it is divided. So there
are few rows where there are few runs. Counts change in the transaction that changes the runs; of one tenant one
such transaction runs at a time (`Database.lock_name`).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import groupby

import peewee

from notifhist.schemas.fields import MAX_INSTANT, MIN_INSTANT
from notifhist.store.database import RUNS_OF_PARTS, Database
from notifhist.store.models import NotificationRunRow, RunCountRow
from notifhist.store.runs.filters import FILTERS, Codes, pairs_of
from notifhist.store.sql import Statement, given

PART_BITS = 4
SHIFTS = tuple(range(48, 0, -PART_BITS))
"""A bucket of the level is 2^shift ms long, and each of its parts a sixteenth of that: 557 years, 35 years, 2.2
years, 50 days, 3 days, 4.7 hours …"""
ROOTS = range(MIN_INSTANT >> SHIFTS[0], (MAX_INSTANT >> SHIFTS[0]) + 1)
"""The buckets of the first level: they hold the years 1 to 9999."""
_MOST_UNDIVIDED = 1000
"""Runs that a part holds at most before it is divided: those that are counted or skipped one by one."""

Change = tuple[int, Codes]
"""What is counted: a `date_created` (ms), and the codes of a run's filters."""


def change(db: Database, tenant_id: int, changes: Mapping[Change, int], level: int = 0) -> None:
    """Add `changes` to the counts; the runs themselves have been changed before, in this transaction."""
    if not changes:
        return
    shift = SHIFTS[level]
    finer = shift - PART_BITS
    counts: dict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0] * len(RUNS_OF_PARTS))
    for (date_created, codes), runs in changes.items():
        for pair in pairs_of(codes):
            counts[date_created >> shift, *pair][place_of_part(date_created >> finer)] += runs
    db.add_counts(sorted((tenant_id, shift, *key, *runs) for key, runs in counts.items()))
    if level + 1 == len(SHIFTS):
        return
    below: Counter[Change] = Counter()
    divided, full = _state(db, tenant_id, shift, {date_created >> finer for date_created, _ in changes})
    for (date_created, codes), runs in changes.items():
        if date_created >> finer in divided:
            below[date_created, codes] += runs
    for part in full:
        below.update(_recorded(db, tenant_id, part, finer))
    if full:
        marks = [(1 << place_of_part(part), tenant_id, shift, part >> PART_BITS) for part in full]
        db.execute_many(_DIVIDE, marks)
    change(db, tenant_id, below, level + 1)


def place_of_part(part: int) -> int:
    """Return which of the parts of its bucket it is, from 0 on."""
    return part & ((1 << PART_BITS) - 1)


def _state(db: Database, tenant_id: int, shift: int, parts: set[int]) -> tuple[set[int], list[int]]:
    """Return which parts of buckets are divided, and which are to be."""
    divided, full = set(), []
    for bucket, its_parts in groupby(sorted(parts), key=lambda part: part >> PART_BITS):
        ((bits, *runs),) = _STATE.rows(db, tenant_id=tenant_id, shift=shift, bucket=bucket)
        for part in its_parts:
            if bits >> place_of_part(part) & 1:
                divided.add(part)
            elif runs[place_of_part(part)] > _MOST_UNDIVIDED:
                full.append(part)
    return divided, full


def _recorded(db: Database, tenant_id: int, bucket: int, shift: int) -> Counter[Change]:
    """Return the changes that count all runs of a bucket, as many in each of its parts as there are."""
    finer = shift - PART_BITS
    rows = _RECORDED.rows(
        db, tenant_id=tenant_id, begin=bucket << shift, end=(bucket + 1) << shift, finer=finer
    )
    return Counter({(part << finer, tuple(codes)): runs for part, *codes, runs in rows})


def _statement_of_state() -> Statement:
    row = RunCountRow
    return Statement(
        lambda db: row.select(row.divided, *(getattr(row, runs) for runs in RUNS_OF_PARTS)).where(
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
_DIVIDE = """UPDATE run_count SET divided = divided | ?
WHERE tenant_id = ? AND shift = ? AND bucket = ? AND one = 0 AND other = 0"""
