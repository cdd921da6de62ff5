"""The query string and the body of a feed (docs/contract.md, "Feeds")."""

from marshmallow import fields, validate

from notifhist.schemas.document import OpenDocumentSchema
from notifhist.schemas.fields import QueryTexts
from notifhist.schemas.query import QuerySchema

PER_GROUP = "group"


class FeedQuerySchema(QuerySchema):
    """The query string of a feed: senders keep what stands in the URL that they were given."""

    entity = QueryTexts(commas=True, metadata={"description": "labels that may name the entity, before the usual ones"})
    alarm = QueryTexts(commas=True, metadata={"description": "labels that may name the alarm, before the usual ones"})
    per = fields.String(
        validate=validate.OneOf((PER_GROUP,)), metadata={"description": "one item for a notification, not for an alert"}
    )


class FeedPayloadSchema(OpenDocumentSchema):
    """What a sender sends: nothing is refused that parses."""

    root = "payload"
    description = "A payload, as its sender writes it. What is not understood in it is ignored, and counted."


FEED_QUERY = FeedQuerySchema()
FEED_PAYLOAD = FeedPayloadSchema()
