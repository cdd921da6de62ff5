"""The records that a test makes: what the contract requires is filled in, and a misspelt member fails the test."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from marshmallow import Schema, fields

from notifhist.schemas.document import OpenDocumentSchema, member_fields
from notifhist.schemas.query import Tenant
from notifhist.schemas.resources import ITEM_RESOURCE, LOG_RESOURCE, RUN_RESOURCE, Resource

_RESOURCES = {each.name: each for each in (ITEM_RESOURCE, RUN_RESOURCE, LOG_RESOURCE)}
_FILLED: Mapping[str, Mapping[str, Any]] = {
    "item": {"state": "OK", "notification_results": []},
    "run": {"notificationType": "WEEKLY_REPORT", "medium": "EMAIL", "status": "COMPLETED"},
    "log": {"runId": 1, "type": "WEEKLY_REPORT", "medium": "EMAIL", "recipientType": "USER", "status": "DELIVERED"},
}
"""What the contract requires of a record, by the name of its resource."""
_PLACE = {"entity": "en", "alarm": "al", "check": "ch"}
"""What `item` takes beside members, and what these are unless a test says otherwise."""
_SHORT = 4
"""A word of fewer letters (`id`) is like any other short one."""
_WORDS = frozenset({"alarms", "checks", "messages", "states", "stats"})
"""Members of one's own that are a letter away from one of ours: who writes them means them."""


def made(
    resource_name: str, tenant: str, members: Mapping[str, Any], place: Mapping[str, str]
) -> tuple[Resource, Tenant, dict[str, Any]]:
    """Return the resource of a record that a test makes, its owner, and the record with what is required.

    `place`: the entity, the alarm and the check of an item. The test fails for a member that is none, but nearly one
    that is absent.
    """
    __tracebackhide__ = True
    resource = _RESOURCES[resource_name]
    known = {name for name, value in place.items() if value == _PLACE[name]}
    if found := list(_misspelt(resource.document, members, known)):
        raise pytest.fail.Exception(f"The {resource_name} cannot be recorded. {' '.join(found)}", pytrace=False)
    return resource, resource.owner(tenant, *place.values()), {**_FILLED[resource_name], **members}


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
    """Return the absent member that a name is nearly; of several, the one that is but spelt in another way."""
    near = [each for each in sorted(absent) if name not in _WORDS and _is_nearly(name, each)]
    return min(near, key=lambda each: _joined(each) != _joined(name), default=None)


def _is_nearly(name: str, member: str) -> bool:
    """Say whether a name is a member but for capitals and underscores, or for one letter in each word."""
    if member in _PLACE and _joined(name) == f"{member}id":
        return True
    pairs = list(zip(name.casefold().split("_"), member.casefold().split("_"), strict=False))
    if name.count("_") != member.count("_"):
        pairs = [(_joined(name), _joined(member))]
    return all(word == meant or (len(meant) >= _SHORT and _is_a_letter_off(word, meant)) for word, meant in pairs)


def _joined(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


def _is_a_letter_off(word: str, meant: str) -> bool:
    """Say whether one letter is too many, too few or wrong, or two are swapped."""
    while word and word[:1] == meant[:1]:
        word, meant = word[1:], meant[1:]
    swapped = word[1::-1] + word[2:]
    return meant in (word[1:], swapped) or meant[1:] in (word, word[1:])
