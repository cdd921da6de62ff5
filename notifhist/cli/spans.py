"""Spans of time as options give them: a whole number and a unit, such as 12h."""

import re

_SPAN = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def span_s(text: str) -> int | None:
    """Return a span in seconds; None for what is none."""
    matched = _SPAN.fullmatch(text)
    return int(matched[1]) * _SECONDS[matched[2]] if matched else None
