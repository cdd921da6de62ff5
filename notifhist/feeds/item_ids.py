"""Ids of derived items: the same notification, received again, has the same id."""

from notifhist.schemas.item_ids import hashed_key, id_of


def item_id(ticks: int, *parts: str) -> str:
    """Return the id of an item of a time (100 ns since the epoch) and of what tells it from others of that time.

    It is a version-1 UUID, whose last half is a hash of `parts`, joined by U+0000. Ids are unique within a check
    only: items of several checks may share one, and that means: the same notification.
    """
    return id_of(hashed_key(ticks, "\0".join(parts).encode()))
