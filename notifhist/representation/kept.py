"""Documents that are kept as text, so that they need not be read and written again on their way to the wire."""

from collections.abc import Sequence
from itertools import zip_longest

HERE = "\0"
"""Stands in a text for another that is kept: neither JSON nor XML has this character."""


class Kept:
    """A document as JSON text, or as the XML of its element; whichever of the two is asked for is there.

    If XML is asked for and there is none, it is rendered from the JSON.
    """

    __slots__ = ("json", "xml")

    def __init__(self, json: str | bytes | None, xml: str | bytes | None = None) -> None:
        self.json = None if json is None else encoded(json)
        self.xml = None if xml is None else encoded(xml)


class KeptList:
    """Documents in a row, none or more: JSON texts with commas between them, or elements one after the other.

    In pieces of some documents each, so that no text is long; the XML as with `Kept`.
    """

    __slots__ = ("json", "xml")

    def __init__(self, json: Sequence[bytes] | None, xml: Sequence[bytes] | None = None) -> None:
        self.json = json
        self.xml = xml


def encoded(text: str | bytes) -> bytes:
    """Return a text as UTF-8; some databases give it as that."""
    return text.encode() if isinstance(text, str) else text


def insert(texts: list[bytes], around: bytes) -> list[bytes]:
    """Return the parts of `around` with a text in each place where HERE stands; nothing is copied into another."""
    parts = around.split(HERE.encode())
    return [part for pair in zip_longest(parts, texts, fillvalue=b"") for part in pair if part]
