"""The limits of a tenant (docs/contract.md, "Rate limit"); the shape is published."""

from marshmallow import fields

from notifhist.schemas.document import DocumentSchema
from notifhist.schemas.fields import FreeMap


class RateSchema(DocumentSchema):
    """A rate limit and how much of it is used."""

    description = "A rate limit: how many requests in a window, and how many of them are used."

    limit = fields.Integer(required=True)
    used = fields.Integer(required=True, metadata={"description": "this request included"})
    window = fields.String(required=True, metadata={"description": "its length in words"})


class RatesSchema(DocumentSchema):
    """The rate limits of a tenant, by scope."""

    description = "The rate limits by scope; empty where the service has none."

    # `global` is a keyword of Python.
    global_ = fields.Nested(RateSchema, data_key="global", attribute="global")


class LimitsSchema(DocumentSchema):
    """The limits of a tenant."""

    root = "limit"
    description = "The limits of the tenant."

    resource = FreeMap(required=True, metadata={"description": "empty: there are no limits of this kind"})
    rate = fields.Nested(RatesSchema, required=True)


LIMITS = LimitsSchema()
