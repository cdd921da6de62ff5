"""Ids of records and of paths; feeds use `path_id` too.

`item_id` is that of `feeds.item_ids` without its imports, which cost more than the whole wrapper;
`tests/property/test_run_rules.py` compares the two.
"""

import hashlib
import unicodedata

_UUID_EPOCH_TICKS = 0x01B21DD213814000
"""Ticks of 100 ns from the start of UUID time (1582-10-15) to the Unix epoch (RFC 9562, 5.1)."""
_MULTICAST = 1 << 40
_MAX_CHARS, _HASH_CHARS = 255, 16
_KEPT_CHARS = _MAX_CHARS - 1 - _HASH_CHARS
_INSTEAD = {"": "-", ".": "-.", "..": "-.."}
"""Empty parts of a path, and those that clients resolve away (RFC 3986, 5.2.4)."""


def item_id(ns: int, *parts: str) -> str:
    """Return the version-1 UUID of a time (ns since the epoch, truncated to 100 ns) and a hash of `parts`."""
    time = ns // 100 + _UUID_EPOCH_TICKS
    bits = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8])
    bits = 0b10 << 62 | bits & 2**62 - 1 | _MULTICAST
    low, middle, high = time & 0xFFFFFFFF, time >> 32 & 0xFFFF, time >> 48
    return f"{low:08x}-{middle:04x}-1{high:03x}-{bits >> 48:04x}-{bits & 0xFFFFFFFFFFFF:012x}"


def time_order(an_id: str) -> tuple[str, str, str]:
    """Return what sorts ids by their time; a text that is no id sorts somewhere."""
    return an_id[15:18], an_id[9:13], an_id[:8]


def path_id(name: str) -> str:
    """Return the id for a name: the name itself, unless it cannot stand in a path.

    A slash becomes U+2215, a control character U+FFFD; a long name keeps its first 238 characters and gets
    `~` and 16 hex digits of the SHA-256 of the whole name.
    """
    if name in _INSTEAD:
        return _INSTEAD[name]
    fit = name.replace("/", "∕")
    if not fit.isprintable():
        fit = "".join("\ufffd" if unicodedata.category(each) in ("Cc", "Cs") else each for each in fit)
    if len(fit) > _MAX_CHARS:
        digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
        fit = f"{fit[:_KEPT_CHARS]}~{digest[:_HASH_CHARS]}"
    return fit
