"""Stored documents a line each: the form in which many of them go from the store to a format, batch by batch."""

import json
from collections.abc import Iterable, Iterator

import orjson

from notifhist.schemas.document import Document
from notifhist.serializers.stored import BETWEEN_LINES, StoredPage

Lines = bytes
"""Documents as they are stored as JSON, with BETWEEN_LINES between them; empty if there are none."""

BATCH = 200
"""How many documents a batch of a stream may have: of 520 bytes, they are written as 56 kB of CSV in 2 ms.

That is how long others wait for it. Smaller batches take more of the database (docs/adr/0023).
"""

_end_of_text = json.JSONDecoder().raw_decode


def documents_in(lines: Lines) -> list[Document]:
    """Return the documents of lines."""
    documents: list[Document] = orjson.loads(b"[%b]" % lines.replace(BETWEEN_LINES, b","))
    return documents


def lines_of(page: StoredPage) -> Lines:
    """Return the documents of a page whose form is JSON as lines: each text as it is stored, byte by byte."""
    return BETWEEN_LINES.join(_texts_of(page.pieces))


def _texts_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        text, at = piece.decode(), 0
        while at < len(text):
            end = _end_of_text(text, at)[1]
            yield text[at:end].encode()
            at = end + 1


def split_lines(texts: Iterable[Lines]) -> list[bytes]:
    """Return the documents of texts that have BETWEEN_LINES between them."""
    return [line for text in texts for line in text.split(BETWEEN_LINES)]
