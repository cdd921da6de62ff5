"""The base classes of all document schemas; they keep the recorded order and unnamed members, at every level."""

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, fields, post_dump, post_load, pre_load

Document = dict[str, Any]
"""A document: a JSON object, in the order in which it was recorded."""


def dump(schema: Schema, document: object) -> Document:
    """Return `document`, a mapping or an object with the members as attributes, as `schema` writes it."""
    dumped: Document = schema.dump(document)
    return dumped


@cache
def member_fields(schema: Schema) -> dict[str, fields.Field[Any]]:
    """Return the schema's fields by the members' JSON names, in published order."""
    return {field.data_key or name: field for name, field in schema.fields.items()}


@cache
def _loaded_names(schema: Schema) -> dict[str, str]:
    """Return the names that members have in the result of marshmallow's `load`, by their JSON names."""
    return {field.data_key or name: field.attribute or name for name, field in schema.fields.items()}


class DocumentSchema(Schema):
    """A document with named members. When it is loaded, a member that is null counts as absent.

    `root` is its element where it stands alone in XML. `description` is published in OpenAPI and in the XML schema.
    `levels_above` is how many maps and lists of an item enclose a document that is also recorded by itself.
    """

    root: ClassVar[str] = ""
    description: ClassVar[str] = ""
    levels_above: ClassVar[int] = 0
    error_messages = {"type": "Must be an object."}  # noqa: RUF012 - so marshmallow declares it

    @pre_load
    def _drop_null(self, data: Any, **kwargs: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {name: value for name, value in data.items() if value is not None or self.keeps_null(name)}

    def keeps_null(self, name: str) -> bool:
        """Say whether the member `name` may be null."""
        return False

    def problems(self, loaded: Mapping[str, Any], original: Mapping[str, Any]) -> dict[str, str]:
        """Return the problems of the document as a whole, by member.

        `loaded` has the loaded values of the members that are valid one by one. A schema that overrides this needs a
        `validates_schema` hook too, which makes marshmallow call it.
        """
        return {}


class OpenDocumentSchema(DocumentSchema):
    """A document that may have unnamed members as well, and keeps the order in which it was recorded.

    marshmallow returns the members in the schema's order, without unnamed ones; the two hooks below restore the order
    and the unnamed members from the original.
    """

    class Meta:
        # Not INCLUDE: with it a member with the Python name of a field would replace that field's value.
        unknown = EXCLUDE

    def keeps_null(self, name: str) -> bool:
        """Say whether the member `name` may be null: an unnamed one is kept as it is."""
        return name not in _loaded_names(self)

    @post_load(pass_original=True)
    def _restore_loaded(self, data: Document, original: Mapping[str, Any], **kwargs: Any) -> Document:
        named = _loaded_names(self)
        return {
            name: data[named[name]] if name in named else value
            for name, value in original.items()
            if value is not None or name not in named
        }

    @post_dump(pass_original=True)
    def _restore_dumped(self, data: Document, original: Mapping[str, Any], **kwargs: Any) -> Document:
        return {name: data.get(name, value) for name, value in original.items()}
