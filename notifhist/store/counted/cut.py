"""How the counts follow when the oldest records of a tenant are deleted."""

from notifhist.store.counted.counts import PairsOfRecords
from notifhist.store.counted.table import PARTS, Counted, Level
from notifhist.store.database import Database
from notifhist.store.database.sql import changed, first, rows

_ROWS_AT_ONCE = 20_000
"""About so many count rows one transaction deletes: they are about as many as the records."""

_BUCKET = "tenant_id = :tenant_id AND level = :level AND bucket = :bucket"


def cut(db: Database, table: Counted, tenant_id: int, before_ms: int) -> None:
    """Take all records before a time out of the counts; they have been deleted before, in this transaction.

    What it costs does not depend on how many records are left. The tenant's name is locked.
    """
    delete = f"DELETE FROM {table.counts.name} WHERE tenant_id = :tenant_id AND level = :level AND bucket < :bucket"
    for level in table.levels:
        changed(db, delete, tenant_id=tenant_id, level=level.number, bucket=before_ms // level.bucket_ms)
    _cut_bucket(db, table, tenant_id, before_ms, 0)


def end_of_step(db: Database, table: Counted, tenant_id: int, before_ms: int) -> int:
    """Return the time, up to `before_ms`, to `cut` at next, so that no transaction deletes too many count rows."""
    following = f"""SELECT bucket FROM {table.counts.name} WHERE tenant_id = :tenant_id AND level = :level
    ORDER BY bucket LIMIT 1 OFFSET {_ROWS_AT_ONCE}"""
    for level in table.levels:
        if found := first(db, following, tenant_id=tenant_id, level=level.number):
            before_ms = min(before_ms, (found[0] + 1) * level.bucket_ms)
    return before_ms


def _cut_bucket(db: Database, table: Counted, tenant_id: int, before_ms: int, depth: int) -> None:
    """Correct the counts of the bucket of a level that holds the time: those before it are 0."""
    level = table.levels[depth]
    part, rest_ms = divmod(before_ms, level.part_ms)
    bucket, index = divmod(part, level.parts)
    of_bucket = {"tenant_id": tenant_id, "level": level.number, "bucket": bucket}
    whole = f"SELECT split_mask FROM {table.counts.name} WHERE {_BUCKET} AND first_filter = 0 AND second_filter = 0"
    if (found := first(db, whole, **of_bucket)) is None:
        return
    values = {PARTS[n]: "0" for n in range(index)}
    if rest_ms and found[0] >> index & 1:
        _cut_bucket(db, table, tenant_id, before_ms, depth + 1)
        values[PARTS[index]] = _sum_of_parts(table)
        _set_parts(db, table, of_bucket | {"below": table.levels[depth + 1].number, "part": part}, values)
    elif rest_ms:
        _set_parts(db, table, of_bucket, values | {PARTS[index]: "0"})
        _recount(db, table, tenant_id, level, part)
    else:
        _set_parts(db, table, of_bucket, values)
    empty = " AND ".join(f"{name} = 0" for name in PARTS)
    delete = f"DELETE FROM {table.counts.name} WHERE {_BUCKET} AND first_filter <> 0 AND {empty}"
    changed(db, delete, **of_bucket)


def _set_parts(db: Database, table: Counted, of_bucket: dict[str, int], values: dict[str, str]) -> None:
    """Give parts of a bucket new values, which are SQL, where these differ.

    A part that was split stays so: it has no count rows of its own, which is right for 0 records.
    """
    if values:
        changes = ", ".join(f"{name} = {value}" for name, value in values.items())
        differs = " OR ".join(f"{name} <> {value}" for name, value in values.items())
        update = f"UPDATE {table.counts.name} SET {changes} WHERE {_BUCKET} AND ({differs})"
        changed(db, update, **of_bucket)


def _sum_of_parts(table: Counted) -> str:
    """Return how many records a part has that is split, whose own parts are right already."""
    counts = table.counts.name
    is_part = " AND ".join(f"below.{name} = {counts}.{name}" for name in ("tenant_id", "first_filter", "second_filter"))
    total = " + ".join(f"below.{name}" for name in PARTS)
    return f"""coalesce((SELECT {total} FROM {counts} AS below
        WHERE {is_part} AND below.level = :below AND below.bucket = :part), 0)"""


def _recount(db: Database, table: Counted, tenant_id: int, level: Level, part: int) -> None:
    """Count the records of a part that is not split, whose counts are 0."""
    part_units = level.part_ms * table.units_per_ms
    codes = ", ".join(table.codes)
    select = f"""SELECT {codes}, count(*) FROM {table.name}
    WHERE tenant_id = :tenant_id AND {table.time} >= :begin AND {table.time} < :end GROUP BY {codes}"""
    begin = part * part_units
    found = rows(db, select, tenant_id=tenant_id, begin=begin, end=begin + part_units)
    counted = PairsOfRecords(table).summed({tuple(record): count for *record, count in found})
    bucket, index = divmod(part, level.parts)
    zeros = [0] * len(PARTS)
    new = [
        (tenant_id, level.number, bucket, *table.split(pair), *zeros[:index], count, *zeros[index + 1 :])
        for pair, count in sorted(counted.items())
    ]
    if found:
        db.insert_or_add(table.counts, new)
