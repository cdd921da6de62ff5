"""The records that a test makes: what the contract requires is filled in, and a misspelt member fails the test."""

import difflib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from marshmallow import Schema, fields

from notifhist.schemas.document import OpenDocumentSchema, member_fields
from notifhist.schemas.resources import ITEM_RESOURCE, LOG_RESOURCE, RUN_RESOURCE, Resource

FILLED: Mapping[str, Mapping[str, Any]] = {
    ITEM_RESOURCE.name: {"state": "OK", "notification_results": []},
    RUN_RESOURCE.name: {"notificationType": "WEEKLY_REPORT", "medium": "EMAIL", "status": "COMPLETED"},
    LOG_RESOURCE.name: {
        "runId": 1,
        "type": "WEEKLY_REPORT",
        "medium": "EMAIL",
        "recipientType": "USER",
        "status": "DELIVERED",
    },
}
"""What the contract requires of a record, by the name of its resource."""
_PLACE = {"entity": "en", "alarm": "al", "check": "ch"}
"""What `item` takes beside members, and what these are unless a test says otherwise."""
_LETTERS = 2
"""So many letters are too many or too few in a misspelt name; one wrong letter is both, as are two that are swapped."""
_SHORT = 4
"""A name of fewer letters (`id`) is like any other short one."""


def filled(
    resource: Resource, members: Mapping[str, Any], place: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """Return a record with what is required. The test fails for a member that is none, but nearly one that is absent.

    `place`: the entity, the alarm and the check of an item.
    """
    __tracebackhide__ = True
    known = {name for name, value in place.items() if value == _PLACE[name]}
    if found := list(_misspelt(resource.document, members, known)):
        raise pytest.fail.Exception(f"The {resource.name} cannot be recorded. {' '.join(found)}", pytrace=False)
    return {**FILLED[resource.name], **members}


def _misspelt(schema: Schema, members: Any, more: set[str], path: str = "") -> Iterator[str]:
    """Yield a sentence for each misspelt member, in the documents within as well. `more` could be given besides."""
    if not isinstance(members, Mapping):
        return
    named = member_fields(schema)
    absent = (named.keys() | more) - members.keys()
    for name, value in members.items():
        if name not in named and (meant := _meant(str(name), absent)):
            own = f" If {name} is a member of your own, give {meant} too." * isinstance(schema, OpenDocumentSchema)
            yield f"{path}{name}: did you mean {meant}?{own}"
        field = named.get(name)
        inner = field.inner if isinstance(field, fields.List) else field
        if isinstance(inner, fields.Nested) and isinstance(value, list | tuple):
            for n, each in enumerate(value):
                yield from _misspelt(inner.schema, each, set(), f"{path}{name}[{n}].")


def _meant(name: str, absent: set[str]) -> str | None:
    """Return the absent member that a name is nearly: but for capitals and underscores, or for a letter or two."""
    distances = {each: _distance(name, each) for each in sorted(absent)}
    near = {each: distance for each, distance in distances.items() if distance <= (len(each) >= _SHORT) * _LETTERS}
    return min(near, key=lambda each: near[each], default=None)


def _distance(one: str, other: str) -> int:
    """Return how many letters only one of two names has."""
    plain, other_plain = (each.replace("_", "").replace("-", "").casefold() for each in (one, other))
    blocks = difflib.SequenceMatcher(None, plain, other_plain).get_matching_blocks()
    return len(plain) + len(other_plain) - 2 * sum(block.size for block in blocks)
