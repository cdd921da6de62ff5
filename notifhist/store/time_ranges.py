"""The keys between which a time series is read, as `ItemKey`s."""

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.item_ids import ItemKey, key_of
from notifhist.schemas.query import TimeSeriesQuery

_MIN_BIGINT, _MAX_BIGINT = -(2**63), 2**63 - 1


def key_range(query: TimeSeriesQuery, oldest_ms: int | None) -> tuple[ItemKey, ItemKey]:
    """Return the first and the last key that a page may have, both inclusive; nothing older than `oldest_ms`."""
    low = ItemKey(max(low_ticks(query.from_ms), low_ticks(oldest_ms)), _MIN_BIGINT)
    high = ItemKey(_high_ticks(query.to_ms), _MAX_BIGINT)
    return from_marker(low, high, query.marker, query.reverse)


def from_marker(low: ItemKey, high: ItemKey, marker: str | None, reverse: bool) -> tuple[ItemKey, ItemKey]:
    """Return what is left of a range of keys from a marker on, the id of the first item of a page."""
    if marker is None:
        return low, high
    key = key_of(marker)
    return (low, min(high, key)) if reverse else (max(low, key), high)


def low_ticks(ms: int | None) -> int:
    """Return the first tick of the millisecond `ms`, within the range of the column."""
    return _MIN_BIGINT if ms is None else min(max(ms * TICKS_PER_MS, _MIN_BIGINT), _MAX_BIGINT)


def _high_ticks(ms: int) -> int:
    """Return the last tick of the millisecond `ms`, within the range of the column."""
    return min(max(ms * TICKS_PER_MS + TICKS_PER_MS - 1, _MIN_BIGINT), _MAX_BIGINT)
