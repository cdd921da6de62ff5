"""The deliveries of an item: pure functions (docs/contract.md, "Deliveries")."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from notifhist.errors import BadRequest
from notifhist.schemas.deliveries import FAILED, IN_PROGRESS, NOT_SENT, OUTCOMES, SENT, UNKNOWN
from notifhist.schemas.document import Document
from notifhist.schemas.history import is_change as is_change_item
from notifhist.schemas.item_ids import id_at, key_in_tenant
from notifhist.schemas.query import CheckPath

MAX_CHARACTERS = 64 * 1024 * 1024
"""What the deliveries of one item, or of one body, may have together: each repeats the status of its item."""
MAX_RESULTS = 2000
"""If each has a receiver of its own, to replace an item of so many takes 1 s, for which other writers wait."""
_TARGETS = ("url", "address", "phone_number", "channel", "email", "recipient")
"""The members of `notification_details` that name a receiver's address, the first one first."""
_BETWEEN_TEXTS = "X"
"""No case-folded text has an upper-case letter, so no searched text matches across two texts."""


class Delivery(NamedTuple):
    """A delivery as it is stored, before its names have codes. Numbers as in `ItemKey`."""

    clock_and_node: int
    log_clock_and_node: int | None
    """The second half of the id of the item's changelog and suppression log, in the first delivery of an item that has
    one of these."""
    is_change: bool
    is_suppressed: bool
    outcome: int
    """The code of the outcome."""
    names: tuple[str | None, ...]
    """The values of the filters with open vocabularies, in the order of `table.NAMED`."""
    transaction_hash: int | None
    search_text: str
    document: str
    log_members: str | None = None
    """JSON of the members that the item's changelog and suppression log have beside those of this delivery."""


def deliveries_of(check: CheckPath, item: Document) -> list[Delivery]:
    """Return the deliveries of a complete item. Raises BadRequest if they are too many, or too long together."""
    results: list[Document] = item["notification_results"]
    if len(results) > MAX_RESULTS:
        raise BadRequest("The item does not fit.", f"It may have {MAX_RESULTS} results.")
    deliveries: list[Delivery] = []
    characters = 0
    shared = _shared(check, item)
    for position, result in enumerate(results) if results else [(None, Document())]:
        deliveries.append(_delivery(check, item, shared, position, result))
        characters += characters_of(deliveries[-1])
        if characters > MAX_CHARACTERS:
            raise BadRequest(
                "The item does not fit.",
                f"Its deliveries may have {MAX_CHARACTERS} characters together; each repeats the status.",
            )
    is_change = is_change_item(item)
    is_suppressed = bool(item.get("suppressions"))
    if is_change or is_suppressed:
        log = key_in_tenant(check, item["id"]).clock_and_node
        deliveries[0] = deliveries[0]._replace(
            log_clock_and_node=log, is_change=is_change, is_suppressed=is_suppressed, log_members=_log_members(item)
        )
    return deliveries


def characters_of(delivery: Delivery) -> int:
    """Return what a delivery takes of MAX_CHARACTERS."""
    return len(delivery.document) + len(delivery.search_text)


def _log_members(item: Document) -> str | None:
    """Return JSON of an item's members that its logs have and its deliveries have not; None if it has none of them.

    The logs are read from the first delivery alone: an item may have 16 MiB (docs/contract.md, "Changelogs").
    """
    members = Document()
    if isinstance(zone := item.get("analyzed_by_monitoring_zone_id"), str):
        members["analyzed_by_monitoring_zone_id"] = zone
    if suppressions := item.get("suppressions"):
        # Before they were a named member, XML with a single one was recorded as a text.
        members["suppressions"] = [suppressions] if isinstance(suppressions, str) else suppressions
    return orjson.dumps(members).decode() if members else None


def outcome_of(item: Document, result: Document) -> str:
    """Return the outcome of a result of an item."""
    if item.get("suppressions") or not item["notification_results"]:
        return NOT_SENT
    if result.get("in_progress"):
        return IN_PROGRESS
    return {True: SENT, False: FAILED}.get(result.get("success"), UNKNOWN)  # type: ignore[arg-type]  # None is neither


def outcomes_of(item: Document) -> list[tuple[str, str | None]]:
    """Return the outcome and the type of each delivery of an item."""
    results: list[Document] = item["notification_results"] or [{}]
    return [(outcome_of(item, result), result.get("notification_type")) for result in results]


def target_of(details: Any) -> str | None:
    """Return the address of a receiver, from a result's `notification_details`."""
    if not isinstance(details, dict):
        return None
    for name in _TARGETS:
        if isinstance(target := details.get(name), str):
            return target
    return next((each for each in details.values() if isinstance(each, str)), None)


def hash_of(text: str) -> int:
    """Return 64 bits that stand for a text in an index: a longer key than PostgreSQL indexes, and shorter ones."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], signed=True)


def receiver_name(notification_id: str | None, notification_type: str | None, target: str | None) -> str | None:
    """Return the name that stands for a receiver; None if nothing is known of it."""
    receiver = (notification_id, notification_type, target)
    return None if receiver == (None, None, None) else orjson.dumps(receiver).decode()


class _Shared(NamedTuple):
    """What the deliveries of an item have in common: members before `position` and behind it, and a hash."""

    before: Document
    after: Document
    transaction_hash: int | None


def _shared(check: CheckPath, item: Document) -> _Shared:
    item_id, transaction_id = item["id"], item.get("transaction_id")
    after = {
        "state": item["state"],
        "previous_state": item.get("previous_state"),
        "status": item.get("status"),
        "notification_plan_id": item.get("notification_plan_id"),
        "transaction_id": transaction_id,
    }
    return _Shared(
        {"entity_id": check.entity_id, "alarm_id": check.alarm_id, "check_id": check.check_id, "item_id": item_id},
        {name: value for name, value in after.items() if value is not None},
        None if transaction_id is None else hash_of(transaction_id),
    )


def _delivery(check: CheckPath, item: Document, shared: _Shared, position: int | None, result: Document) -> Delivery:
    key = key_in_tenant(check, item["id"], "-" if position is None else str(position))
    outcome, target = outcome_of(item, result), target_of(result.get("notification_details"))
    notification_id, notification_type = result.get("notification_id"), result.get("notification_type")
    attempts, message = result.get("attempts") or (), _message_of(item, result, outcome)
    members = {"id": id_at(item["id"], key.clock_and_node), "timestamp": key.timestamp, **shared.before}
    if position is not None:
        members["position"] = position
    members |= shared.after
    for name, value in (
        ("notification_id", notification_id),
        ("notification_type", notification_type),
        ("target", target),
        ("outcome", outcome),
        ("attempts", len(attempts)),
        ("message", message),
    ):
        if value is not None:
            members[name] = value
    receiver = receiver_name(notification_id, notification_type, target)
    texts = [item.get("status"), message, result.get("message"), target, notification_id]
    texts += [each.get("message") for each in attempts]
    return Delivery(
        clock_and_node=key.clock_and_node,
        log_clock_and_node=None,
        is_change=False,
        is_suppressed=False,
        outcome=OUTCOMES.index(outcome) + 1,
        names=(
            item["state"],
            notification_type,
            notification_id,
            item.get("notification_plan_id"),
            check.entity_id,
            receiver,
        ),
        transaction_hash=shared.transaction_hash,
        search_text=_folded(texts),
        document=orjson.dumps(members).decode(),
    )


def _message_of(item: Document, result: Document, outcome: str) -> str | None:
    if outcome == NOT_SENT:
        return item.get("status")
    if (message := result.get("message")) is None and result.get("attempts"):
        message = result["attempts"][-1].get("message")
    return message


def _folded(texts: Sequence[str | None]) -> str:
    """Return texts as they are searched in, each once; PostgreSQL stores no U+0000, and nobody can ask for one."""
    there = "\0".join(dict.fromkeys(filter(None, texts)))
    return there.casefold().replace("\0", _BETWEEN_TEXTS)  # of all at once: a fifth of the time
