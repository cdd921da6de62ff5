"""Content negotiation (RFC 9110, 12.5.1): which of the media types on offer a client prefers; pure functions."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# Possessive: what has matched is not tried again, so the time grows with the length of a header, not with its square.
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
# A quoted string that is not closed ends with the header; to begin anew behind its first quote takes quadratic time.
_PART = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.?)*+"?)++', re.DOTALL)
_RANGE = re.compile(rf"({_WORD})(?:/({_WORD}))?")
# A parameter without a value counts as absent (WHATWG's MIME Sniffing, 4.4): `text/xml; charset=` means XML.
_PARAMETER = re.compile(rf"[ \t]*(?:;[ \t]*)++(?:({_WORD})(?:=({_WORD}|{_QUOTED})?)?)?")
# The RFC has no qvalue `.2`, but Java's URLConnection sends it by default.
_QUALITY = re.compile(r"(?=[\d.]*\d)[01]?(\.\d*)?")
_MAX_CACHED_CHARS = 1000  # clients send the same few headers, all shorter; others must not fill the cache
_MAX_PARTS = 100  # clients send fewer than 20; the longest head of a request holds 16,000


class _MediaRange(NamedTuple):
    type: str
    subtype: str
    specificity: int
    is_plain: bool
    quality: float

    def matches(self, media_type: str) -> bool:
        offered_type, _, offered_subtype = media_type.partition("/")
        return self.type in ("*", offered_type) and self.subtype in ("*", offered_subtype)


def choose(accept: str | None, offers: Sequence[str]) -> str | None:
    """Return the media type of `offers` that `accept` prefers; None if it accepts none of them.

    The best quality wins, then the offer that is named more specifically, then the one offered first.
    Malformed parts count as absent, and so does every part after the first hundred; an absent or empty header, or one
    without any valid part, accepts all.
    """
    accept = accept or ""
    decide = _choose if len(accept) > _MAX_CACHED_CHARS else _choose_once
    return decide(accept, tuple(offers))


def _choose(accept: str, offers: tuple[str, ...]) -> str | None:
    ranges = list(_parse(accept))
    if not ranges:
        return offers[0]
    best: tuple[float, int] = (0.0, -1)
    chosen = None
    for offer in offers:
        matching = [media_range for media_range in ranges if media_range.matches(offer)]
        if not matching:
            continue
        closest = max(matching, key=lambda each: (each.specificity, each.is_plain, each.quality))
        if closest.quality > 0 and (closest.quality, closest.specificity) > best:
            best, chosen = (closest.quality, closest.specificity), offer
    return chosen


_choose_once = lru_cache(maxsize=512)(_choose)


def media_type_of(content_type: str | None, offers: Sequence[str]) -> str | None:
    """Return which of `offers` a Content-Type header names, parameters aside; None if none of them."""
    ranges = list(_parse(content_type or ""))
    if len(ranges) != 1 or ranges[0].specificity < _EXACT:
        return None
    return next((offer for offer in offers if ranges[0].matches(offer)), None)


_EXACT = 2


def _parse(header: str) -> Iterator[_MediaRange]:
    for part in islice(_PART.finditer(header), _MAX_PARTS):
        media_range = _parse_range(part[0].strip(" \t"))
        if media_range is not None:
            yield media_range


def _parse_range(part: str) -> _MediaRange | None:
    matched = _RANGE.match(part)
    if not matched:
        return None
    main, sub = matched[1].lower(), (matched[2] or "").lower()
    if not sub:
        if main != "*":
            return None
        sub = "*"  # a bare `*` is no range of the RFC, but old Java sends it too
    if main == "*" != sub:
        return None
    quality, has_parameters, position = 1.0, False, matched.end()
    while position < len(part):
        parameter = _PARAMETER.match(part, position)
        if not parameter:
            return None
        position = parameter.end()
        if parameter[1] and parameter[1].lower() == "q":
            if not _QUALITY.fullmatch(parameter[2] or "") or float(parameter[2]) > 1:
                return None
            quality = float(parameter[2])
        elif parameter[2]:
            has_parameters = True
    # A range with parameters means another variant than ours; it counts only where the plain one is not named.
    return _MediaRange(main, sub, (main != "*") + (sub != "*"), not has_parameters, quality)
