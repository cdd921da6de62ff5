"""An XML body as a document: the inverse of `as_xml`, as far as XML has types (docs/contract.md, "Formats")."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from lxml import etree
from marshmallow import Schema, fields

from notifhist.errors import BadRequest, Malformed
from notifhist.schemas.document import Document, DocumentSchema, member_fields
from notifhist.schemas.fields import MAX_PROBLEMS_NAMED, FreeMap, Instant, JsonBoolean, JsonInteger, place_in_xml
from notifhist.schemas.numbers import parse_whole
from notifhist.serializers.parsed import (
    MAX_TEXT_BYTES,
    NO_LIMITS,
    Limits,
    Parsed,
    Path,
    few_wrong_values,
    list_field,
    max_depth_of,
    path_text,
    shortened,
)

MAX_ATTRIBUTES = 16
"""How many attributes an element may have; those that have a meaning are `id`, `key` and those of the namespace xsi."""
MAX_ELEMENT_DEPTH = 150
"""Enough for any document of MAX_DEPTH; fewer than Python's stack allows."""

_Named = dict[str, fields.Field[Any]]
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_CLEARER = {"xmlParseEntityRef: no name": "An ampersand stands alone, write &amp;"}
"""Clearer words for messages of the parser."""
_MAX_INTEGER_CHARS = 100  # far beyond any range, and cheap to convert


class OtherRoot(BadRequest):
    """A body that can be read, and is neither a document nor a container of them."""

    message = "The body's root element does not fit."


def parse(
    body: bytes, single: DocumentSchema, container: DocumentSchema | None = None, limits: Limits = NO_LIMITS
) -> Parsed:
    """Return the document of an XML `body`, of the form of `single` or of `container` (see `Parsed`).

    DOCTYPEs and entities other than XML's own five are refused, and nothing is fetched. Raises BadRequest for a body
    that is not well-formed (named by line and column), is nested too deeply or exceeds the limits; OtherRoot for
    another root.
    """
    root = _parse_tree(body)
    limits.check("elements", root.xpath("count(//*)"))
    _check_attributes(root)
    schemas = {schema.root: schema for schema in (single, container) if schema is not None}
    schema = schemas.get(str(root.tag))
    if schema is None:
        raise OtherRoot(details=f"{shortened(str(root.tag))} is none of {', '.join(sorted(schemas))}.")
    is_container = schema is container
    if is_container:
        limits.check("records", root.xpath(f"count({_holder(schema)}/*)"))
    reader = _Reader()
    document = reader.document(root, schema, ())
    problems = few_wrong_values(document, max_depth_of(single, is_container)) | reader.problems
    return Parsed(document, is_container, problems)


def record_lines(body: bytes, container: DocumentSchema) -> Iterator[int]:
    """Yield the line in which each record of a container begins; `body` has been parsed without error."""
    for element in _parse_tree(body).iterfind(f"{_holder(container)}/*"):
        yield element.sourceline or 1


def _holder(container: DocumentSchema) -> str:
    """Return the element that holds the records of a container."""
    name, field = list_field(container)
    return place_in_xml(field).name or name


def _parse_tree(body: bytes, has_long_texts: bool = False) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=has_long_texts,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        _refuse_doctype(body)
        if len(body) > MAX_TEXT_BYTES and not has_long_texts:
            return _parse_tree(body, has_long_texts=True)  # then an error can name the member whose text is too long
        problem = (error.msg or "").partition(", line ")[0].strip()
        if problem.startswith("Excessive depth"):
            raise _too_deep() from None
        problem = _CLEARER.get(problem, problem)
        raise Malformed("The body is not well-formed XML.", problem, *error.position) from None
    except ValueError as error:
        raise BadRequest("The body is not well-formed XML.", f"{error}.") from None
    if root.getroottree().docinfo.doctype:
        _Refusal.doctype()
    return root


class _Refusal:
    """A parser target that refuses a DOCTYPE before any of its entities is expanded."""

    @staticmethod
    def doctype(*about: str | None) -> None:
        """Raise BadRequest; the parser calls it for a DOCTYPE."""
        raise BadRequest("The body has a DOCTYPE.", "Send XML without one.")

    def close(self) -> None:
        """Return no document."""


def _refuse_doctype(body: bytes) -> None:
    """Raise BadRequest if `body`, which the parser has refused, has a DOCTYPE."""
    target: Any = _Refusal()  # lxml's stubs require methods that lxml itself does not
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=True, target=target)
    with suppress(etree.XMLSyntaxError):
        etree.fromstring(body, parser)


def _check_attributes(root: etree._Element) -> None:
    """Raise BadRequest for an element with too many attributes: lxml reads them in quadratic time."""
    for element in root.xpath(f"//*[@*[{MAX_ATTRIBUTES + 1}]]"):
        place = f"{shortened(str(element.tag))} in line {element.sourceline}"
        raise BadRequest("An element has too many attributes.", f"{place}; {MAX_ATTRIBUTES} are taken.")


def _too_deep() -> BadRequest:
    return BadRequest("The body is nested too deeply.", f"More than {MAX_ELEMENT_DEPTH} elements.")


@cache
def _elements(schema: Schema) -> tuple[dict[str, str], set[str | None]]:
    """Return the names of a document's members by their elements, and the elements that hold members."""
    places = {name: place_in_xml(field) for name, field in member_fields(schema).items()}
    return {place.name or name: name for name, place in places.items()}, {place.inside for place in places.values()}


class _Reader:
    """Reads one body; `problems` collects messages by path of members that do not fit."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self._notes = 0

    def _note(self, path: Path, problem: str) -> None:
        self._notes += 1  # many may have one path, whose text takes a time that grows with its depth
        if self._notes <= MAX_PROBLEMS_NAMED + 1:
            self.problems[path_text(path) or "the root element"] = problem

    def document(self, element: etree._Element, schema: Schema, path: Path, depth: int = 1) -> Document:
        """Return the document that `element` holds, members in the order of their first appearance."""
        named = member_fields(schema)
        names, holders = _elements(schema)
        document = self._attributes(element, named, path) if element.keys() else {}
        for name, elements in self._by_name(element, path, depth, holders).items():
            member = names.get(name, name)
            if member in document:
                self._note((path, member), "Given twice.")
            elif member in named:
                document[member] = self._named(elements, named[member], (path, member), depth)
            else:
                document[member] = self._unnamed(elements, (path, member), depth)
        return document

    def _attributes(self, element: etree._Element, named: _Named, path: Path) -> Document:
        document: Document = {}
        for key, text in element.items():
            name = str(key)
            if name in named and place_in_xml(named[name]).attribute:
                document[name] = _scalar(str(text), named[name])
            elif not name.startswith("{"):  # such as xsi:schemaLocation
                self._note((path, name), "No such attribute.")
        return document

    def _by_name(
        self, element: etree._Element, path: Path, depth: int, holders: Any = frozenset()
    ) -> dict[str, list[etree._Element]]:
        """Return the children of `element`, and of those in `holders`, by the names of their members."""
        if depth > MAX_ELEMENT_DEPTH:
            raise _too_deep()
        has_text = _is_text(element.text)
        by_name: dict[str, list[etree._Element]] = {}
        for child in element:
            has_text = has_text or _is_text(child.tail)
            tag = str(child.tag)
            if tag in holders:
                for name, elements in self._by_name(child, path, depth + 1).items():
                    by_name.setdefault(name, []).extend(elements)
            elif tag.startswith("{"):
                self._note((path, tag), "Is in a namespace; documents use none.")
            else:
                key = child.attrib.pop("key", None) if tag == "entry" else None
                by_name.setdefault(tag if key is None else str(key), []).append(child)
        if has_text:
            self._note(path, "Has text beside elements.")
        return by_name

    def _named(self, elements: list[etree._Element], field: fields.Field[Any], path: Path, depth: int) -> Any:
        place = place_in_xml(field)
        if len(elements) == 1 and self._is_nil(elements[0], path):
            return None
        if isinstance(field, fields.List) and place.item is None:
            if len(elements) == 1 and _is_empty(elements[0]):
                return []
            return [self._one(each, field.inner, (path, n), depth) for n, each in enumerate(elements)]
        if len(elements) > 1:
            self._note(path, "Given twice.")
        if isinstance(field, fields.List):
            return self._wrapped(elements[0], field, path, depth)
        return self._one(elements[0], field, path, depth)

    def _wrapped(self, wrapper: etree._Element, field: fields.List[Any], path: Path, depth: int) -> list[Any]:
        item = place_in_xml(field).item
        children = self._by_name(wrapper, path, depth + 1)
        for name in children.keys() - {item}:
            self._note((path, name), f"Only {item} elements stand here.")
        members = children.get(item or "", [])
        return [self._one(each, field.inner, (path, n), depth + 1) for n, each in enumerate(members)]

    def _is_nil(self, element: etree._Element, path: Path) -> bool:
        """Say whether an element stands for null (XML Schema Part 1, 2.6.2)."""
        if (element.get(_NIL) or "").strip() not in ("true", "1"):
            return False
        if not _is_empty(element):
            self._note(path, "Is nil, but not empty.")
        return True

    def _one(self, element: etree._Element, field: fields.Field[Any], path: Path, depth: int) -> Any:
        if self._is_nil(element, path):
            return None
        if isinstance(field, fields.Nested):
            return self.document(element, field.schema, path, depth + 1)
        if element.keys():
            self._attributes(element, {}, path)
        if len(element) or isinstance(field, FreeMap):
            # An element where text should be becomes a map, which the schema then refuses.
            return self._free_map(element, path, depth)
        return _scalar(element.text or "", field)

    def _unnamed(self, elements: list[etree._Element], path: Path, depth: int) -> Any:
        if len(elements) == 1:
            return self._free(elements[0], path, depth)
        return [self._free(each, path, depth) for each in elements]

    def _free(self, element: etree._Element, path: Path, depth: int) -> Any:
        if element.keys():
            if self._is_nil(element, path):
                return None
            self._attributes(element, {}, path)
        return self._free_map(element, path, depth) if len(element) else element.text or ""

    def _free_map(self, element: etree._Element, path: Path, depth: int) -> Document:
        by_name = self._by_name(element, path, depth + 1)
        return {name: self._unnamed(each, (path, name), depth + 1) for name, each in by_name.items()}


def _is_text(text: str | None) -> bool:
    return text is not None and bool(text.strip())


def _is_empty(element: etree._Element) -> bool:
    return not len(element) and not (element.text or "").strip()


def _scalar(text: str, field: fields.Field[Any]) -> Any:
    """Return `text` as a value of the type of `field`; the text itself if it is none.

    An empty element of a number, boolean or date is null.
    """
    if not text and isinstance(field, JsonBoolean | JsonInteger | Instant):
        return None
    if isinstance(field, JsonBoolean):
        return _BOOLEANS.get(text.strip(), text)
    if isinstance(field, JsonInteger) and len(text) <= _MAX_INTEGER_CHARS:
        try:
            return parse_whole(text.strip())
        except ValueError:
            return text
    return text
