"""Deliveries as rows of a table. All texts are somebody else's: cut to a length here, escaped by the template."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from notifhist.schemas.deliveries import NOT_SENT
from notifhist.serializers.stored import StoredPage, documents_of
from notifhist.store.deliveries.suppressed import find_suppressed
from notifhist.web.context import caller, readable_db
from notifhist.web.pages.formatting import may_be_linked, short
from notifhist.web.pages.links import page_url

MOST_CHARACTERS = 300
"""A longer text is cut off in a row; the item's page has all of it."""
HELD_BACK, NOBODY = "held back", "nobody to tell"
"""Why nothing was sent: on purpose, or since no receiver is recorded."""
_TEXTS = ("state", "previous_state", "notification_type", "notification_id", "target", "message")
"""What may be long of a delivery."""
Delivery = Mapping[str, Any]


class Row(NamedTuple):
    """A delivery. `timestamp` in ms since the epoch; None where a member is absent."""

    id: str
    timestamp: int
    outcome: str
    entity_id: str
    alarm_id: str
    check_id: str
    item_id: str
    state: str
    previous_state: str | None
    notification_type: str | None
    notification_id: str | None
    receiver: str | None
    """The whole `notification_id`, if it may be part of a link."""
    target: str | None
    attempts: int
    message: str | None
    position: int | None
    why_not_sent: str | None
    """HELD_BACK or NOBODY, if it was not sent."""

    @property
    def alarm_url(self) -> str:
        """The URL of the alarm's page."""
        return page_url("entities", self.entity_id, "alarms", self.alarm_id)

    @property
    def item_url(self) -> str:
        """The URL of the item's page, at the result that this delivery is."""
        url = page_url("entities", self.entity_id, "alarms", self.alarm_id, self.check_id, self.item_id)
        return url if self.position is None else f"{url}#result-{self.position}"


def rows_of(page: StoredPage) -> list[Row]:
    """Return the rows of a page."""
    deliveries = list(documents_of(page))
    reasons = why_not_sent(deliveries)
    return [_row_of(each, reasons.get(each["id"])) for each in deliveries]


def why_not_sent(deliveries: Sequence[Delivery]) -> dict[str, str]:
    """Return why deliveries were not sent, by the ids of those that were not."""
    unsent = {each["id"]: each.get("position") for each in deliveries if each["outcome"] == NOT_SENT}
    # A result that was not sent is of a suppressed item; an item without results may be suppressed too.
    without_result = [each for each, position in unsent.items() if position is None]
    suppressed = find_suppressed(readable_db(), caller().tenant, without_result) if without_result else set()
    return {
        each: HELD_BACK if position is not None or each in suppressed else NOBODY for each, position in unsent.items()
    }


def _row_of(delivery: Delivery, reason: str | None) -> Row:
    members: dict[str, Any] = {name: delivery.get(name) for name in Row._fields}
    if receiver := members["notification_id"]:
        members["receiver"] = receiver if may_be_linked(receiver) else None
    members["message"] = members["message"] or delivery.get("status")
    members |= {name: short(members[name], MOST_CHARACTERS) for name in _TEXTS if members[name] is not None}
    return Row(**members | {"why_not_sent": reason})
