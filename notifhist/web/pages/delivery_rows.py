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
    get, notification_id = delivery.get, delivery.get("notification_id")
    return Row(
        id=delivery["id"],
        timestamp=delivery["timestamp"],
        outcome=delivery["outcome"],
        entity_id=delivery["entity_id"],
        alarm_id=delivery["alarm_id"],
        check_id=delivery["check_id"],
        item_id=delivery["item_id"],
        state=_cut(delivery["state"]),
        previous_state=_cut(get("previous_state")),
        notification_type=_cut(get("notification_type")),
        notification_id=_cut(notification_id),
        receiver=notification_id if notification_id and may_be_linked(notification_id) else None,
        target=_cut(get("target")),
        attempts=delivery["attempts"],
        message=_cut(get("message") or get("status")),
        position=get("position"),
        why_not_sent=reason,
    )


def _cut(text: Any) -> Any:
    return text if text is None else short(text, MOST_CHARACTERS)
