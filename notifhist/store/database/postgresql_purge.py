"""How PostgreSQL deletes expired items: it drops the weeks that have expired as a whole, and deletes other items.

Several hosts may purge at the same moment: each counts what it has deleted itself.
"""

from collections.abc import Callable, Iterator

import peewee

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.database.dialect import Database, PurgeDerived
from notifhist.store.database.errors import is_undefined_table
from notifhist.store.database.partitions import ITEMS, WEEK_TICKS, Partitions
from notifhist.store.database.sql import changed, rows

_FEW_ITEMS = 10_000
"""Up to this many expired items of a week that has not expired as a whole are deleted; more stay."""


def count_expired(db: Database, partitions: Partitions, before: int) -> int:
    """See Database."""
    tables = [ITEMS.name_of(week) for week in _expired_weeks(partitions, before)]
    in_weeks = sum(_count(db, f"SELECT count(*) FROM {table}") for table in tables)
    in_other = _count(db, f"SELECT count(*) FROM {ITEMS.default} WHERE ticks < :before", before=before)
    return in_weeks + in_other + (_count_few(db, partitions, before) or 0)


def purge(
    db: Database, partitions: Partitions, oldest_ms: int, batch: int, purge_derived: PurgeDerived
) -> Iterator[int]:
    """See Database."""
    before = oldest_ms * TICKS_PER_MS
    for week in _expired_weeks(partitions, before):
        items = _count(db, f"SELECT count(*) FROM {ITEMS.name_of(week)}")
        if partitions.drop(week):
            yield items
    week = before // WEEK_TICKS
    few = _count_few(db, partitions, before)
    # Without items, too: one that was replaced amid a purge may have left its deliveries behind.
    yield from purge_derived(week * WEEK_TICKS // TICKS_PER_MS if few is None else oldest_ms)
    if few:
        yield _delete(db, f"DELETE FROM {ITEMS.name_of(week)} WHERE ticks < :before", before=before)
    key = "series_id, ticks, clock_and_node"
    some = f"SELECT {key} FROM {ITEMS.default} WHERE ticks < :before ORDER BY ticks LIMIT :batch"
    delete = f"DELETE FROM {ITEMS.default} WHERE ({key}) IN ({some})"
    deleted = batch
    while deleted == batch:
        deleted = _delete(db, delete, before=before, batch=batch)
        yield deleted


def _expired_weeks(partitions: Partitions, before: int) -> list[int]:
    return [week for week in partitions.weeks() if (week + 1) * WEEK_TICKS <= before]


def _count_few(db: Database, partitions: Partitions, before: int) -> int | None:
    """Return how many items of the week of `before` have expired; None if more than _FEW_ITEMS."""
    week = before // WEEK_TICKS
    if not partitions.exists(week):
        return 0
    some = f"SELECT 1 FROM {ITEMS.name_of(week)} WHERE ticks < :before LIMIT :limit"
    count = _count(db, f"SELECT count(*) FROM ({some}) AS few", before=before, limit=_FEW_ITEMS + 1)
    return count if count <= _FEW_ITEMS else None


def _count(db: Database, text: str, **values: int) -> int:
    return _unless_gone(lambda: int(rows(db, text, **values)[0][0]))


def _delete(db: Database, text: str, **values: int) -> int:
    """Delete items; one purge at a time, since two may meet the rows in different orders."""

    def delete() -> int:
        with db.writing():
            db.lock_name(ITEMS.table)
            return changed(db, text, **values)

    return _unless_gone(delete)


def _unless_gone(number: Callable[[], int]) -> int:
    """Return a number of items, 0 if another purge has dropped their table."""
    try:
        return number()
    except peewee.ProgrammingError as error:
        if not is_undefined_table(error):
            raise
        return 0
