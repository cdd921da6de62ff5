"""Alarm notification history: the documents of part A and their page (docs/contract.md, "Items")."""

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, ValidationError, fields, validates_schema

from notifhist.schemas.document import DocumentSchema, OpenDocumentSchema
from notifhist.schemas.fields import (
    MAX_TIMESTAMP,
    TICKS_PER_MS,
    UUID_EPOCH_TICKS,
    Documents,
    FreeMap,
    JsonBoolean,
    JsonInteger,
    Text,
    TimeUuid,
    in_xml,
    parse_time_uuid,
)


def uuid_timestamp(text: str) -> int:
    """Return the time of the version-1 UUID `text`, in ms since the epoch, floored."""
    return (parse_time_uuid(text).time - UUID_EPOCH_TICKS) // TICKS_PER_MS


def time_problems(item: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with an item's id and timestamp taken together, by member."""
    if "id" not in item:
        return {}
    timestamp = uuid_timestamp(item["id"])
    if timestamp < 0:
        return {"id": "Its time is before 1970."}
    if item.get("timestamp", timestamp) != timestamp:
        return {"timestamp": f"The id's time is {timestamp}."}
    return {}


class AttemptSchema(OpenDocumentSchema):
    """One attempt to deliver a notification."""

    root = "attempts"
    levels_above = 4

    message = Text()
    # `from` is a keyword of Python; the attribute makes dump read the document's own member.
    from_ = Text(data_key="from", attribute="from")


class NotificationResultSchema(OpenDocumentSchema):
    """What became of one notification of the plan."""

    root = "notification_result"

    notification_id = Text()
    notification_type = Text()
    notification_details = FreeMap()
    in_progress = JsonBoolean()
    message = Text()
    success = JsonBoolean()
    attempts = Documents(fields.Nested(AttemptSchema))


class HistoryItemSchema(OpenDocumentSchema):
    """One alarm notification: the alarm's state and the results of notifying."""

    root = "alarm_notification_history_item"

    id = TimeUuid(metadata=in_xml(attribute=True))
    timestamp = JsonInteger(bounds=(0, MAX_TIMESTAMP))
    notification_plan_id = Text()
    transaction_id = Text()
    status = Text()
    state = Text(required=True)
    previous_state = Text()
    notification_results = Documents(
        fields.Nested(NotificationResultSchema),
        required=True,
        metadata=in_xml(item=NotificationResultSchema.root),
    )

    def problems(self, loaded: Mapping[str, Any], original: Mapping[str, Any]) -> dict[str, str]:
        """Return what is wrong with the item as a whole, by member."""
        reserved = {"values": "Reserved: it makes a body a container."} if "values" in original else {}
        return reserved | time_problems(loaded)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _validate_whole(self, data: Mapping[str, Any], original: Any, **kwargs: Any) -> None:
        if isinstance(original, Mapping) and (problems := self.problems(data, original)):
            raise ValidationError({name: [problem] for name, problem in problems.items()})


class PageMetadataSchema(DocumentSchema):
    """Where a page stands in its series."""

    root = "metadata"

    count = fields.Integer(required=True)
    limit = fields.Integer(required=True)
    marker = fields.String(required=True, allow_none=True)
    next_marker = fields.String(required=True, allow_none=True)
    next_href = fields.String(required=True, allow_none=True)


class HistoryPageSchema(DocumentSchema):
    """A page of items, as a list answers it."""

    root = "container"

    values = Documents(
        fields.Nested(HistoryItemSchema), required=True, metadata=in_xml(item=HistoryItemSchema.root)
    )
    metadata = fields.Nested(PageMetadataSchema, required=True)


class HistoryContainerSchema(DocumentSchema):
    """Items to be recorded together: a page fetched elsewhere fits, whatever its metadata say."""

    root = "container"

    class Meta:
        unknown = EXCLUDE

    values = Documents(
        fields.Nested(HistoryItemSchema), required=True, metadata=in_xml(item=HistoryItemSchema.root)
    )
    metadata = FreeMap()


class DiscoverySchema(DocumentSchema):
    """The checks of an alarm that have history, sorted by code point."""

    root = "alarm_checks_map"

    check_ids = fields.List(fields.String(), required=True, metadata=in_xml(item="check_id"))


ITEM = HistoryItemSchema()
ATTEMPT = AttemptSchema()
HISTORY_PAGE = HistoryPageSchema()
HISTORY_CONTAINER = HistoryContainerSchema()
DISCOVERY = DiscoverySchema()
