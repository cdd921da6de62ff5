"""The lines of an export: each a record together with where it belongs (docs/contract.md, "Export")."""

from marshmallow import RAISE, fields

from schemas.document import DocumentSchema
from schemas.fields import Text
from schemas.history import HistoryItemSchema
from schemas.runs import NotificationRunSchema


class LineSchema(DocumentSchema):
    """A line of NDJSON."""

    class Meta:
        unknown = RAISE

    tenant = Text(required=True)


class ItemLineSchema(LineSchema):
    """An item and its check."""

    entity_id = Text(required=True)
    alarm_id = Text(required=True)
    check_id = Text(required=True)
    item = fields.Nested(HistoryItemSchema, required=True)


class RunLineSchema(LineSchema):
    """A run and its tenant."""

    run = fields.Nested(NotificationRunSchema, required=True)


ITEM_LINE = ItemLineSchema()
RUN_LINE = RunLineSchema()
