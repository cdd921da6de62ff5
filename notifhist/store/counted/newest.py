"""The newest part of time in which there is a record of a pair of filter values, by the stored counts alone."""

from collections.abc import Collection, Iterable

from notifhist.store.counted.ranges import Range
from notifhist.store.counted.table import PARTS, Counted, Pair
from notifhist.store.database import Database
from notifhist.store.database.sql import rows

_PARAM = {"first": "bigint", "second": "bigint", "number": "bigint"}
_OF = "tenant_id = :tenant_id AND level = :level AND bucket = param.number"
MOST_BUCKETS = 64
"""So many buckets of the first level are looked at, the newest ones; one of the deliveries has 256 days."""


def newest_parts(
    db: Database, table: Counted, tenant_id: int, pairs: Collection[Pair], within: Range
) -> dict[Pair, Range]:
    """Return for each pair the newest part of time that has a record of it: a few at most, or of the shortest length.

    No part begins after the range, but it may end after it, with all its records there. A pair without any is
    left out. One query for each level, whatever the number of records.
    """
    bucket_ms = table.levels[0].bucket_ms
    last = (within.end - 1) // bucket_ms
    first = max(within.begin // bucket_ms, last - MOST_BUCKETS + 1)
    wanted = {(pair, number) for pair in pairs for number in range(first, last + 1)}
    found: dict[Pair, Range] = {}
    for depth, level in enumerate(table.levels):
        last_part = (within.end - 1) // level.part_ms
        parts = _newest(db, table, tenant_id, depth, wanted, last_part) if wanted else {}
        found |= {pair: Range(part * level.part_ms, (part + 1) * level.part_ms) for pair, (part, _) in parts.items()}
        wanted = {(pair, part) for pair, (part, is_split) in parts.items() if is_split}
    return found


def _newest(
    db: Database, table: Counted, tenant_id: int, depth: int, wanted: Iterable[tuple[Pair, int]], last_part: int
) -> dict[Pair, tuple[int, bool]]:
    """Return for each pair its newest part, up to a last one, in some buckets of a level, and whether that is split."""
    level, counts = table.levels[depth], table.counts.name
    split = f"SELECT split_mask FROM {counts} WHERE {_OF} AND first_filter = 0 AND second_filter = 0"
    text = f"""SELECT first, second, number, ({split}), {", ".join(PARTS[: level.parts])}
    FROM {db.param_table(_PARAM)} CROSS JOIN {counts}
    WHERE {_OF} AND first_filter = param.first AND second_filter = param.second"""
    param = db.param_value(_PARAM, [(*pair, number) for pair, number in wanted])
    newest: dict[Pair, tuple[int, bool]] = {}
    for first, second, number, mask, *numbers in rows(db, text, tenant_id=tenant_id, level=level.number, param=param):
        if filled := [n for n, count in enumerate(numbers) if count > 0 and number * level.parts + n <= last_part]:
            part = number * level.parts + filled[-1], bool(mask >> filled[-1] & 1)
            newest[first, second] = max(newest.get((first, second), part), part)
    return newest
