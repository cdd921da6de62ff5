"""Values in the events of Alertmanager's recorder, which are protobuf messages in their canonical JSON.

Integers of 64 bits are texts, and members that are zero, false or empty are left out. Labels come as a list of pairs
(0.33) or as a map (later).
"""

from typing import Any

from notifhist.feeds.labels import Labels, fingerprint
from notifhist.feeds.payloads import members, text, texts

_MAX_FINGERPRINT = 2**64 - 1


def labels_of(value: Any) -> dict[str, str]:
    """Return labels that come as a list of pairs below `labels`, or as a map."""
    pairs = members(value).get("labels")
    if not isinstance(pairs, list):
        return texts(value)
    return texts({text(members(pair).get("key")): members(pair).get("value", "") for pair in pairs})


def check_of(value: Any, labels: Labels) -> str:
    """Return a fingerprint, a decimal text, as 16 hex digits; that of the labels if there is none."""
    digits = integer_text(value)
    number = int(digits) if len(digits) <= len(str(_MAX_FINGERPRINT)) else 0
    return f"{number:016x}" if 0 < number <= _MAX_FINGERPRINT else fingerprint(labels)


def integer_text(value: Any) -> str:
    """Return an integer that comes as a text or a number; "0" where it is left out or none."""
    digits = str(value) if type(value) is int else text(value)
    return digits if digits.isascii() and digits.isdigit() else "0"
