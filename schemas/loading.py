"""What a schema's `load` makes of a document, in a sixth of its time where the document fits.

marshmallow gathers all that is wrong with a document, and every document pays for that. Here each field is asked
once; at the first objection marshmallow goes through the document itself, and what it says counts. The rules stand
where they stood: in the fields, and in `DocumentSchema.problems`.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from marshmallow import EXCLUDE, ValidationError, fields, missing

from notifhist.schemas.document import Document, DocumentSchema, OpenDocumentSchema, member_fields
from notifhist.schemas.fields import Documents

_Load = Callable[[Any], Any]

_KNOWN_HOOKS = {"_restore_loaded", "_restore_dumped", "_validate_whole", "_drop_null", "_drop_absent"}
"""What these do is done here too: those of open and of closed documents, and what asks for `problems`."""


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
    """Return what loads a document, or raises _Objection or ValidationError."""
    if not _is_known(schema):
        return _refuse
    members = {
        name: _Member(field.attribute or str(field.name), _value_loader(field))
        for name, field in member_fields(schema).items()
    }
    required = {name for name, field in member_fields(schema).items() if field.required}
    load_members = _load_all if isinstance(schema, OpenDocumentSchema) else _load_named
    may_have_others = load_members is _load_all or schema.unknown == EXCLUDE

    def load_document(document: Any) -> Any:
        if type(document) is not dict or not required <= document.keys():
            raise _Objection
        if not may_have_others and not document.keys() <= members.keys():
            raise _Objection
        loaded = load_members(members, document)
        if schema.problems(loaded, document):
            raise _Objection
        return loaded

    return load_document


def _refuse(document: Any) -> Any:
    raise _Objection


def _load_all(members: Mapping[str, _Member], document: Document) -> Document:
    """Return an open document: all that it has, in its own order."""
    loaded = {}
    for name, value in document.items():
        member = members.get(name)
        loaded[name] = value if member is None else member.load(value)
    return loaded


def _load_named(members: Mapping[str, _Member], document: Document) -> dict[str, Any]:
    """Return the named members alone, in the schema's order and by its names."""
    return {member.key: member.load(document[name]) for name, member in members.items() if name in document}


def _is_known(schema: DocumentSchema) -> bool:
    """Say whether all that a schema uses of marshmallow is known here; else only marshmallow can load its documents."""
    hooks = {hook[0] for hooks in schema._hooks.values() for hook in hooks}
    return hooks <= _KNOWN_HOOKS and all(map(_is_plain, schema.fields.values()))


def _is_plain(field: fields.Field[Any]) -> bool:
    if field.dump_only or field.load_default is not missing:
        return False
    if isinstance(field, fields.Nested):
        return _is_bare(field) and field.unknown is None and not field.schema.many
    if isinstance(field, fields.List):
        return _is_bare(field) and isinstance(field, Documents) and _is_plain(field.inner)
    return True


def _is_bare(field: fields.Field[Any]) -> bool:
    """Say whether what a field's class does with a value is all that there is to do."""
    return not (field.validators or field.pre_load or field.post_load)


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
    is_bare, deserialize = _is_bare(field), field._deserialize

    def load_value(value: Any) -> Any:
        if value is None:
            raise _Objection
        return deserialize(value, None, None) if is_bare else field.deserialize(value)

    return load_value
