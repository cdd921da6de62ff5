"""A document as JSON."""

import orjson

from schemas.document import Document, DocumentSchema


def render(document: Document, schema: DocumentSchema) -> bytes:
    """Return `document` as JSON, UTF-8, members in the document's order."""
    return orjson.dumps(document)
