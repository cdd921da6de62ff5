"""Alarm notification history: the documents of the history API (docs/contract.md, "Items")."""

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, ValidationError, fields, validates_schema

from notifhist.schemas.document import DocumentSchema, OpenDocumentSchema
from notifhist.schemas.fields import FreeMap, JsonBoolean, Text, Timestamp, TimeUuid, in_xml
from notifhist.schemas.item_ids import key_of
from notifhist.schemas.validation import Documents, documents


def time_problems(item: Mapping[str, Any]) -> dict[str, str]:
    """Return the problems of an item's id and timestamp taken together, by member."""
    if "id" not in item:
        return {}
    timestamp = key_of(item["id"]).timestamp
    if timestamp < 0:
        return {"id": "Its time is before 1970."}
    if item.get("timestamp", timestamp) != timestamp:
        return {"timestamp": f"The id's time is {timestamp}."}
    return {}


def is_change(item: Mapping[str, Any]) -> bool:
    """Say whether the state has changed with an item, as far as the item itself knows."""
    return bool(item.get("previous_state") != item["state"])


class AttemptSchema(OpenDocumentSchema):
    """One attempt, a member of a result; also recorded by itself."""

    root = "attempts"
    description = "One attempt to deliver a notification."
    levels_above = 4

    message = Text()
    # `from` is a keyword of Python; the attribute makes dump read the document's own member.
    from_ = Text(data_key="from", attribute="from")


class NotificationResultSchema(OpenDocumentSchema):
    """One result, a member of an item."""

    root = "notification_result"
    description = "The result of one notification of the notification plan."

    notification_id = Text()
    notification_type = Text()
    notification_details = FreeMap()
    in_progress = JsonBoolean()
    message = Text()
    success = JsonBoolean()
    attempts = Documents(fields.Nested(AttemptSchema))


class HistoryItemSchema(OpenDocumentSchema):
    """One item. Its id and timestamp must agree, and `values` is reserved, since it makes a body a container."""

    root = "alarm_notification_history_item"
    description = "One alarm notification: the state of the alarm and the results of its notifications."

    id = TimeUuid(metadata=in_xml(attribute=True))
    timestamp = Timestamp()
    notification_plan_id = Text()
    transaction_id = Text()
    status = Text()
    state = Text(required=True)
    previous_state = Text()
    notification_results = documents(NotificationResultSchema)
    suppressions = Documents(Text())

    def problems(self, loaded: Mapping[str, Any], original: Mapping[str, Any]) -> dict[str, str]:
        """Return the problems of the item as a whole, by member."""
        reserved = {"values": "Reserved: it makes a body a container."} if "values" in original else {}
        return reserved | time_problems(loaded)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _validate_whole(self, data: Mapping[str, Any], original: Any, **kwargs: Any) -> None:
        if isinstance(original, Mapping) and (problems := self.problems(data, original)):
            raise ValidationError({name: [problem] for name, problem in problems.items()})


class PageMetadataSchema(DocumentSchema):
    """The metadata of a page of items."""

    root = "metadata"
    description = "The place of a page in its time series."

    count = fields.Integer(required=True)
    limit = fields.Integer(required=True)
    marker = fields.String(required=True, allow_none=True)
    next_marker = fields.String(required=True, allow_none=True)
    next_href = fields.String(required=True, allow_none=True)


def page_of(
    schema: type[DocumentSchema], name: str, description: str, metadata: type[PageMetadataSchema] = PageMetadataSchema
) -> DocumentSchema:
    """Return the page of a time series or of a register, as it is answered; `name` is its name in OpenAPI."""
    values = {"values": documents(schema), "metadata": fields.Nested(metadata, required=True)}
    about = {"root": "container", "description": description}
    page: DocumentSchema = type(f"{name}Schema", (DocumentSchema,), about | values)()
    return page


class HistoryContainerSchema(DocumentSchema):
    """Items to be recorded together. A page that another service answered is valid too, with any metadata."""

    root = "container"
    description = "Items to record together; a page of items is one too."

    class Meta:
        unknown = EXCLUDE

    values = documents(HistoryItemSchema)
    metadata = FreeMap()


class DiscoverySchema(DocumentSchema):
    """The checks of an alarm."""

    root = "alarm_checks_map"
    description = "The checks of an alarm that have history, sorted by code point."

    check_ids = fields.List(fields.String(), required=True, metadata=in_xml(item="check_id"))


ITEM = HistoryItemSchema()
ATTEMPT = AttemptSchema()
HISTORY_PAGE = page_of(HistoryItemSchema, "HistoryPage", "A page of items.")
HISTORY_CONTAINER = HistoryContainerSchema()
DISCOVERY = DiscoverySchema()
