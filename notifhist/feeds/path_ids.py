"""Names of alerts, hosts and the like as ids that may stand in a path."""

import hashlib
import unicodedata

from notifhist.schemas.fields import MAX_PATH_ID

_SLASH, _CONTROL = "∕", "\ufffd"
_HASH_CHARS = 16
_KEPT_CHARS = MAX_PATH_ID - 1 - _HASH_CHARS
_INSTEAD = {"": "-", ".": "-.", "..": "-.."}
"""Empty parts of a path, and those that clients resolve away (RFC 3986, 5.2.4)."""


def path_id(name: str) -> str:
    """Return the id for a name: the name itself, unless it cannot stand in a path.

    A slash becomes U+2215, a control character U+FFFD; a long name keeps its first 238 characters and gets
    `~` and 16 hex digits of the SHA-256 of the whole name.
    """
    if name in _INSTEAD:
        return _INSTEAD[name]
    fit = name.replace("/", _SLASH)
    if not fit.isprintable():
        fit = "".join(_CONTROL if unicodedata.category(each) in ("Cc", "Cs") else each for each in fit)
    if len(fit) > MAX_PATH_ID:
        digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
        fit = f"{fit[:_KEPT_CHARS]}~{digest[:_HASH_CHARS]}"
    return fit
