"""A list of documents as CSV (RFC 4180): a line of names, then a row for each document; pure functions.

The columns are the members of the documents' schema, in its order, and its fields say how a cell is written: a
`Timestamp` as ISO, a boolean as JSON writes it, a list or map as JSON text; a member that is absent is an empty cell.

Spreadsheets take a cell that begins with `=`, `+`, `-`, `@` or some blanks for a formula, and senders choose the texts:
so such a text begins with an apostrophe. Numbers, ids made here and enumerated words are not texts of senders.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from io import StringIO
from typing import Any, NamedTuple

import orjson
from marshmallow import fields, validate

from notifhist.schemas.document import Document, DocumentSchema, member_fields
from notifhist.schemas.fields import Instant, Timestamp, TimeUuid
from notifhist.schemas.instants import format_instant
from notifhist.serializers.lines import Lines, documents_in
from notifhist.serializers.parsed import list_field
from notifhist.serializers.stored import StoredDocument, documents_of

FORMULA_STARTS = frozenset("=+-@\t\r\n")
"""A text that begins with one of these begins with an apostrophe in CSV."""


class _Columns(NamedTuple):
    """The columns of a schema: their names, the indexes of texts, and how others that need it are written."""

    names: tuple[str, ...]
    texts: tuple[int, ...]
    written: tuple[tuple[int, Callable[[Any], str]], ...]


def stream(batches: Iterable[Lines], schema: DocumentSchema) -> Iterator[bytes]:
    """Yield the documents of all batches, each described by `schema`: a piece of CSV for each batch."""
    columns = _columns_of(schema)
    head = [columns.names]
    for batch in batches:
        yield _written([*head, *_rows(documents_in(batch), columns)])
        head = []
    if head:
        yield _written(head)


def parts(document: Document | StoredDocument, schema: DocumentSchema) -> list[bytes]:
    """Return the documents of a page, which `schema` describes; its metadata have no place."""
    if isinstance(document, StoredDocument):
        raise TypeError("only lists are written as CSV")
    name, field = list_field(schema)
    columns, listed = _columns_of(field.inner.schema), document[name]  # type: ignore[attr-defined]  # it is Nested
    rows = _rows(listed if isinstance(listed, list) else documents_of(listed), columns)
    return [_written([columns.names, *rows])]


def _written(rows: Iterable[Iterable[object]]) -> bytes:
    text = StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _rows(documents: Iterable[Document], columns: _Columns) -> Iterator[list[Any]]:
    names, texts, written = columns
    for document in documents:
        row = [document.get(name) for name in names]
        for n in texts:
            text = row[n]
            if text and text[0] in FORMULA_STARTS:
                row[n] = f"'{text}"
        for n, write in written:
            if row[n] is not None:
                row[n] = write(row[n])
        yield row


@cache
def _columns_of(schema: DocumentSchema) -> _Columns:
    members = member_fields(schema)
    kinds = list(enumerate(members.values()))
    return _Columns(
        tuple(members),
        tuple(n for n, field in kinds if _is_text(field)),
        tuple((n, write) for n, field in kinds if (write := _write_of(field)) is not None),
    )


def _is_text(field: fields.Field[Any]) -> bool:
    """Say whether a member is a text of the sender's own choice."""
    is_word = any(isinstance(each, validate.OneOf) for each in field.validators)
    return isinstance(field, fields.String) and not (is_word or isinstance(field, TimeUuid))


def _write_of(field: fields.Field[Any]) -> Callable[[Any], str] | None:
    """Return what writes a member; None if the csv module writes it as it should be."""
    if isinstance(field, Timestamp):
        return format_instant
    if isinstance(field, fields.String | fields.Number | Instant):
        return None
    return _as_json


def _as_json(value: object) -> str:
    return orjson.dumps(value).decode()
