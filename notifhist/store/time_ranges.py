"""A page of a time series, and the keys between which it is read, as `ItemKey`s."""

from dataclasses import dataclass

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.item_ids import ItemKey, key_of
from notifhist.schemas.query import TimeSeriesQuery
from notifhist.serializers.stored import StoredPage

_MIN_BIGINT, _MAX_BIGINT = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class SeriesPage:
    """A page: its documents, how many there are on it, and the id of the first one after it."""

    documents: StoredPage
    count: int
    next_marker: str | None


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
