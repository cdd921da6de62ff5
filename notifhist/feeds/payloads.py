"""Reading payloads: JSON, and the values in it, of which none can be trusted to have its type."""

import re
from datetime import UTC, datetime
from typing import Any

import orjson

from notifhist.errors import Malformed
from notifhist.schemas.document import Document
from notifhist.schemas.fields import MAX_TICKS

MAX_LEVELS = 16
"""How deep a value may be nested that is copied into an item as it is; an item has at most 64 levels."""
_BOM = b"\xef\xbb\xbf"
_TICKS_PER_S = 10_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[-+]\d\d:?\d\d)", re.ASCII)


def read_json(body: bytes) -> Any:
    """Return the value of a JSON body. Raises Malformed, with line and column.

    Unlike a document that a client records, a payload is read by orjson, at a tenth of the time: it is not kept as it
    came, so a repeated member or a rounded number of it does no harm.
    """
    try:
        return orjson.loads(body.removeprefix(_BOM))
    except orjson.JSONDecodeError as error:
        raise Malformed("The body is not JSON.", error.msg, error.lineno, error.colno) from None


def text(value: Any) -> str:
    """Return a text, "" for any other value."""
    return value if isinstance(value, str) else ""


def members(value: Any) -> Document:
    """Return a map, an empty one for any other value."""
    return value if isinstance(value, dict) else {}


def elements(value: Any) -> list[Any]:
    """Return a list, an empty one for any other value."""
    return value if isinstance(value, list) else []


def texts(value: Any) -> dict[str, str]:
    """Return those members of a map that are texts, such as labels."""
    return {name: each for name, each in members(value).items() if isinstance(each, str)}


def kept(value: Any, levels: int = MAX_LEVELS) -> Any:
    """Return a value that an item may keep as it is; of one that is nested too deeply, None at the last level."""
    if isinstance(value, dict):
        return {name: kept(each, levels - 1) for name, each in value.items()} if levels else None
    if isinstance(value, list):
        return [kept(each, levels - 1) for each in value] if levels else None
    return value


def without_empty(**named: Any) -> Document:
    """Return those members that are there: neither None nor an empty text, list or map."""
    return {name: value for name, value in named.items() if value or value in (0, False)}


def ticks_of(value: Any) -> int | None:
    """Return the time of an RFC 3339 text in 100 ns since the epoch, truncated.

    None for anything else, and for a time that no item id holds: before 1970, or after the year 5236.
    """
    if not (matched := _RFC3339.fullmatch(text(value))):
        return None
    date, time, fraction, zone = matched.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{time}{zone.upper()}")
    except ValueError:
        return None
    since = moment - _EPOCH
    ticks = (since.days * 86_400 + since.seconds) * _TICKS_PER_S + int((fraction or "0").ljust(9, "0")[:7])
    return ticks if 0 <= ticks <= MAX_TICKS else None
