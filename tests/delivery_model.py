"""The deliveries of an item by the text of the contract alone (E1), to compare the store's with: slow and plain."""

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any

from notifhist.schemas.document import Document
from notifhist.schemas.query import CheckPath

MEMBERS = (
    *("id", "timestamp", "entity_id", "alarm_id", "check_id", "item_id", "position", "state", "previous_state"),
    *("status", "notification_plan_id", "transaction_id", "notification_id", "notification_type", "target"),
    *("outcome", "attempts", "message"),
)
"""In the published order."""
ADDRESSES = ("url", "address", "phone_number", "channel", "email", "recipient")


@dataclass(frozen=True)
class Expected:
    """A delivery, and the texts that `q` looks into."""

    document: Document
    texts: tuple[str, ...]

    @property
    def place(self) -> tuple[int, str]:
        """What deliveries are ordered by: the time in the id, then the id."""
        return uuid.UUID(self.document["id"]).time, self.document["id"]

    def has(self, needle: str) -> bool:
        """Say whether one of the texts has the needle, however it is written."""
        return not needle or any(needle.casefold() in text.casefold() for text in self.texts)


def expected_deliveries(check: CheckPath, item: Document) -> list[Expected]:
    """Return the deliveries of an item in the order of its results."""
    results = item["notification_results"]
    if not results:
        return [_expected(check, item, None, {})]
    return [_expected(check, item, position, result) for position, result in enumerate(results)]


def _expected(check: CheckPath, item: Document, position: int | None, result: Document) -> Expected:
    attempts = result.get("attempts") or []
    outcome = _outcome(item, result)
    if outcome == "not_sent":
        message = item.get("status")
    elif "message" in result:
        message = result["message"]
    else:
        message = attempts[-1].get("message") if attempts else None
    known: dict[str, Any] = {
        **{name: item.get(name) for name in ("timestamp", "state", "previous_state", "status")},
        **{name: item.get(name) for name in ("notification_plan_id", "transaction_id")},
        **{name: result.get(name) for name in ("notification_id", "notification_type")},
        **{name: getattr(check, name) for name in ("entity_id", "alarm_id", "check_id")},
        "id": derived_id(check, item["id"], "-" if position is None else str(position)),
        "item_id": item["id"],
        "position": position,
        "target": _target(result.get("notification_details")),
        "outcome": outcome,
        "attempts": len(attempts),
        "message": message,
    }
    # A suppressed result has a message of its own too, which is found although the delivery shows the status.
    texts = [*(known[name] for name in ("status", "message", "target", "notification_id")), result.get("message")]
    texts += [attempt.get("message") for attempt in attempts]
    document = {name: known[name] for name in MEMBERS if known[name] is not None}
    return Expected(document, tuple(text for text in texts if text is not None))


def _outcome(item: Document, result: Document) -> str:
    if not item["notification_results"] or item.get("suppressions"):
        return "not_sent"
    if result.get("in_progress") is True:
        return "in_progress"
    if result.get("success") is True:
        return "sent"
    return "failed" if result.get("success") is False else "unknown"


def _target(details: Any) -> str | None:
    if not isinstance(details, dict):
        return None
    for name in ADDRESSES:
        if isinstance(details.get(name), str):
            return str(details[name])
    strings = [value for value in details.values() if isinstance(value, str)]
    return strings[0] if strings else None


def derived_id(check: CheckPath, item_id: str, *position: str) -> str:
    """Return the id, unique in the tenant, of what is derived from an item (E2; E1 adds the position)."""
    place = "\0".join((check.entity_id, check.alarm_id, check.check_id, item_id, *position))
    n = int(hashlib.sha256(place.encode()).hexdigest()[:16], 16)
    clock_sequence, node = n >> 48 & 0x3FFF, n & 0xFFFF_FFFF_FFFF | 1 << 40
    of_item = uuid.UUID(item_id)
    time = (of_item.time_low, of_item.time_mid, of_item.time_hi_version)
    return str(uuid.UUID(fields=(*time, 0x80 | clock_sequence >> 8, clock_sequence & 0xFF, node)))
