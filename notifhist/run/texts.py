"""What a command is called with and what it writes, as texts of a bounded length, redacted."""

import re
from collections.abc import Sequence

TAIL_BYTES = 4096
"""How much is kept of the end of each stream."""
_ARGUMENT_CHARS, _ARGUMENTS_CHARS = 500, 4000
_CUT = "…"
_REDACTED = "***"


def shorten(argv: Sequence[str]) -> list[str]:
    """Return the arguments, long ones cut, and `…` for those beyond 4,000 characters in all."""
    kept: list[str] = []
    room = _ARGUMENTS_CHARS
    for text in argv:
        short = text if len(text) <= _ARGUMENT_CHARS else text[: _ARGUMENT_CHARS - 1] + _CUT
        room -= len(short)
        if room < 0:
            return [*kept, _CUT]
        kept.append(short)
    return kept


def redact(text: str, patterns: Sequence[re.Pattern[str]]) -> str:
    """Return the text with *** for whatever a pattern matches."""
    for pattern in patterns:
        text = pattern.sub(_REDACTED, text)
    return text


def tail_text(raw: bytes, patterns: Sequence[re.Pattern[str]] = ()) -> str:
    """Return the last 4 KiB of what was written, as text: as UTF-8 with replacement, redacted before it is cut."""
    text = redact(raw.decode(errors="replace"), patterns).replace("\0", "\ufffd")
    return text.encode()[-TAIL_BYTES:].decode(errors="ignore")


def join_tails(tails: Sequence[str]) -> str:
    """Return the ends of several streams as one text, each on lines of its own."""
    joined = ""
    for tail in tails:
        joined += ("\n" if joined and tail and not joined.endswith("\n") else "") + tail
    return joined


def printable(text: str) -> str:
    """Return a text for a terminal or a log: names of files and answers may have line ends and escapes."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
