"""A document as JSON."""

from typing import Any

import orjson

from notifhist.schemas.document import Document, DocumentSchema
from notifhist.serializers.stored import HERE, StoredDocument, StoredForm, StoredPage, insert


def render(document: Document | StoredDocument, schema: DocumentSchema) -> bytes:
    """Return `document` as JSON, UTF-8, members in the document's order."""
    return b"".join(parts(document, schema))


def parts(document: Document | StoredDocument, schema: DocumentSchema) -> list[bytes]:
    """Return the same as `render`, in parts: each stored text is a part of its own, unchanged."""
    texts: list[bytes] = []

    def put_aside(value: Any) -> orjson.Fragment:
        if isinstance(value, StoredPage) and value.form is StoredForm.JSON:
            texts.extend(value.pieces)
            return orjson.Fragment(f"[{','.join([HERE] * len(value.pieces))}]")
        if isinstance(value, StoredDocument) and value.form is StoredForm.JSON:
            texts.append(value.text)
            return orjson.Fragment(HERE)
        raise TypeError

    return insert(texts, orjson.dumps(document, default=put_aside, option=orjson.OPT_PASSTHROUGH_DATACLASS))


def text(document: Document) -> str:
    """Return `document` as the JSON text to store."""
    return orjson.dumps(document).decode()
