"""How expired deliveries are deleted: tenant by tenant and the oldest first, with their counts."""

from collections.abc import Iterator

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.counted.cut import cut, end_of_step
from notifhist.store.database import Database
from notifhist.store.database.sql import changed, first, rows
from notifhist.store.deliveries.table import DELIVERIES

_AT_ONCE = 1000
"""About so many deliveries one transaction deletes. Of 500 on SQLite, half the time would be that of the counts."""
_IS_OLD = "tenant_id = :tenant_id AND ticks < :before"
_OLDEST = f"SELECT ticks FROM delivery WHERE {_IS_OLD} ORDER BY ticks LIMIT 1 OFFSET :skipped"


def purge(db: Database, before_ms: int) -> Iterator[int]:
    """Delete the deliveries of before a time (ms since the epoch), some in each transaction. Names keep their codes.

    Yields 0 after each transaction: what `notifhist purge` reports is items.
    """
    for tenant_id, tenant in rows(db, "SELECT id, name FROM tenant ORDER BY id"):
        is_done = False
        while not is_done:
            with db.pausing_after(), db.writing():
                db.lock_name(tenant)
                is_done = _purge_some(db, tenant_id, before_ms)
            yield 0


def _purge_some(db: Database, tenant_id: int, before_ms: int) -> bool:
    """Delete a tenant's oldest deliveries; return whether none of before the time are left."""
    end_ms = _end_of_batch(db, tenant_id, before_ms)
    end_ms = end_of_step(db, DELIVERIES, tenant_id, end_ms)
    old = {"tenant_id": tenant_id, "before": end_ms * TICKS_PER_MS}
    changed(db, f"DELETE FROM delivery_recent WHERE {_IS_OLD}", **old)
    db.delete_searchable(DELIVERIES.name, _IS_OLD, old)
    cut(db, DELIVERIES, tenant_id, end_ms)
    if end_ms < before_ms:
        return False
    # It reads all series of the tenant, so once; nobody is shown what has expired meanwhile.
    changed(db, f"DELETE FROM series_newest WHERE {_IS_OLD}", **old)
    return True


def _end_of_batch(db: Database, tenant_id: int, before_ms: int) -> int:
    """Return the time, up to `before_ms`, before which there are about _AT_ONCE deliveries, and at least one."""
    old = {"tenant_id": tenant_id, "before": before_ms * TICKS_PER_MS}
    if (after := first(db, _OLDEST, **old, skipped=_AT_ONCE)) is None:
        return before_ms
    oldest = first(db, _OLDEST, **old, skipped=0) or after
    return max(int(after[0]) // TICKS_PER_MS, int(oldest[0]) // TICKS_PER_MS + 1)
