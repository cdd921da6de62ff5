"""What a schema's `load` makes of a document, in a sixth of its time where the document fits.

marshmallow gathers all that is wrong with a document, and every document pays for that. Here each field is asked
once; at the first objection marshmallow goes through the document itself, and what it says counts. The rules stand
where they stood: in the fields, and in `DocumentSchema.problems`.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from marshmallow import EXCLUDE, ValidationError, fields

from schemas.document import DocumentSchema, OpenDocumentSchema, member_fields

_Load = Callable[[Any], Any]


class _Objection(Exception):
    """Something does not fit, or is none of what is known here."""


class _Member(NamedTuple):
    """What `load` calls a member, and what loads its value."""

    key: str
    load: _Load


def load(schema: DocumentSchema, document: Any) -> Any:
    """Return what `schema.load(document)` does. Raises its ValidationError."""
    try:
        return _loader(schema)(document)
    except (_Objection, ValidationError):
        return schema.load(document)


@cache
def _loader(schema: DocumentSchema) -> _Load:
    members = {
        name: _Member(field.attribute or str(field.name), _value_loader(field))
        for name, field in member_fields(schema).items()
    }
    required = {name for name, field in member_fields(schema).items() if field.required}
    is_open, may_have_others = isinstance(schema, OpenDocumentSchema), schema.unknown == EXCLUDE

    def load_open(document: Any) -> Any:
        if type(document) is not dict or not required <= document.keys():
            raise _Objection
        loaded = {}
        for name, value in document.items():
            member = members.get(name)
            loaded[name] = value if member is None else member.load(value)
        if schema.problems(loaded, document):
            raise _Objection
        return loaded

    def load_closed(document: Any) -> Any:
        if type(document) is not dict or not required <= document.keys():
            raise _Objection
        if not may_have_others and not document.keys() <= members.keys():
            raise _Objection
        loaded = {
            member.key: member.load(document[name]) for name, member in members.items() if name in document
        }
        if schema.problems(loaded, document):
            raise _Objection
        return loaded

    return load_open if is_open else load_closed


def _value_loader(field: fields.Field[Any]) -> _Load:
    """Return what loads the value of one field. A null is an objection: some schemas take it for an absent member."""
    if isinstance(field, fields.Nested):
        return _loader(field.schema)
    if isinstance(field, fields.List):
        load_each = _value_loader(field.inner)

        def load_list(value: Any) -> Any:
            if type(value) is not list:
                raise _Objection
            return [load_each(each) for each in value]

        return load_list
    # Where nothing comes before or after it, what a field's class does is all that `deserialize` does.
    is_bare = not (field.validators or field.pre_load or field.post_load)
    deserialize = field._deserialize

    def load_value(value: Any) -> Any:
        if value is None:
            raise _Objection
        return deserialize(value, None, None) if is_bare else field.deserialize(value)

    return load_value
