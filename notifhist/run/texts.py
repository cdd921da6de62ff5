"""What a command is called with and what it writes, as texts of a bounded length, redacted."""

import re
import signal
from collections.abc import Sequence
from types import FrameType

TAIL_BYTES = 4096
"""How much is kept of the end of each stream."""
KEPT_BYTES = 2 * TAIL_BYTES
"""More than the tail, so that what `--redact` matches is found although the tail would begin in its midst."""
_ARGUMENT_CHARS, _ARGUMENTS_CHARS = 500, 4000
_CUT = "…"
_REDACTED = "***"
_REDACTING_S = 0.1
"""Processor time for the patterns on one text; 8 KiB take well below 1 ms, unless a pattern explodes."""
_too_slow: set[re.Pattern[str]] = set()


class _TooSlow(Exception):
    """The patterns have taken their time."""


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
    """Return the text with `***` in the place of everything that a pattern matches.

    The patterns have 0.1 s of CPU time. A pattern such as `(a+)+$` may need years, and no notification waits for it:
    after that time `***` replaces the whole text, and every later text of this process.
    """
    if not text or not patterns:
        return text
    if not _too_slow.isdisjoint(patterns):
        return _REDACTED
    before = signal.signal(signal.SIGVTALRM, _stop)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, _REDACTING_S)
        try:
            for pattern in patterns:
                text = pattern.sub(_REDACTED, text)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except _TooSlow:
        _too_slow.update(patterns)
        return _REDACTED
    finally:
        signal.signal(signal.SIGVTALRM, before)
    return text


def _stop(number: int, frame: FrameType | None) -> None:
    raise _TooSlow


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
