"""Deliveries: one notification to one receiver each, derived from items (docs/contract.md, "Deliveries")."""

from marshmallow import fields, validate

from notifhist.schemas.document import DocumentSchema
from notifhist.schemas.fields import INT32, INT64, FreeMap, JsonInteger, Text, Timestamp, TimeUuid, in_xml
from notifhist.schemas.history import PageMetadataSchema, page_of
from notifhist.schemas.validation import documents

NOT_SENT, IN_PROGRESS, SENT, FAILED, UNKNOWN = OUTCOMES = ("not_sent", "in_progress", "sent", "failed", "unknown")


class DeliverySchema(DocumentSchema):
    """One delivery, as it is answered; nobody records one."""

    root = "delivery"
    description = "One notification to one receiver, or an item of which nothing was sent."

    id = TimeUuid(required=True, metadata=in_xml(attribute=True))
    timestamp = Timestamp(required=True)
    entity_id = Text(required=True)
    alarm_id = Text(required=True)
    check_id = Text(required=True)
    item_id = TimeUuid(required=True)
    position = JsonInteger(bounds=(0, INT32[1]))
    state = Text(required=True)
    previous_state = Text()
    status = Text()
    notification_plan_id = Text()
    transaction_id = Text()
    notification_id = Text()
    notification_type = Text()
    target = Text()
    outcome = Text(required=True, validate=validate.OneOf(OUTCOMES))
    attempts = JsonInteger(bounds=(0, INT32[1]), required=True)
    message = Text()


class DeliveryAttemptSchema(DeliverySchema):
    """One attempt of a delivery, with the members of the delivery; of one without attempts, the delivery."""

    root = "delivery_attempt"
    description = "An attempt of a delivery."

    attempt = JsonInteger(bounds=(1, INT32[1]))
    attempt_message = Text()
    attempt_from = Text()


class DeliveriesMetadataSchema(PageMetadataSchema):
    """The metadata of a page of deliveries."""

    root = "deliveries_metadata"
    description = "The place of a page in its time series, and how many deliveries match in all."

    total = fields.Integer(required=True)


class BucketSchema(DocumentSchema):
    """The deliveries of a span of time."""

    root = "bucket"
    description = "How many deliveries there are of each name, from one millisecond to another, both inclusive."

    # `from` is a keyword of Python; the attribute makes dump read the document's own member.
    from_ = Timestamp(required=True, data_key="from", attribute="from")
    to = Timestamp(required=True)
    counts = FreeMap(values=JsonInteger(bounds=(1, INT64[1])), required=True)


class CountsSchema(DocumentSchema):
    """Counts by time."""

    root = "container"
    description = "Counts of deliveries by time, oldest first."

    values = documents(BucketSchema)


class ReceiverSchema(DocumentSchema):
    """A receiver of deliveries."""

    root = "receiver"
    description = "A receiver: how many deliveries of each outcome it has, and what the last failure was."

    notification_id = Text()
    notification_type = Text()
    target = Text()
    counts = FreeMap(values=JsonInteger(bounds=(1, INT64[1])), required=True)
    last_failure = Timestamp()
    last_message = Text()


class ReceiversSchema(DocumentSchema):
    """Receivers."""

    root = "container"
    description = "Receivers, those with most failures first."

    values = documents(ReceiverSchema)


DELIVERY = DeliverySchema()
DELIVERY_ATTEMPT = DeliveryAttemptSchema()
DELIVERIES_PAGE = page_of(DeliverySchema, "DeliveriesPage", "A page of deliveries.", DeliveriesMetadataSchema)
COUNTS = CountsSchema()
RECEIVERS = ReceiversSchema()
