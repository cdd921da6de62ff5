"""The documents of `schemas` as JSON schema, with our field types and their XML, which apispec does not know."""

from typing import Any, cast

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields

from notifhist.schemas.document import DocumentSchema, member_fields
from notifhist.schemas.fields import (
    INT32,
    MAX_PATH_ID,
    FreeMap,
    Instant,
    JsonInteger,
    PathId,
    QueryChoices,
    QueryInstant,
    QueryInteger,
    Text,
    TimeUuid,
    place_in_xml,
)
from notifhist.web.declarations import Json

# 3.0, not 3.1: client generators know it best, our documents need nothing that 3.1 adds, and schemathesis
# treats both alike.
_OPENAPI_VERSION = "3.0.3"
_HEX = "[0-9a-fA-F]"
_TIME_UUID = f"^{_HEX}{{8}}-{_HEX}{{4}}-1{_HEX}{{3}}-[89abAB]{_HEX}{{3}}-{_HEX}{{12}}$"
_IN_PATH = r"^[^/\x00-\x1f\x7f-\x9f]*$"
_WITHOUT_NUL = r"^[^\x00]*$"


class Description:
    """An OpenAPI document in the making, whose schemas are those of `schemas`."""

    def __init__(self, title: str, version: str, **options: Any) -> None:
        plugin = MarshmallowPlugin()
        self.spec = APISpec(title, version, _OPENAPI_VERSION, plugins=[plugin], **options)
        self._converter = cast("OpenAPIConverter", plugin.converter)
        for function in (_describe_type, _describe_xml):
            self._converter.add_attribute_function(function)  # type: ignore[no-untyped-call]

    def field(self, field: fields.Field[Any]) -> Json:
        """Return the JSON schema of one field."""
        return self._converter.field2property(field)

    def document(self, schema: DocumentSchema, xml: bool = False) -> Json:
        """Return a reference to the JSON schema of a document; with `xml`, as it stands in XML."""
        reference: Json = self._converter.resolve_nested_schema(schema)  # type: ignore[no-untyped-call]
        if not xml or not any(place_in_xml(field).inside for field in schema.fields.values()):
            return reference
        name = reference["$ref"].rpartition("/")[2] + "Xml"
        if name not in self.spec.components.schemas:
            self.spec.components.schema(name, self._in_xml(schema))
        return {"$ref": f"#/components/schemas/{name}"}

    def parameters(self, schema: Schema) -> list[Json]:
        """Return the parameters of a query string."""
        parameters: list[Json] = self._converter.schema2parameters(schema, location="query")
        return parameters

    def to_dict(self) -> Json:
        """Return the whole OpenAPI document."""
        for (schema, *_), name in self._converter.refs.items():
            _describe_document(self.spec.components.schemas[name], schema)
        return self.spec.to_dict()

    def _in_xml(self, schema: DocumentSchema) -> Json:
        """Return the schema of an envelope as it stands in XML: some members are inside another element."""
        envelope = _object()
        for name, field in member_fields(schema).items():
            place = place_in_xml(field)
            holder = envelope
            if place.inside:
                holder = envelope["properties"].setdefault(place.inside, _object())
                envelope["required"] = list(dict.fromkeys((*envelope["required"], place.inside)))
            holder["properties"][place.name or name] = self.field(field)
            if field.required:
                holder["required"].append(place.name or name)
        _describe_document(envelope, type(schema))
        return envelope


def _object() -> Json:
    return {"type": "object", "properties": {}, "required": []}


def _describe_document(described: Json, schema: type[DocumentSchema]) -> None:
    """Add the declarations of a document's class: its description, its element, whether it has unnamed members."""
    described["description"] = schema.description
    if schema.root:
        described["xml"] = {"name": schema.root}
    described.setdefault("additionalProperties", True)


def _describe_type(converter: OpenAPIConverter, field: fields.Field[Any], ret: Json) -> Json:
    """Return the properties that our own field types add to their JSON schema."""
    match field:
        case JsonInteger(bounds=bounds) | QueryInteger(bounds=bounds):
            size = "int32" if bounds[1] <= INT32[1] else "int64"
            return {"format": size, "minimum": bounds[0], "maximum": bounds[1]}
        case QueryInstant():
            return {"type": "integer", "format": "int64"}  # so generated clients take a number; ISO is for people
        case QueryChoices():
            return {"items": {"type": "string", "enum": list(field.choices)}}
        case TimeUuid():
            return {"format": "uuid", "pattern": _TIME_UUID}
        case Instant():
            return {"type": "string", "format": "date-time"}
        case PathId():
            return {"minLength": 1, "maxLength": MAX_PATH_ID, "pattern": _IN_PATH}
        case Text(without_nul=True):
            return {"pattern": _WITHOUT_NUL}
        case FreeMap(value_field=None):
            return {"additionalProperties": True}
    return {}


def _describe_xml(converter: OpenAPIConverter, field: fields.Field[Any], ret: Json) -> Json:
    """Return the `xml` object of a member that is no plain child element of its own name."""
    ret.pop("xml", None)  # apispec copies our metadata of that name
    place = place_in_xml(field)
    xml: Json = {}
    if place.attribute:
        xml["attribute"] = True
    if place.name:
        xml["name"] = place.name
    if place.item:
        xml["wrapped"] = True
        if "$ref" not in ret["items"]:  # documents know their element themselves
            ret["items"]["xml"] = {"name": place.item}
    return {"xml": xml} if xml else {}
