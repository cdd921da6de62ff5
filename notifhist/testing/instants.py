"""Points in time as tests write them."""

from __future__ import annotations

import datetime as dt

When = str | int | dt.datetime | dt.date
"""An ISO date-time, ms since the epoch, or what Python's `datetime` has; without a zone it is UTC."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)


def ms_of(when: When) -> int:
    """Return ms since the epoch, UTC, floored. Raises ValueError for a text that the service takes for no time."""
    if not isinstance(when, dt.date):  # every date-time is a date
        from notifhist.schemas.instants import parse_instant

        return parse_instant(str(when))
    if not isinstance(when, dt.datetime):
        when = dt.datetime(when.year, when.month, when.day, tzinfo=dt.UTC)
    if when.tzinfo is None:
        when = when.replace(tzinfo=dt.UTC)
    return (when - _EPOCH) // _MS
