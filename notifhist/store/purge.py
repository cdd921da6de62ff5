"""Deletes what has expired: items, and the deliveries that are derived from them. Tells when that was done last."""

from collections.abc import Iterator

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.database import Database
from notifhist.store.database.sql import first
from notifhist.store.deliveries.purge import purge as purge_deliveries
from notifhist.store.meta import get_meta, set_meta

_LAST_PURGE = "last purge"


def purge(db: Database, oldest_ms: int, batch: int) -> Iterator[int]:
    """Delete what is older than `oldest_ms` (ms since the epoch), while others go on, and give the space back.

    Yields how many items were deleted, after each transaction. Raises OperationalError as `Database.purge`.
    """
    return db.purge(oldest_ms, batch, lambda before_ms: purge_deliveries(db, before_ms))


def note_purge(db: Database, now_ms: int) -> None:
    """Note that a purge has come to its end, at `now_ms` (ms since the epoch)."""
    set_meta(db, _LAST_PURGE, str(now_ms))


def last_purge_ms(db: Database) -> int | None:
    """Return when a purge came to its end last, ms since the epoch; None if none has been noted."""
    noted = get_meta(db, _LAST_PURGE)
    return None if noted is None else int(noted)


def has_older_items(db: Database, before_ms: int) -> bool:
    """Say whether there is an item from before a time (ms since the epoch)."""
    return first(db, db.has_older, before=before_ms * TICKS_PER_MS) is not None
