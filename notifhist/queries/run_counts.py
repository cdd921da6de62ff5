"""How many runs there are: kept counts, so that a total and the way to a deep page cost the same at any size.

Time is divided into buckets, each of them into 16 smaller ones. The runs of a bucket are counted as
`run_filters.pairs_of` says, so a total of runs with up to two filters is a sum of few rows. A bucket is divided
when it holds many runs, so there are few counts where there are few runs. Counts change in the transaction
that changes the runs; of one tenant one such transaction runs at a time (`Database.lock_name`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import peewee

from notifhist.database import Database
from notifhist.models import NotificationRunRow, RunCountRow
from notifhist.queries.run_filters import FILTERS, Codes, pairs_of
from notifhist.statements import Statement, given, written
from schemas.fields import MAX_INSTANT, MIN_INSTANT

_SHIFTS = tuple(range(44, -1, -4))
"""A bucket of the level is 2^shift ms long: 557 years, 35 years, 2.2 years, 50 days, 3 days, 4.7 hours …"""
_TOP = range(MIN_INSTANT >> _SHIFTS[0], (MAX_INSTANT >> _SHIFTS[0]) + 1)
"""The buckets of the first level: they hold the years 1 to 9999."""
_MOST_UNDIVIDED = 1000
"""Runs that a bucket holds at most before it is divided: those that are counted or skipped one by one."""

Change = tuple[int, Codes]
"""What is counted: a `date_created` (ms), and the codes of a run's filters."""
Terms = tuple[tuple[int, ...], ...]
"""Which counts are asked for; see `run_filters.asked_terms`."""


class Count(NamedTuple):
    """How many runs there are in a bucket, and whether there are counts of its parts."""

    runs: int
    is_divided: bool


Counts = Mapping[int, Count]
"""Of each bucket that has any."""


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


def tops(db: Database, tenant: str, terms: Terms) -> Counts:
    """Return the counts of a tenant's runs in the buckets of the first level; together they are the total."""
    return _counts(db, tenant, terms, 0, _TOP)


def rank(db: Database, tenant: str, terms: Terms, counts: Counts, at_ms: int) -> tuple[int, Place | None]:
    """Return how many runs were created before `at_ms`, except those in the bucket that holds it.

    That bucket, undivided, is returned too, if there is any run in it: those have to be counted one by one.
    `counts`: the `tops`.
    """
    before, level, bucket = 0, 0, at_ms >> _SHIFTS[0]
    while True:
        before += _before(counts, bucket)
        if bucket not in counts:
            return before, None
        if not counts[bucket].is_divided:
            return before, _place(bucket, level, 0, counts)
        counts, level = _parts(db, tenant, terms, level, bucket), level + 1
        bucket = at_ms >> _SHIFTS[level]


def find(db: Database, tenant: str, terms: Terms, counts: Counts, position: int) -> Place:
    """Return the place of the run with `position` others before it, oldest first; there must be such a run.

    `counts`: the `tops`.
    """
    level = 0
    while True:
        bucket = next(each for each in sorted(counts) if position < _before(counts, each) + counts[each].runs)
        position -= _before(counts, bucket)
        if not counts[bucket].is_divided:
            return _place(bucket, level, position, counts)
        counts, level = _parts(db, tenant, terms, level, bucket), level + 1


def _before(counts: Counts, bucket: int) -> int:
    return sum(count.runs for each, count in counts.items() if each < bucket)


def _place(bucket: int, level: int, skipped: int, counts: Counts) -> Place:
    shift = _SHIFTS[level]
    return Place(bucket << shift, (bucket + 1) << shift, skipped, counts[bucket].runs)


def _parts(db: Database, tenant: str, terms: Terms, level: int, bucket: int) -> Counts:
    """Return the counts of the next level's buckets into which one is divided."""
    finer = _SHIFTS[level] - _SHIFTS[level + 1]
    return _counts(db, tenant, terms, level + 1, range(bucket << finer, (bucket + 1) << finer))


def _counts(db: Database, tenant: str, terms: Terms, level: int, buckets: Sequence[int]) -> Counts:
    """Return the counts of these buckets of a level."""
    ones, others = terms
    values = {"tenant": tenant, "shift": _SHIFTS[level]}
    values |= _named("bucket", buckets) | _named("one", ones) | _named("other", others)
    ((text,),) = _read(len(buckets), len(ones), len(others)).rows(db, **values)
    numbers = map(int, (text or "").split())
    return {
        bucket: Count(runs, bool(is_divided)) for bucket, runs, is_divided in zip(*[numbers] * 3, strict=True)
    }


def _named(name: str, values: Sequence[int]) -> dict[str, int]:
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
    """Return the statement that sums up so many terms for each of so many buckets.

    One row: bucket, sum and whether it is divided, in turn, as one text. To take rows one by one costs more than
    to sum up.
    """
    bucket, one, other = (
        ", ".join(f":{name}{n}" for n in range(number))
        for name, number in (("bucket", buckets), ("one", ones), ("other", others))
    )
    of_level = "tenant_id = (SELECT id FROM tenant WHERE name = :tenant) AND shift = :shift"
    sums = f"""SELECT bucket, sum(runs) AS runs FROM run_count
        WHERE {of_level} AND bucket IN ({bucket}) AND one IN ({one}) AND other IN ({other}) AND runs <> 0
        GROUP BY bucket"""  # noqa: S608 - our own names, as below
    divided = f"""SELECT max(CASE WHEN is_divided THEN 1 ELSE 0 END) FROM run_count AS whole
        WHERE whole.{of_level} AND whole.bucket = sums.bucket AND one = 0 AND other = 0"""  # noqa: S608
    count = f"CAST(sums.bucket AS TEXT) || ' ' || CAST(sums.runs AS TEXT) || ' ' || CAST(({divided}) AS TEXT)"
    return Statement(lambda db: written(f"SELECT {db.JOINED}({count}, ' ') FROM ({sums}) AS sums"))  # noqa: S608


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
