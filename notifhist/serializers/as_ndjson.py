"""A list of documents as NDJSON: one JSON document a line, each as it is stored; pure functions."""

from collections.abc import Iterable, Iterator

from notifhist.schemas.document import Document, DocumentSchema
from notifhist.serializers import as_json
from notifhist.serializers.lines import Lines, lines_of
from notifhist.serializers.parsed import list_field
from notifhist.serializers.stored import BETWEEN_LINES, StoredDocument


def stream(batches: Iterable[Lines], schema: DocumentSchema) -> Iterator[bytes]:
    """Yield the documents of all batches: a piece for each batch, empty if there are none in it."""
    return map(_ended, batches)


def parts(document: Document | StoredDocument, schema: DocumentSchema) -> list[bytes]:
    """Return the documents of a page, which `schema` describes; its metadata have no place."""
    if isinstance(document, StoredDocument):
        raise TypeError("only lists are written as NDJSON")
    listed = document[list_field(schema)[0]]
    if isinstance(listed, list):
        return [_ended(BETWEEN_LINES.join(as_json.text(each).encode() for each in listed))]
    return [_ended(lines_of(listed))]


def _ended(lines: Lines) -> bytes:
    return lines + BETWEEN_LINES if lines else b""
