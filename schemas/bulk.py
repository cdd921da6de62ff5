"""The lines of an export: each is a record with its tenant or check (docs/contract.md, "Export")."""

from marshmallow import RAISE, fields

from notifhist.schemas.document import DocumentSchema
from notifhist.schemas.fields import PathId
from notifhist.schemas.history import HistoryItemSchema
from notifhist.schemas.runs import NotificationRunSchema


class LineSchema(DocumentSchema):
    """A line of NDJSON."""

    class Meta:
        unknown = RAISE

    tenant = PathId(required=True)


class ItemLineSchema(LineSchema):
    """An item and its check."""

    entity_id = PathId(required=True)
    alarm_id = PathId(required=True)
    check_id = PathId(required=True)
    item = fields.Nested(HistoryItemSchema, required=True)


class RunLineSchema(LineSchema):
    """A run and its tenant."""

    run = fields.Nested(NotificationRunSchema, required=True)


ITEM_LINE = ItemLineSchema()
RUN_LINE = RunLineSchema()
