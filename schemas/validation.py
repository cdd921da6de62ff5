"""Validate documents against their schemas: valid ones in a sixth of the time of `Schema.load` (docs/adr/0014).

marshmallow prepares to collect every problem, and that costs time for valid documents too. Here each field loads its
value once, or the value is taken as it is where the field would do no more; at the first problem the document goes to
marshmallow, whose result or messages count. The rules are in the fields and in `DocumentSchema.problems`; both ways use
them.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

from marshmallow import EXCLUDE, ValidationError, fields, missing

from notifhist.schemas.document import Document, DocumentSchema, OpenDocumentSchema, member_fields
from notifhist.schemas.fields import MAX_PROBLEMS_NAMED, FreeMap, JsonBoolean, Text, in_xml

_Validate = Callable[[Any], Any]


class _Member(NamedTuple):
    """How a member is loaded."""

    name: str
    """Its name in the result of `Schema.load`."""
    load: _Validate
    """Loads its value."""
    plain: type | None
    """Values of this very type are loaded as they are: most are, and no function is called for them."""


_Members = Mapping[str, _Member]
"""By a member's JSON name."""
_PLAIN = {Text: str, JsonBoolean: bool, FreeMap: dict}
"""The type whose values a field of this very class loads as they are, if it has no validators and hooks."""

_KNOWN_HOOKS = {"_restore_loaded", "_restore_dumped", "_validate_whole", "_drop_null", "_drop_absent"}
"""The hooks of our schemas whose effect is reproduced here; a schema with another goes to marshmallow."""


class _Objection(Exception):
    """A value does not fit, or only marshmallow knows whether it does."""


def validate(schema: DocumentSchema, document: Any) -> Any:
    """Return the result of `schema.load(document)`. Raises marshmallow's ValidationError as that does."""
    return _validated(document, _validator(schema), schema.load)


def _validated(value: Any, quickly: _Validate, by_marshmallow: _Validate) -> Any:
    try:
        return quickly(value)
    except (_Objection, ValidationError):
        return by_marshmallow(value)


@cache
def _validator(schema: DocumentSchema) -> _Validate:
    """Return a function that returns a document as loaded, or raises _Objection or ValidationError."""
    if not _is_known(schema):
        return _refuse
    members = {
        name: _Member(field.attribute or str(field.name), _value_validator(field), _plain_type(field))
        for name, field in member_fields(schema).items()
    }
    is_open = isinstance(schema, OpenDocumentSchema)
    validate_members = _all_members if is_open else _named_members
    required = {
        name if is_open else members[name].name for name, field in member_fields(schema).items() if field.required
    }
    may_have_others = is_open or schema.unknown == EXCLUDE
    has_problems = type(schema).problems is not DocumentSchema.problems

    def validate_document(document: Any) -> Any:
        if type(document) is not dict or not (may_have_others or document.keys() <= members.keys()):
            raise _Objection
        loaded = validate_members(members, document)
        if not required <= loaded.keys() or (has_problems and schema.problems(loaded, document)):
            raise _Objection
        return loaded

    return validate_document


def _refuse(document: Any) -> Any:
    raise _Objection


def _all_members(members: _Members, document: Document) -> Document:
    """Return an open document as loaded: unnamed members as well, in its own order."""
    loaded = {}
    for name, value in document.items():
        member = members.get(name)
        if member is None or type(value) is member.plain:
            loaded[name] = value
        elif value is not None:
            loaded[name] = member.load(value)
    return loaded


def _named_members(members: _Members, document: Document) -> dict[str, Any]:
    """Return a closed document as loaded: the named members alone, in the order of the schema."""
    return {key: load(document[name]) for name, (key, load, _) in members.items() if document.get(name) is not None}


def _is_known(schema: DocumentSchema) -> bool:
    """Say whether this module reproduces everything that a schema uses of marshmallow."""
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
    """Say whether a field has no validators or hooks beside what its class does (`_deserialize`)."""
    return not (field.validators or field.pre_load or field.post_load)


def _plain_type(field: fields.Field[Any]) -> type | None:
    """Return the type whose values the field loads as they are, if there is one."""
    looks_inside = ("without_nul", "key_field", "value_field")
    if not _is_bare(field) or any(getattr(field, name, None) for name in looks_inside):
        return None
    return _PLAIN.get(type(field))


def _value_validator(field: fields.Field[Any]) -> _Validate:
    """Return a function that returns a field's value as loaded. It objects to null, which only a list can have here."""
    if isinstance(field, fields.Nested):
        return _validator(field.schema)
    if isinstance(field, fields.List):
        validate_each = _value_validator(field.inner)

        def validate_list(value: Any) -> Any:
            if type(value) is not list:
                raise _Objection
            return [validate_each(each) for each in value]

        return validate_list
    is_bare, deserialize = _is_bare(field), field._deserialize

    def validate_value(value: Any) -> Any:
        if value is None:
            raise _Objection
        return deserialize(value, None, None) if is_bare else field.deserialize(value)

    return validate_value


class Documents(fields.List[Any]):
    """A list of documents or texts. Only those that do not fit go to marshmallow, until MAX_PROBLEMS_NAMED are found.

    One wrong document among a million would else cost what a million wrong ones cost, 15 s.
    """

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        validate_each = _value_validator(self.inner)
        loaded, problems, number = [], dict[int, Any](), 0
        for n, each in enumerate(value):
            try:
                loaded.append(_validated(each, validate_each, partial(self.inner.deserialize, **kwargs)))
            except ValidationError as error:
                problems[n] = error.messages
                number += _count(error.messages)
                if number > MAX_PROBLEMS_NAMED:
                    break
        if problems:
            raise ValidationError(problems)
        return loaded


def documents(schema: type[DocumentSchema], *, in_xml_as: str | None = None) -> Documents:
    """Return the field of a required list of documents, each of which is in XML an element of its schema's root.

    `in_xml_as` is the name of the element that holds them, where it is not that of the list.
    """
    metadata = in_xml(name=in_xml_as, item=schema.root)
    return Documents(fields.Nested(schema), required=True, metadata=metadata)


def _count(messages: Any) -> int:
    """Return how many problems marshmallow's nested messages name."""
    return sum(map(_count, messages.values())) if isinstance(messages, dict) else 1
