"""Deletes what has expired: items, and the deliveries that are derived from them."""

from collections.abc import Iterator

from notifhist.store.database import Database
from notifhist.store.deliveries.purge import purge as purge_deliveries


def purge(db: Database, oldest_ms: int, batch: int) -> Iterator[int]:
    """Delete what is older than `oldest_ms` (ms since the epoch), while others go on, and give the space back.

    Yields how many items were deleted, after each transaction. Raises OperationalError as `Database.purge`.
    """
    return db.purge(oldest_ms, batch, lambda before_ms: purge_deliveries(db, before_ms))
