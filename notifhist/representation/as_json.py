"""A document as JSON."""

from typing import Any

import orjson

from notifhist.representation.kept import Kept
from schemas.document import Document, DocumentSchema


def render(document: Document | Kept, schema: DocumentSchema) -> bytes:
    """Return `document` as JSON, UTF-8, members in the document's order."""
    return orjson.dumps(document, default=_fragment)


def text(document: Document) -> str:
    """Return `document` as the JSON text to keep of it."""
    return orjson.dumps(document).decode()


def _fragment(value: Any) -> orjson.Fragment:
    if isinstance(value, Kept) and value.json is not None:
        return orjson.Fragment(value.json)
    raise TypeError
