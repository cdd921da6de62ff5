"""Deliveries as rows of a table. All texts are somebody else's: cut to a length here, escaped by the template."""

from typing import Any, NamedTuple

from notifhist.schemas.document import Document
from notifhist.serializers.stored import StoredPage, documents_of
from notifhist.web.pages.formatting import may_be_linked, short
from notifhist.web.pages.links import page_url

MOST_CHARACTERS = 300
"""A longer text is cut off in a row; the item's page has all of it."""


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

    @property
    def alarm_url(self) -> str:
        """The URL of the alarm's page."""
        return page_url("entities", self.entity_id, "alarms", self.alarm_id)

    @property
    def item_url(self) -> str:
        """The URL of the item's page."""
        return page_url("entities", self.entity_id, "alarms", self.alarm_id, self.check_id, self.item_id)


def rows_of(page: StoredPage) -> list[Row]:
    """Return the rows of a page."""
    return [row_of(each) for each in documents_of(page)]


def row_of(delivery: Document) -> Row:
    """Return the row of a delivery."""
    get, notification_id = delivery.get, delivery.get("notification_id")
    return Row(
        *(delivery["id"], delivery["timestamp"], delivery["outcome"]),
        *(delivery["entity_id"], delivery["alarm_id"], delivery["check_id"], delivery["item_id"]),
        *(_cut(delivery["state"]), _cut(get("previous_state"))),
        *(_cut(get("notification_type")), _cut(notification_id)),
        notification_id if notification_id and may_be_linked(notification_id) else None,
        *(_cut(get("target")), delivery["attempts"], _cut(get("message") or get("status"))),
    )


def _cut(text: Any) -> Any:
    return text if text is None else short(text, MOST_CHARACTERS)
