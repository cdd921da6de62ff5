"""A document as JSON."""

from typing import Any

import orjson

from notifhist.representation.kept import HERE, Kept, KeptList, insert
from schemas.document import Document, DocumentSchema


def render(document: Document | Kept, schema: DocumentSchema) -> bytes:
    """Return `document` as JSON, UTF-8, members in the document's order."""
    return b"".join(parts(document, schema))


def parts(document: Document | Kept, schema: DocumentSchema) -> list[bytes]:
    """Return what `render` does in parts: each text that is kept is one, as it is."""
    texts: list[bytes] = []

    def put_aside(value: Any) -> orjson.Fragment:
        if isinstance(value, KeptList) and value.json is not None:
            texts.extend(value.json)
            return orjson.Fragment(f"[{','.join([HERE] * len(value.json))}]")
        if isinstance(value, Kept) and value.json is not None:
            texts.append(value.json)
            return orjson.Fragment(HERE)
        raise TypeError

    return insert(texts, orjson.dumps(document, default=put_aside))


def text(document: Document) -> str:
    """Return `document` as the JSON text to keep of it."""
    return orjson.dumps(document).decode()
