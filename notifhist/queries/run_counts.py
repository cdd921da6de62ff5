"""How many runs there are: kept counts, so that a total and the way to a deep page cost the same at any size.

Time is divided into buckets, each of them into 16 smaller ones. The runs of a bucket are counted as
`run_filters.pairs_of` says, so a total of runs with up to two filters is a sum of few rows. A bucket is divided
when it holds many runs, so there are few counts where there are few runs. Counts change in the transaction
that changes the runs; of one tenant one such transaction runs at a time (`Database.lock_name`).
"""

from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import peewee

from notifhist.database import Database
from notifhist.models import NotificationRunRow, RunCountRow
from notifhist.queries.run_filters import FILTERS, Codes, pairs_of
from notifhist.statements import Statement, given

_SHIFTS = tuple(range(48, -1, -4))
"""A bucket of the level is 2^shift ms long. The first level's two, -1 and 0, hold the years 1 to 9999."""
_TOP: tuple[int, ...] = (-1, 0)
_MOST_UNDIVIDED = 1000
"""Runs that a bucket holds at most before it is divided: those that are counted or skipped one by one."""

Change = tuple[int, Codes]
"""What is counted: a `date_created` (ms), and the codes of a run's filters."""
Terms = tuple[tuple[int, ...], ...]
"""Which counts are asked for; see `run_filters.asked_terms`."""


class Place(NamedTuple):
    """Where a run stands: in the bucket from `begin` to before `end` (ms) with `skipped` others before it.

    `runs`: how many there are in the bucket.
    """

    begin: int
    end: int
    skipped: int
    runs: int


def change(db: Database, tenant_id: int, changes: Mapping[Change, int], level: int = 0) -> None:
    """Add `changes` to the counts; the runs themselves have been changed before, in this transaction."""
    if not changes:
        return
    shift = _SHIFTS[level]
    counts: Counter[tuple[int, int, int]] = Counter()
    for (date_created, codes), runs in changes.items():
        for one, other in pairs_of(codes):
            counts[date_created >> shift, one, other] += runs
    rows = sorted((tenant_id, shift, *key, runs, False) for key, runs in counts.items())
    db.add_counts(rows)
    if level + 1 == len(_SHIFTS):
        return
    below: Counter[Change] = Counter()
    divided, full = _state(db, tenant_id, shift, {bucket for bucket, _, _ in counts})
    for (date_created, codes), runs in changes.items():
        if date_created >> shift in divided:
            below[date_created, codes] += runs
    db.execute_many(_DIVIDE, [(tenant_id, shift, bucket) for bucket in full])
    for bucket in full:
        below.update(_recorded(db, tenant_id, bucket, shift, _SHIFTS[level + 1]))
    change(db, tenant_id, below, level + 1)


def total(db: Database, tenant_id: int, terms: Terms) -> int:
    """Return how many runs of a tenant there are."""
    return sum(_children(db, tenant_id, terms, 0, _TOP).values())


def rank(db: Database, tenant_id: int, terms: Terms, at_ms: int) -> tuple[int, Place | None]:
    """Return how many runs were created before `at_ms`, except those in the bucket that holds it.

    That bucket, undivided, is returned too, if there is any run in it: those have to be counted one by one.
    """
    before, buckets = 0, _TOP
    bucket, count, shift = 0, 0, 0
    for level, shift in enumerate(_SHIFTS):
        counts = _children(db, tenant_id, terms, level, buckets)
        if level and not counts:  # the bucket is not divided
            shift = _SHIFTS[level - 1]
            break
        bucket = at_ms >> shift
        before += sum(runs for each, runs in counts.items() if each < bucket)
        count = counts.get(bucket, 0)
        if not count:
            return before, None
        buckets = _parts(bucket, level)
    return before, Place(bucket << shift, (bucket + 1) << shift, 0, count)


def find(db: Database, tenant_id: int, terms: Terms, position: int) -> Place:
    """Return the place of the run with `position` others before it, oldest first; there must be such a run."""
    buckets = _TOP
    bucket, count, shift = 0, 0, 0
    for level, shift in enumerate(_SHIFTS):
        counts = _children(db, tenant_id, terms, level, buckets)
        if level and not counts:
            shift = _SHIFTS[level - 1]
            break
        bucket = _holding(counts, position)
        position -= sum(runs for each, runs in counts.items() if each < bucket)
        count = counts[bucket]
        buckets = _parts(bucket, level)
    return Place(bucket << shift, (bucket + 1) << shift, position, count)


def _holding(counts: Mapping[int, int], position: int) -> int:
    """Return the bucket in which the run with `position` others before it is."""
    for bucket in sorted(counts):
        if position < counts[bucket]:
            return bucket
        position -= counts[bucket]
    raise ValueError("there are not so many runs")


def _parts(bucket: int, level: int) -> tuple[int, ...]:
    """Return the buckets of the next level into which one is divided."""
    if level + 1 == len(_SHIFTS):
        return ()
    finer = _SHIFTS[level] - _SHIFTS[level + 1]
    return tuple(range(bucket << finer, (bucket + 1) << finer))


def _children(
    db: Database, tenant_id: int, terms: Terms, level: int, buckets: tuple[int, ...]
) -> dict[int, int]:
    """Return how many runs are in each of the buckets that has any."""
    ones, others = terms
    statement = _read(len(buckets), len(ones), len(others))
    values = _named("bucket", buckets) | _named("one", ones) | _named("other", others)
    rows = statement.rows(db, tenant_id=tenant_id, shift=_SHIFTS[level], **values)
    return {bucket: int(runs) for bucket, runs in rows}


def _named(name: str, values: tuple[int, ...]) -> dict[str, int]:
    return {f"{name}{n}": value for n, value in enumerate(values)}


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


@cache
def _read(buckets: int, ones: int, others: int) -> Statement:
    """Return the statement that sums up so many terms for each of so many buckets."""
    row = RunCountRow
    return Statement(
        lambda db: (
            row.select(row.bucket, peewee.fn.SUM(row.runs))
            .where(
                row.tenant_id == given("tenant_id"),
                row.shift == given("shift"),
                row.bucket << [given(f"bucket{n}") for n in range(buckets)],
                row.one << [given(f"one{n}") for n in range(ones)],
                row.other << [given(f"other{n}") for n in range(others)],
                row.runs != 0,
            )
            .group_by(row.bucket)
        )
    )


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
