"""The stored counts of records, by which a total and the way to a deep page cost the same at any size.

Time is divided into buckets, and each bucket into 16 parts, which are buckets in turn. A count row has, for one pair of
filter values (`Counted.pairs_of`), the number of records in each part of a bucket. So a total with up to two filters is
a sum of few rows. A part with many records is split: it has rows of its own; few records have few rows. Counts change
in the transaction that changes the records; a tenant has one such transaction at a time (`Database.lock_name`).
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, groupby

from notifhist.store.counted.table import PARTS, Codes, Counted, Level
from notifhist.store.database import Database
from notifhist.store.database.sql import rows

SPLIT_ABOVE = 1000
"""A part with more records is split; up to this many are counted or skipped one by one."""

_FEW_BUCKETS = 4
"""Each of so many is changed by a statement of its own, which has the columns of those parts alone that change."""
_MANY_RECORDS = 100
"""So many are counted filter by filter. Of fewer, the pairs of each are made once and known on all levels."""

Change = tuple[int, Codes]
"""A record as it is counted: its time (ms since the epoch, UTC) and its codes."""
_Summed = Mapping[int, int]
"""Pairs (`Counted.pairs_of`), each with a number of records."""


class PairsOfRecords:
    """The pairs that records count as, by their codes: they are the same on all levels."""

    def __init__(self, table: Counted) -> None:
        self._table = table
        self._of_codes = _PairsOfCodes(table)
        self._summed: dict[frozenset[tuple[Codes, int]], _Summed] = {}

    def summed(self, numbers: Mapping[Codes, int]) -> _Summed:
        """Return each pair with the number of the records that count as it.

        `numbers`: how many records there are of each codes. Records of one time are the same part of each level: for a
        thousand of them at once, to add them up once saves a third of the time of all counts.
        """
        key = frozenset(numbers.items())
        if (summed := self._summed.get(key)) is None:
            sums: Counter[int] = Counter()
            by_number: dict[int, list[Codes]] = defaultdict(list)
            for codes, number in key:
                by_number[number].append(codes)
            for number, some in by_number.items():
                times = self._times(some)
                sums.update(times if number == 1 else {pair: number * count for pair, count in times.items()})
            summed = self._summed[key] = sums
        return summed

    def _times(self, records: Collection[Codes]) -> Mapping[int, int]:
        if len(records) >= _MANY_RECORDS:
            return self._table.count_pairs(records)
        return Counter(chain.from_iterable(map(self._of_codes.__getitem__, records)))


class _PairsOfCodes(dict[Codes, list[int]]):
    """The pairs of codes, made when they are asked for first."""

    def __init__(self, table: Counted) -> None:
        self._table = table

    def __missing__(self, codes: Codes) -> list[int]:
        pairs = self[codes] = self._table.pairs_of(codes)
        return pairs


def change(db: Database, table: Counted, tenant_id: int, changes: Mapping[Change, int]) -> None:
    """Add `changes` to the counts; the records themselves have been changed before, in this transaction."""
    _change(db, table, tenant_id, changes, 0, PairsOfRecords(table))


def _change(
    db: Database, table: Counted, tenant_id: int, changes: Mapping[Change, int], depth: int, pairs: PairsOfRecords
) -> None:
    if not changes:
        return
    level = table.levels[depth]
    of_parts: dict[int, Counter[Codes]] = defaultdict(Counter)
    for (time_ms, codes), count in changes.items():
        of_parts[time_ms // level.part_ms][codes] += count
    summed = {part: pairs.summed(numbers) for part, numbers in of_parts.items()}
    _add(db, table, tenant_id, level, summed)
    if depth + 1 == len(table.levels):
        return
    below: Counter[Change] = Counter()
    split, full = _split_and_full(db, table, tenant_id, level, of_parts.keys())
    if split:
        below.update({each: count for each, count in changes.items() if each[0] // level.part_ms in split})
    for part in full:
        below.update(_recorded(db, table, tenant_id, depth + 1, part))
    _mark_split(db, table, tenant_id, level, full)
    _change(db, table, tenant_id, below, depth + 1, pairs)


def _add(db: Database, table: Counted, tenant_id: int, level: Level, summed: Mapping[int, _Summed]) -> None:
    """Add the pairs of each part to the counts of a level."""
    buckets = [
        ((tenant_id, level.number, bucket), {PARTS[part % level.parts]: summed[part] for part in parts})
        for bucket, parts in groupby(sorted(summed), key=lambda part: part // level.parts)
    ]
    if len(buckets) <= _FEW_BUCKETS:
        for key, pairs in buckets:
            db.insert_or_add(table.counts, _rows(table, key, list(pairs), pairs), (*table.counts.key, *pairs))
    else:
        all_rows = chain.from_iterable(_rows(table, key, PARTS, pairs) for key, pairs in buckets)
        db.insert_or_add(table.counts, all_rows)


def _rows(
    table: Counted, key: tuple[int, ...], columns: Sequence[str], pairs_of: Mapping[str, _Summed]
) -> Iterator[tuple[int, ...]]:
    """Yield the count rows of a bucket with some of the columns PARTS, of which all are 0 but those in `pairs_of`.

    In the order of their keys.
    """
    counts: dict[int, list[int]] = {}
    nothing = [0] * len(columns)
    for column, pairs in pairs_of.items():
        place = columns.index(column)
        for pair, count in pairs.items():
            if (row := counts.get(pair)) is None:
                row = counts[pair] = nothing.copy()
            row[place] = count
    for pair in sorted(counts):
        yield (*key, *table.split(pair), *counts[pair])


def _split_and_full(
    db: Database, table: Counted, tenant_id: int, level: Level, parts: Collection[int]
) -> tuple[set[int], list[int]]:
    """Return the parts of buckets that are split, and those that have to be split now."""
    split, full = set(), []
    whole_bucket = f"SELECT split_mask, {', '.join(PARTS)} FROM {table.counts.name} WHERE {_WHOLE_BUCKET}"
    for bucket, its_parts in groupby(sorted(parts), key=lambda part: part // level.parts):
        ((mask, *counts),) = rows(db, whole_bucket, tenant_id=tenant_id, level=level.number, bucket=bucket)
        for part in its_parts:
            if mask >> part % level.parts & 1:
                split.add(part)
            elif counts[part % level.parts] > SPLIT_ABOVE * table.coarseness:
                full.append(part)
    return split, full


def _mark_split(db: Database, table: Counted, tenant_id: int, level: Level, parts: list[int]) -> None:
    marks = [
        {"mask": 1 << part % level.parts, "tenant_id": tenant_id, "level": level.number, "bucket": part // level.parts}
        for part in parts
    ]
    if marks:
        update = f"UPDATE {table.counts.name} SET split_mask = split_mask | :mask"
        db.execute_many(f"{update} WHERE {_WHOLE_BUCKET}", marks)


def _recorded(db: Database, table: Counted, tenant_id: int, depth: int, bucket: int) -> Counter[Change]:
    """Return the records of a bucket of a level, grouped by part and codes, as changes."""
    level = table.levels[depth]
    part_units = level.part_ms * table.units_per_ms
    begin = bucket * level.parts * part_units
    values = {"begin": begin, "end": begin + level.parts * part_units, "part_units": part_units}
    codes = ", ".join(table.codes)
    # The difference is never negative: SQL would round towards zero.
    select = f"""SELECT ({table.time} - :begin) / :part_units, {codes}, count(*) FROM {table.name}
    WHERE tenant_id = :tenant_id AND {table.time} >= :begin AND {table.time} < :end GROUP BY 1, {codes}"""
    found = rows(db, select, tenant_id=tenant_id, **values)
    first = bucket * level.parts
    return Counter({((first + part) * level.part_ms, tuple(codes)): count for part, *codes, count in found})


_WHOLE_BUCKET = """tenant_id = :tenant_id AND level = :level AND bucket = :bucket
    AND first_filter = 0 AND second_filter = 0"""
