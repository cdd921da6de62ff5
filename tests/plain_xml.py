"""A document as XML by the plain path: a tree of elements is built, and written by lxml.

Slow and obvious; what the service answers, by whatever faster way, is compared with this. The mapping:
docs/contract.md, "Formats".
"""

import re
from decimal import Decimal
from typing import Any
from xml.parsers import expat

from lxml import etree
from marshmallow import Schema, fields

from notifhist.schemas.document import Document, DocumentSchema, member_fields
from notifhist.schemas.fields import FreeMap, place_in_xml
from notifhist.schemas.xml_names import fits_declaration

_DECLARATION = b'<?xml version="1.0" encoding="utf-8"?>\n'
_NAME_START = (
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffc\U00010000-\U000effff"
)
_NAME = re.compile(f"[{_NAME_START}][{_NAME_START}\\-.0-9\u00b7\u0300-\u036f\u203f-\u2040]*")
"""A name without a colon (Namespaces in XML 1.0, NCName), by the fifth edition of XML 1.0."""
_LONGEST_NAME = 1000  # parsers refuse much longer ones
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0, section 2.2, leaves out; lone surrogates too."""


def render(document: Document, schema: DocumentSchema) -> bytes:
    """Return `document` as XML, UTF-8, with a declaration; always well-formed, whatever it holds."""
    root = etree.Element(schema.root)
    _fill(root, document, schema)
    if schema.root == "container" and root.find("metadata") is None:
        etree.SubElement(root, "metadata")  # the XML schema requires it; runs recorded together have none
    return _DECLARATION + etree.tostring(root, encoding="utf-8", xml_declaration=False)


def _fill(element: etree._Element, document: Document, schema: Schema) -> None:
    named = member_fields(schema)
    inner = []
    for name, value in document.items():
        if name not in named:
            _add_unnamed(element, name, value, declared=True)
        elif place_in_xml(named[name]).inside is None:
            _add_named(element, name, named[name], value)
        else:
            inner.append(name)
    for name in inner:
        holder_name = place_in_xml(named[name]).inside or ""
        holder = element.find(holder_name)
        if holder is None:
            holder = etree.SubElement(element, holder_name)
        _add_named(holder, name, named[name], document[name])


def _add_named(parent: etree._Element, name: str, field: fields.Field[Any], value: Any) -> None:
    place = place_in_xml(field)
    if place.attribute:
        parent.set(name, _text(value))
        return
    element_name = place.name or name
    if not isinstance(field, fields.List) or not value:
        _add_one(parent, element_name, field, value)
    elif place.item:
        wrapper = etree.SubElement(parent, element_name)
        for member in value:
            _add_one(wrapper, place.item, field.inner, member)
    else:
        for member in value:
            _add_one(parent, element_name, field.inner, member)


def _add_one(parent: etree._Element, name: str, field: fields.Field[Any], value: Any) -> None:
    element = etree.SubElement(parent, name)
    if value is None or isinstance(field, fields.List):  # an empty one; others come here member by member
        return
    if isinstance(field, fields.Nested):
        _fill(element, value, field.schema)
    elif isinstance(field, FreeMap):
        for key, member in value.items():
            _add_unnamed(element, key, member, declared=False)
    else:
        element.text = _text(value) or None  # None: <name/>, not <name></name>


def _add_unnamed(parent: etree._Element, name: str, value: Any, declared: bool) -> None:
    """Add a member that no schema names.

    `declared` says whether the XML schema looks at what it declares of the name here, as it does
    everywhere but in free maps.
    """
    members = value if isinstance(value, list) and value else [value]
    fits = not declared or all(fits_declaration(name, member, _scalar_text(member)) for member in members)
    for member in members:
        if fits and _is_name(name):
            element = etree.SubElement(parent, name)
        else:
            element = etree.SubElement(parent, "entry", key=_NOT_XML.sub("\ufffd", name))
        _fill_unnamed(element, member, declared)


def _is_name(name: str) -> bool:
    """Say whether a name is one by the fifth edition of XML 1.0, and by the fourth, which alone expat knows."""
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        return False
    try:
        expat.ParserCreate().Parse(f"<{name}/>".encode(), True)
    except expat.ExpatError:
        return False
    return True


def _fill_unnamed(element: etree._Element, value: Any, declared: bool) -> None:
    if isinstance(value, dict):
        for key, member in value.items():
            _add_unnamed(element, key, member, declared)
    elif isinstance(value, list):
        for member in value:
            _fill_unnamed(etree.SubElement(element, "item"), member, declared)
    else:
        element.text = _text(value) or None  # None: <name/>, not <name></name>


def _scalar_text(value: Any) -> str | None:
    return None if isinstance(value, dict | list) else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    return _NOT_XML.sub("\ufffd", value) if isinstance(value, str) else str(value)
