"""The XML schema of all documents, written from the marshmallow schemas: `python -m notifhist.schemas.xsd` prints it.

`notification_history.xsd` beside this file is its output; a test compares the two.
"""

import sys
from typing import Any

from lxml import etree
from marshmallow import Schema, fields

from notifhist.schemas.document import DocumentSchema, member_fields
from notifhist.schemas.fields import FreeMap, JsonBoolean, JsonInteger, place_in_xml
from notifhist.schemas.xml_names import GLOBAL_MEMBERS, OPEN_DOCUMENTS, ROOTS

_XS = "http://www.w3.org/2001/XMLSchema"

_ABOUT = (
    "The documents of both APIs. Members may stand in any order, and the documents of the alarm "
    "notification history may have unnamed ones as well. XSD 1.0 can say that only by a wildcard over "
    "global declarations, so their members are declared globally."
)


def generate() -> bytes:
    """Return the XML schema as UTF-8 text."""
    schema = etree.Element(f"{{{_XS}}}schema", nsmap={"xs": _XS}, elementFormDefault="qualified")
    _document(schema, _ABOUT)
    for name, documents in ROOTS.items():
        _root(schema, name, documents)
    for name, field in GLOBAL_MEMBERS.items():
        _element(schema, name, field)
    for document in OPEN_DOCUMENTS:
        _open_type(schema, document)
    _free_map_type(schema)
    etree.indent(schema)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + etree.tostring(schema) + b"\n"


def _xs(parent: etree._Element, tag: str, /, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{_XS}}}{tag}", attributes)


def _document(parent: etree._Element, text: str) -> None:
    _xs(_xs(parent, "annotation"), "documentation").text = text


def _type_name(schema: Schema) -> str:
    return type(schema).__name__.removesuffix("Schema")


def _is_open(schema: Schema) -> bool:
    return type(schema) in {type(known) for known in OPEN_DOCUMENTS}


def _root(parent: etree._Element, name: str, documents: tuple[DocumentSchema, ...]) -> None:
    if name == "container":
        _container(parent, documents)
    elif _is_open(documents[0]):
        _xs(parent, "element", name=name, type=_type_name(documents[0]))
    else:
        element = _xs(parent, "element", name=name)
        _document(element, documents[0].description)
        # An `error` may be plain text as well: attempts often have an unnamed member of that name.
        _closed_type(element, documents[0], mixed=name == "error")


def _container(parent: etree._Element, pages: tuple[DocumentSchema, ...]) -> None:
    """Declare `container`: `values` with the documents of any page, `metadata` with the members of any."""
    element = _xs(parent, "element", name="container")
    _document(element, " ".join(page.description for page in pages))
    both = _xs(_xs(element, "complexType"), "all")
    values = _xs(_xs(_xs(both, "element", name="values"), "complexType"), "choice", **_MANY)
    metadata: dict[str, fields.Field[Any]] = {}
    for page in pages:
        for name, field in member_fields(page).items():
            if isinstance(field, fields.List):
                _value(values, place_in_xml(field).item or name, field.inner)
            elif isinstance(field, fields.Nested):
                metadata |= member_fields(field.schema)
            else:
                metadata[name] = field
    choice = _xs(_xs(_xs(both, "element", name="metadata"), "complexType"), "choice", **_MANY)
    for name, field in metadata.items():
        _element(choice, name, field)


def _value(values: etree._Element, name: str, field: fields.Field[Any]) -> None:
    """Declare an element of `values`: here, if it never stands alone."""
    if name in ROOTS:
        _xs(values, "element", ref=name)
    else:
        _element_of(_xs(values, "element", name=name), field)


_MANY = {"minOccurs": "0", "maxOccurs": "unbounded"}


def _closed_type(parent: etree._Element, schema: Schema, mixed: bool = False) -> None:
    """Add the type of a document without unnamed members: each of its members, in any order."""
    complex_type = _xs(parent, "complexType", **({"mixed": "true"} if mixed else {}))
    choice = _xs(complex_type, "choice", **_MANY)
    for name, field in member_fields(schema).items():
        if place_in_xml(field).attribute:
            _xs(complex_type, "attribute", name=name, type=_simple_type(field), use="required")
        else:
            _element(choice, name, field)


def _open_type(parent: etree._Element, schema: DocumentSchema) -> None:
    complex_type = _xs(parent, "complexType", name=_type_name(schema))
    _document(complex_type, f"{schema.description} Named members: {', '.join(member_fields(schema))}.")
    _xs(_xs(complex_type, "sequence"), "any", processContents="lax", **_MANY)
    for name, field in member_fields(schema).items():
        if place_in_xml(field).attribute:
            _xs(complex_type, "attribute", name=name, type=_simple_type(field), use="required")


def _free_map_type(parent: etree._Element) -> None:
    complex_type = _xs(parent, "complexType", name="FreeMap", mixed="true")
    _xs(_xs(complex_type, "sequence"), "any", processContents="skip", **_MANY)


def _element(parent: etree._Element, name: str, field: fields.Field[Any]) -> None:
    """Declare the element of one member."""
    element = _xs(parent, "element", name=place_in_xml(field).name or name)
    item = place_in_xml(field).item
    inner = field.inner if isinstance(field, fields.List) else field
    if item is not None:
        choice = _xs(_xs(element, "complexType"), "sequence")
        _element_of(_xs(choice, "element", name=item, **_MANY), inner)
    else:
        _element_of(element, inner)


def _element_of(element: etree._Element, field: fields.Field[Any]) -> None:
    """Give `element` the type of the values of `field`."""
    if isinstance(field, fields.Nested):
        if _is_open(field.schema):
            element.set("type", _type_name(field.schema))
        else:
            _closed_type(element, field.schema)
    elif isinstance(field, FreeMap):
        element.set("type", "FreeMap")
    elif isinstance(field, JsonInteger):
        restriction = _xs(_xs(element, "simpleType"), "restriction", base="xs:integer")
        for facet, bound in zip(("minInclusive", "maxInclusive"), field.bounds, strict=True):
            _xs(restriction, facet, value=str(bound))
    else:
        element.set("type", _simple_type(field))


def _simple_type(field: fields.Field[Any]) -> str:
    if isinstance(field, JsonBoolean):
        return "xs:boolean"
    return "xs:integer" if isinstance(field, fields.Integer) else "xs:string"


if __name__ == "__main__":
    sys.stdout.buffer.write(generate())
