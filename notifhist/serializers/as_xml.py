"""A document as XML (docs/contract.md, "Formats"): element names and places come from its schema.

It is written as text, since a tree of elements costs three times as much (docs/adr/0010). `_text` and `_attribute`
escape texts; `_unnamed` checks names that no schema has. A test compares the result with that of a tree.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

import orjson
from marshmallow import Schema, fields

from notifhist.errors import AnswerTooLong
from notifhist.schemas.document import Document, DocumentSchema, member_fields
from notifhist.schemas.fields import FreeMap, place_in_xml
from notifhist.schemas.xml_names import DECLARED, fits_declaration
from notifhist.serializers.stored import (
    HERE,
    MAX_PAGE_BYTES,
    StoredDocument,
    StoredForm,
    StoredPage,
    documents_of,
    insert,
)
from notifhist.serializers.xml_characters import NAME

MAPPING_VERSION = 3
"""The version of the mapping from documents to XML. XML that was stored with an older version is not answered."""

_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
_MAX_NAME_CHARS = 1000  # parsers refuse much longer names
_NOT_XML = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
"""The characters that are not allowed (XML 1.0, 2.2), and lone surrogates."""
_NOT_XML_CHARACTER = re.compile(f"[{_NOT_XML}]")
_SPECIAL_IN_ATTRIBUTE = re.compile(f'[&<>"\t\n\r{_NOT_XML}]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}

_MAX_ESCAPE_CHARS = 6
"""The longest escape of a character."""

_Write = Callable[[Any], str]


def render(document: Document | StoredDocument, schema: DocumentSchema) -> bytes:
    """Return `document` as XML, UTF-8, with a declaration; always well-formed, whatever it holds."""
    return b"".join(parts(document, schema))


def parts(document: Document | StoredDocument, schema: DocumentSchema) -> list[bytes]:
    """Return the same as `render`, in parts: each stored text is a part of its own, unchanged."""
    if isinstance(document, StoredDocument):
        if document.form is StoredForm.XML:
            return [_DECLARATION.encode(), document.text]
        return [_DECLARATION.encode(), element(orjson.loads(document.text), schema, schema.root).encode()]
    pages = {name: each for name, each in document.items() if isinstance(each, StoredPage)}
    rendered = {name: _rendered(page, name, schema) for name, page in pages.items()}
    texts = [piece for page in rendered.values() for piece in page.pieces]
    return insert(texts, (_DECLARATION + element(document | rendered, schema, schema.root)).encode())


def _rendered(page: StoredPage, name: str, schema: DocumentSchema) -> StoredPage:
    """Return a page, which is the member `name` of a document, with each record as a piece of XML.

    Raises AnswerTooLong. Records are rendered one by one, so that the memory of one is free before the next.
    """
    if page.form is StoredForm.XML:
        return page
    field: Any = member_fields(schema)[name]
    write = _one(place_in_xml(field).item or name, field.inner)
    pieces: list[bytes] = []
    size = 0
    for document in documents_of(page):
        pieces.append(write(document).encode())
        size += len(pieces[-1])
        if size > MAX_PAGE_BYTES and len(pieces) > 1:
            raise AnswerTooLong(MAX_PAGE_BYTES)
    return StoredPage(StoredForm.XML, pieces)


def longest(document: Document) -> int:
    """Return an upper bound for the number of characters of a document's element.

    A list repeats its name with each member, so a few kB of JSON can become many MB of XML. Scalars are counted as
    they will be written, tags are estimated.
    """
    return _longest("", document)


def _longest(name: str, value: Any) -> int:
    members = value if isinstance(value, list) and value else [value]
    tags = 2 * len(name) + _MAX_ESCAPE_CHARS if NAME.fullmatch(name) else _MAX_ESCAPE_CHARS * (len(name) + 5)
    return len(members) * tags + sum(map(_longest_content, members))


def _longest_content(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_longest(name, member) for name, member in value.items())
    if isinstance(value, list):
        return sum(_longest("item", member) for member in value)
    return len(_text(value))


def element(document: Document, schema: Schema, name: str) -> str:
    """Return the element `name` of `document`: the text to store."""
    return _writer(schema, name)(document)


@cache
def _writer(schema: Schema, name: str) -> _Write:
    """Return the function that writes the element `name` of a document."""
    write_of = _members(schema).get

    def write_element(document: Document) -> str:
        attributes, content = "", []
        held: dict[str, list[str]] = {}
        for member, value in document.items():
            if (write := write_of(member)) is None:
                content.append(_unnamed(member, value, declared=True))
            elif isinstance(write, _Attribute):
                attributes += f' {member}="{_attribute(_plain(value))}"'
            elif isinstance(write, _Held):
                held.setdefault(write.holder, []).append(write.write(value))
            else:
                content.append(write(value))
        if held:
            content += [_tagged(holder, "".join(inner)) for holder, inner in held.items()]
        if name == "container" and "metadata" not in document and "metadata" not in held:
            content.append("<metadata/>")  # the XML schema requires it; runs recorded together have none
        return _tagged(name, "".join(content), attributes)

    return write_element


class _Attribute:
    """A member that is an attribute."""


@dataclass(frozen=True)
class _Held:
    """A member of an envelope that is inside another element, the holder."""

    holder: str
    write: _Write


@cache
def _members(schema: Schema) -> dict[str, _Write | _Attribute | _Held]:
    """Return, by the name of each named member, the function that writes it or its place."""
    members: dict[str, _Write | _Attribute | _Held] = {}
    for name, field in member_fields(schema).items():
        place = place_in_xml(field)
        if place.attribute:
            members[name] = _Attribute()
        elif place.inside is not None:
            members[name] = _Held(place.inside, _member(place.name or name, field))
        else:
            members[name] = _member(place.name or name, field)
    return members


def _member(name: str, field: fields.Field[Any]) -> _Write:
    """Return the function that writes the member of a field: one element, or those of an unwrapped list.

    Only a wrapped list of an envelope may be a `StoredPage`; its pieces are XML.
    """
    if not isinstance(field, fields.List):
        return _one(name, field)
    item = place_in_xml(field).item
    write = _one(item or name, field.inner)

    def write_list(value: Any) -> str:
        if isinstance(value, StoredPage):
            return _tagged(name, HERE * len(value.pieces))
        inner = "".join([write(each) for each in value or ()])
        return inner if inner and item is None else _tagged(name, inner)

    return write_list


def _one(name: str, field: fields.Field[Any]) -> _Write:
    """Return the function that writes one element."""
    if isinstance(field, fields.Nested):
        write = _writer(field.schema, name)
        return lambda value: _tagged(name, "") if value is None else write(value)
    if isinstance(field, FreeMap):
        return lambda value: _tagged(name, _unnamed_members(value or {}, declared=False))
    opening, closing, empty = f"<{name}>", f"</{name}>", f"<{name}/>"
    return lambda value: f"{opening}{text}{closing}" if (text := _text(value)) else empty


def _unnamed(name: str, value: Any, declared: bool) -> str:
    """Return the elements of a member that no schema names.

    `declared` says whether the XML schema validates them against its declaration of the name, as it does everywhere
    but in free maps.
    """
    if isinstance(value, str) and not (declared and name in DECLARED) and _is_element_name(name):
        return _tagged(name, _text(value))  # as most are, such as labels: all that follows takes three times as long
    members = value if isinstance(value, list) and value else [value]
    fits = (
        not declared
        or name not in DECLARED
        or all(fits_declaration(name, member, _scalar_text(member)) for member in members)
    )
    attributes = ""
    if not fits or not _is_element_name(name):
        name, attributes = "entry", f' key="{_attribute(name)}"'
    return "".join([_tagged(name, _unnamed_content(member, declared), attributes) for member in members])


def _is_element_name(name: str) -> bool:
    return len(name) <= _MAX_NAME_CHARS and NAME.fullmatch(name) is not None


def _unnamed_content(value: Any, declared: bool) -> str:
    if isinstance(value, dict):
        return _unnamed_members(value, declared)
    if isinstance(value, list):
        return "".join([_tagged("item", _unnamed_content(member, declared)) for member in value])
    return _text(value)


def _unnamed_members(members: Mapping[str, Any], declared: bool) -> str:
    return "".join([_unnamed(name, value, declared) for name, value in members.items()])


def _scalar_text(value: Any) -> str | None:
    return None if isinstance(value, dict | list) else _plain(value)


def _tagged(name: str, content: str, attributes: str = "") -> str:
    return f"<{name}{attributes}>{content}</{name}>" if content else f"<{name}{attributes}/>"


def _text(value: Any) -> str:
    text = value if type(value) is str else _plain(value)
    # Nothing that is not allowed can be printed. To search for all at once takes up to three times as long.
    if text.isprintable() and "&" not in text and "<" not in text and ">" not in text:
        return text
    # A function for each match takes ten times as long, 3 s for 16 MB of ampersands.
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    return _NOT_XML_CHARACTER.sub("\ufffd", text)


def _attribute(text: str) -> str:
    return _SPECIAL_IN_ATTRIBUTE.sub(_escape, text)


def _escape(special: re.Match[str]) -> str:
    return _ESCAPES.get(special[0], "\ufffd")


def _plain(value: Any) -> str:
    """Return the text of a scalar, not escaped."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    return str(value)
