"""Expiry: what is not shown any more is deleted, and its space given back, while everybody else goes on.

`oldest_ms`: the time before which everything has expired, ms since the epoch, UTC.
"""

from collections.abc import Iterator

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.database import Database


def count_expired(db: Database, oldest_ms: int) -> int:
    """Return how many items `purge` will delete."""
    return db.count_expired(oldest_ms * TICKS_PER_MS)


def purge(db: Database, oldest_ms: int, batch: int) -> Iterator[int]:
    """Delete what has expired and give its space back; yield how many items, after each transaction.

    SQLite deletes up to `batch` items at once. PostgreSQL does so in the default partition, and drops each week
    that has expired as a whole. Of the week in which `oldest_ms` lies the expired items are deleted if they are
    few; many stay until that week is over. Raises OperationalError where a week is in use all the time.
    """
    return db.purge(oldest_ms * TICKS_PER_MS, batch)
