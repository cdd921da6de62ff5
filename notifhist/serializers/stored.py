"""Documents as the store holds them: text that reaches the wire without being parsed and rendered again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest

import orjson

from notifhist.schemas.document import Document

HERE = "\0"
"""The place of a stored text within another text: neither JSON nor XML may contain this character."""

MAX_PAGE_BYTES = 64 * 1024 * 1024
"""How long the documents of a page may be, together; a page of one document is always answered.

Without a bound, 1,000 items of 16 MiB would be in memory at once, and XML may be a thousand times as long as its JSON.
"""

BETWEEN_LINES = b"\n"
"""What separates documents where each will be rendered by itself: as JSON a stored one is a single line."""


class StoredForm(Enum):
    """A form in which the store holds documents; every document is there at least as JSON."""

    JSON = "json"
    XML = "xml"


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as UTF-8 text: JSON, or the XML of its element."""

    form: StoredForm
    text: bytes


@dataclass(frozen=True, slots=True)
class StoredPage:
    """Several documents: JSON texts with commas between them, or XML elements one after the other.

    Each piece holds some of them, so that no text is long.
    """

    form: StoredForm
    pieces: Sequence[bytes]


def documents_of(page: StoredPage) -> Iterator[Document]:
    """Yield the documents of a page whose form is JSON, for a format that cannot insert their texts."""
    for piece in page.pieces:
        yield from orjson.loads(b"[%b]" % piece)


def encoded(text: str | bytes) -> bytes:
    """Return a text as UTF-8 bytes; some database drivers return bytes already."""
    return text.encode() if isinstance(text, str) else text


def insert(texts: list[bytes], around: bytes) -> list[bytes]:
    """Return the parts of `around` with one of `texts` at each HERE; no text is copied into another."""
    parts = around.split(HERE.encode())
    return [part for pair in zip_longest(parts, texts, fillvalue=b"") for part in pair if part]
