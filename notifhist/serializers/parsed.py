"""The result of parsing a body, and the checks for values that are refused in any format."""

import dataclasses
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from marshmallow import fields

from notifhist.errors import BadRequest
from notifhist.schemas.document import DocumentSchema, member_fields
from notifhist.schemas.fields import MAX_PROBLEMS_NAMED, NUMBER_RANGE

_CONTAINER_LEVELS = 2
MAX_DEPTH = 64
"""How deeply maps and lists may be nested (docs/contract.md, "Recording")."""

Path = tuple["Path", str | int] | tuple[()]
"""The place of a member: its parent's path, and its name or index."""

_PLAIN_NAME = re.compile(r"[^\W\d][\w-]*")


@dataclass(frozen=True)
class Parsed:
    """A parsed body: its document (any JSON value), and whether that is a container of several documents.

    `problems` are the wrong members that only the parser can see: messages by path.
    """

    document: Any
    is_container: bool
    problems: dict[str, str] = dataclasses.field(default_factory=dict)


def list_field(container: DocumentSchema) -> tuple[str, fields.List[Any]]:
    """Return name and field of the member that holds a container's documents."""
    members = member_fields(container).items()
    return next((name, each) for name, each in members if isinstance(each, fields.List))


def path_text(path: Path) -> str:
    """Return `path` as errors write it: `notification_results[0].attempts[2].message`."""
    parts: list[str] = []
    while path:
        path, key = path
        if isinstance(key, int):
            parts.append(f"[{key}]")
        elif _PLAIN_NAME.fullmatch(key):
            parts.append(f".{key}")
        else:
            parts.append(f"[{json.dumps(key)}]")
    return "".join(reversed(parts)).removeprefix(".")


def wrong_values(value: Any, path: Path = (), depth: int = 1, max_depth: int = MAX_DEPTH) -> Iterator[tuple[str, str]]:
    """Yield path and message of each value that no member may have: a number out of range, a lone surrogate.

    Raises BadRequest where the nesting is deeper than `max_depth`.
    """
    if not isinstance(value, dict | list):
        if problem := _wrong_scalar(value):
            yield path_text(path), problem
        return
    if depth > max_depth:
        raise BadRequest("The body is nested too deeply.", f"More than {max_depth} levels.")
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in members:
        if type(key) is str and not key.isascii() and _has_lone_surrogate(key):
            yield path_text((path, key)), "The name has a lone surrogate."
        if type(member) is not str or not member.isascii():  # most members are ASCII, and need no look inside
            yield from wrong_values(member, (path, key), depth + 1, max_depth)


def few_wrong_values(value: Any, max_depth: int) -> dict[str, str]:
    """Return messages by path of the first wrong values, one more than an error names."""
    return dict(islice(wrong_values(value, max_depth=max_depth), MAX_PROBLEMS_NAMED + 1))


def max_depth_of(schema: DocumentSchema, is_container: bool) -> int:
    """Return how deeply a body may be nested: a document MAX_DEPTH, a container of documents two levels more.

    A document that becomes part of another one has fewer levels, since the other may have no more than MAX_DEPTH.
    """
    return MAX_DEPTH + _CONTAINER_LEVELS if is_container else MAX_DEPTH - schema.levels_above


def _wrong_scalar(value: Any) -> str | None:
    """Return the problem of a scalar, if it has one."""
    match value:
        case str():
            return "Has a lone surrogate." if _has_lone_surrogate(value) else None
        case float():
            return None if math.isfinite(value) else "Must be a finite number."
        case int() if not NUMBER_RANGE[0] <= value <= NUMBER_RANGE[1]:
            return f"Must be from {NUMBER_RANGE[0]} to {NUMBER_RANGE[1]}."
    return None


def _has_lone_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
