"""The lines of an export: each a record together with where it belongs (docs/contract.md, "Export")."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, ValidationError, fields

from schemas.document import DocumentSchema
from schemas.fields import Text
from schemas.history import HistoryItemSchema
from schemas.runs import NotificationRunSchema

PATH_ID = "Must be 1 to 255 characters, no slash and no control character among them."


def is_path_id(text: str) -> bool:
    """Say whether `text` can be an id in a URL's path."""
    return 1 <= len(text) <= 255 and not any(
        character == "/" or unicodedata.category(character) in ("Cc", "Cs") for character in text
    )


class PathId(Text):
    """An id that stands in a URL's path."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not is_path_id(text):
            raise ValidationError(PATH_ID)
        return text


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
