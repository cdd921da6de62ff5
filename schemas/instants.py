"""Points in time as text: dates as people, databases and programs write them, and as the service writes them."""

import datetime as dt
import re

from notifhist.schemas.numbers import is_integer

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)
_LAST_MS_OF_DAY = 24 * 60 * 60 * 1000 - 1
MIN_INSTANT = (dt.datetime.min.replace(tzinfo=dt.UTC) - _EPOCH) // _MS
MAX_INSTANT = (dt.datetime.max.replace(tzinfo=dt.UTC) - _EPOCH) // _MS

_TIME = "[0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2}(?:[.,][0-9]+)?)?)?"
"""Python's own parser takes a fraction of a minute for one of a second."""
_MOMENT = re.compile(rf"([0-9W-]{{8,10}})(?:[Tt ]({_TIME})(?: ?([Zz]|[-+ ][0-9:]{{2,6}}))?)?")
"""Date, time and zone."""
NO_INSTANT = "Not an ISO date and time such as 2024-07-29T15:51:28.071Z."


def parse_instant(text: str, *, ends_day: bool = False) -> int:
    """Return ms since the epoch, floored, of an ISO date and time (no zone: UTC) or of a number of ms.

    A date alone is the first millisecond of its day, or the last one if `ends_day`. A blank counts as the `+` of a
    zone: that is how a `+` arrives that was not escaped in a query string. Raises ValueError.
    """
    if is_integer(text):
        instant = int(text)
    elif matched := _MOMENT.fullmatch(text):
        date, time, zone = matched.groups()
        try:
            moment = dt.datetime.fromisoformat(f"{date}T{time or '00'}{(zone or 'Z').upper().replace(' ', '+')}")
        except ValueError:
            raise ValueError(NO_INSTANT) from None
        instant = (moment - _EPOCH) // _MS + (_LAST_MS_OF_DAY if ends_day and time is None else 0)
    else:
        raise ValueError(NO_INSTANT)
    if not MIN_INSTANT <= instant <= MAX_INSTANT:
        raise ValueError("Not within the years 1 to 9999.")
    return instant


def format_instant(instant: int) -> str:
    """Return `instant` (ms since the epoch, UTC) as ISO with milliseconds and `Z`."""
    return (_EPOCH + instant * _MS).isoformat(timespec="milliseconds").replace("+00:00", "Z")
