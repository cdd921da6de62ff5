"""Times as people read them; pure."""

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any
from urllib.parse import quote, urlsplit

from notifhist.auth import beginning
from notifhist.schemas.fields import MAX_TIMESTAMP
from notifhist.schemas.instants import format_instant

MOST_PAIRS = 100
MOST_LINKED = 2000
"""No link has a recorded text that is longer, percent-encoded: the page would have 10 MB, and proxies refuse it."""
_MS = {"s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def iso(ms: int) -> str:
    """Return a time in ms since the epoch as ISO, UTC, for `<time datetime>`."""
    return format_instant(min(max(ms, 0), MAX_TIMESTAMP)).replace(".000Z", "Z")


def utc(ms: int) -> str:
    """Return a time in ms since the epoch as `2011-11-10 00:39:04`, UTC."""
    return iso(ms)[:19].replace("T", " ")


def span(ms: int) -> str:
    """Return a length of time in words of one unit, such as `3 min`."""
    unit = next((unit for unit in reversed(_MS) if ms >= 2 * _MS[unit]), "s")
    return f"{max(ms, 0) // _MS[unit]} {unit}"


def age(ms: int, now_ms: int) -> str:
    """Return how long ago a time was, such as `3 min ago`, or `in 2 h` for one to come."""
    return f"{span(now_ms - ms)} ago" if ms <= now_ms else f"in {span(ms - now_ms)}"


def short(text: object, length: int) -> str:
    """Return a text of at most `length` characters, the last of which is an ellipsis where it was longer."""
    whole = str(text)
    return whole if len(whole) <= length else f"{beginning(whole, length - 1)}…"


def moment(value: object) -> str:
    """Return a time that a feed has written in its own way: ms since the epoch as UTC, a text as it is."""
    is_ms = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TIMESTAMP
    return f"{utc(value)} UTC" if is_ms and isinstance(value, int) else short(value, 60)


def pairs(free: object) -> list[tuple[str, str]]:
    """Return the first MOST_PAIRS members of a free map, with their values as text; what is no map has none."""
    if not isinstance(free, Mapping):
        return []
    return [(name, _text(value)) for name, value in islice(free.items(), MOST_PAIRS)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def may_be_linked(text: str) -> bool:
    """Say whether a recorded text is short enough for the URL of a link: one may have 10 MB, an id has 30 or so."""
    return len(text) <= MOST_LINKED and len(quote(text, safe="", errors="replace")) <= MOST_LINKED


def link_of(target: str | None) -> str | None:
    """Return the target if it is a URL that a browser may be sent to: http and https alone, nothing that runs."""
    if target is None or len(target) > MOST_LINKED or not target.isprintable():
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    return target if parts.scheme in ("http", "https") and parts.netloc else None
