"""The stored counts of records, by which a total and the way to a deep page cost the same at any size.

Time is divided into buckets, and each bucket into 16 parts, which are buckets in turn. A count row has, for one pair of
filter values (`table.pairs_of`), the number of records in each part of a bucket. So a total with up to two filters is
a sum of few rows. A part with many records is split: it has rows of its own; few records have few rows. Counts change
in the transaction that changes the records; a tenant has one such transaction at a time (`Database.lock_name`).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import groupby

from notifhist.schemas.instants import MAX_INSTANT, MIN_INSTANT
from notifhist.store.counted.table import PART_BITS, PARTS, Codes, CountedTable, pairs_of
from notifhist.store.database import Database
from notifhist.store.database.sql import rows

SHIFTS = tuple(range(48, 0, -PART_BITS))
"""A bucket of the level is 2^shift ms long, and each of its parts a sixteenth of that: 557 years, 35 years, 2.2
years, 50 days, 3 days, 4.7 hours …"""
ROOTS = range(MIN_INSTANT >> SHIFTS[0], (MAX_INSTANT >> SHIFTS[0]) + 1)
"""The buckets of the first level: they hold the years 1 to 9999."""
_SPLIT_ABOVE = 1000
"""A part with more records is split; up to this many are counted or skipped one by one."""

Change = tuple[int, Codes]
"""A record as it is counted: its `date_created` (ms) and its codes."""


def change(db: Database, table: CountedTable, tenant_id: int, changes: Mapping[Change, int], level: int = 0) -> None:
    """Add `changes` to the counts; the records themselves have been changed before, in this transaction."""
    if not changes:
        return
    shift = SHIFTS[level]
    finer = shift - PART_BITS
    counts: dict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0] * len(PARTS))
    for (date_created, codes), count in changes.items():
        for pair in pairs_of(codes):
            counts[date_created >> shift, *pair][index_of_part(date_created >> finer)] += count
    db.insert_or_add(table.counts, sorted((tenant_id, shift, *key, *parts) for key, parts in counts.items()))
    if level + 1 == len(SHIFTS):
        return
    below: Counter[Change] = Counter()
    split, full = _split_and_full(db, table, tenant_id, shift, {at >> finer for at, _ in changes})
    for (date_created, codes), count in changes.items():
        if date_created >> finer in split:
            below[date_created, codes] += count
    for part in full:
        below.update(_recorded(db, table, tenant_id, part, finer))
    _mark_split(db, table, tenant_id, shift, full)
    change(db, table, tenant_id, below, level + 1)


def index_of_part(part: int) -> int:
    """Return which of the parts of its bucket a part is, from 0 on."""
    return part & (len(PARTS) - 1)


def _split_and_full(
    db: Database, table: CountedTable, tenant_id: int, shift: int, parts: set[int]
) -> tuple[set[int], list[int]]:
    """Return the parts of buckets that are split, and those that have to be split now."""
    split, full = set(), []
    whole_bucket = f"SELECT split_mask, {', '.join(PARTS)} FROM {table.counts.name} WHERE {_WHOLE_BUCKET}"
    for bucket, its_parts in groupby(sorted(parts), key=lambda part: part >> PART_BITS):
        ((mask, *counts),) = rows(db, whole_bucket, tenant_id=tenant_id, shift=shift, bucket=bucket)
        for part in its_parts:
            if mask >> index_of_part(part) & 1:
                split.add(part)
            elif counts[index_of_part(part)] > _SPLIT_ABOVE:
                full.append(part)
    return split, full


def _mark_split(db: Database, table: CountedTable, tenant_id: int, shift: int, parts: list[int]) -> None:
    marks = [
        {"mask": 1 << index_of_part(part), "tenant_id": tenant_id, "shift": shift, "bucket": part >> PART_BITS}
        for part in parts
    ]
    if marks:
        update = f"UPDATE {table.counts.name} SET split_mask = split_mask | :mask"
        db.execute_many(f"{update} WHERE {_WHOLE_BUCKET}", marks)


def _recorded(db: Database, table: CountedTable, tenant_id: int, bucket: int, shift: int) -> Counter[Change]:
    """Return the records of a bucket, grouped by part and codes, as changes."""
    finer = shift - PART_BITS
    values = {"begin": bucket << shift, "end": (bucket + 1) << shift, "finer": finer}
    codes = ", ".join(table.codes)
    select = f"""SELECT date_created >> :finer, {codes}, count(*) FROM {table.name}
    WHERE tenant_id = :tenant_id AND date_created >= :begin AND date_created < :end GROUP BY 1, {codes}"""
    found = rows(db, select, tenant_id=tenant_id, **values)
    return Counter({(part << finer, tuple(codes)): count for part, *codes, count in found})


_WHOLE_BUCKET = """tenant_id = :tenant_id AND shift = :shift AND bucket = :bucket
    AND first_filter = 0 AND second_filter = 0"""
