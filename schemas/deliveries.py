"""Deliveries: one notification to one receiver each, derived from items (docs/contract.md, "Deliveries")."""

from marshmallow import fields, validate

from notifhist.schemas.document import DocumentSchema
from notifhist.schemas.fields import JsonInteger, Text, TimeUuid, in_xml
from notifhist.schemas.history import PageMetadataSchema
from notifhist.schemas.validation import Documents

NOT_SENT, IN_PROGRESS, SENT, FAILED, UNKNOWN = OUTCOMES = ("not_sent", "in_progress", "sent", "failed", "unknown")


class DeliverySchema(DocumentSchema):
    """One delivery, as it is answered; nobody records one."""

    root = "delivery"
    description = "One notification to one receiver, or an item of which nothing was sent."

    id = TimeUuid(required=True, metadata=in_xml(attribute=True))
    timestamp = JsonInteger(required=True)
    entity_id = Text(required=True)
    alarm_id = Text(required=True)
    check_id = Text(required=True)
    item_id = TimeUuid(required=True)
    position = JsonInteger()
    state = Text(required=True)
    previous_state = Text()
    status = Text()
    notification_plan_id = Text()
    transaction_id = Text()
    notification_id = Text()
    notification_type = Text()
    target = Text()
    outcome = Text(required=True, validate=validate.OneOf(OUTCOMES))
    attempts = JsonInteger(required=True)
    message = Text()


class DeliveriesMetadataSchema(PageMetadataSchema):
    """The metadata of a page of deliveries."""

    root = "deliveries_metadata"
    description = "The place of a page in its time series, and how many deliveries match in all."

    total = fields.Integer(required=True)


class DeliveriesPageSchema(DocumentSchema):
    """A page of deliveries."""

    root = "container"
    description = "A page of deliveries."

    values = Documents(fields.Nested(DeliverySchema), required=True, metadata=in_xml(item=DeliverySchema.root))
    metadata = fields.Nested(DeliveriesMetadataSchema, required=True)


DELIVERY = DeliverySchema()
DELIVERIES_PAGE = DeliveriesPageSchema()
