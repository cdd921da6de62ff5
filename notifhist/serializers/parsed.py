"""The result of parsing a body, and the checks for values that are refused in any format."""

import dataclasses
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from marshmallow import fields

from notifhist.errors import BadRequest
from notifhist.schemas.document import DocumentSchema, member_fields
from notifhist.schemas.fields import MAX_PROBLEMS_NAMED, NUMBER_RANGE

_CONTAINER_LEVELS = 2
MAX_DEPTH = 64
"""How deeply maps and lists may be nested (docs/contract.md, "Recording")."""
MAX_TEXT_BYTES = 10_000_000
"""How many bytes of UTF-8 a text or a name may have: common XML parsers take no longer ones."""

Path = tuple["Path", str | int] | tuple[()]
"""The place of a member: its parent's path, and its name or index."""

_PLAIN_NAME = re.compile(r"[^\W\d][\w-]*")
_MAX_NAMED_CHARS = 200  # an error names a thousand members, and the name of each may be as long as the body


@dataclass(frozen=True)
class Limits:
    """How much a body may hold, so that none takes long.

    `records`: of a container. `values`: the members of all maps and lists of a body in JSON. `elements`: of one in XML,
    where each costs twice as much.
    """

    records: float = math.inf
    values: float = math.inf
    elements: float = math.inf

    def check(self, of: Literal["records", "values", "elements"], number: float) -> None:
        """Raise BadRequest where there are more."""
        if number > (most := getattr(self, of)):
            raise BadRequest(f"The body has too many {of}.", f"{most} are taken.")


NO_LIMITS = Limits()
"""For files: a file is as large as it is."""


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
            continue
        if _PLAIN_NAME.fullmatch(key[:_MAX_NAMED_CHARS]):
            parts.append(f".{shortened(key)}")
        else:
            parts.append(f"[{json.dumps(shortened(key))}]")
    return "".join(reversed(parts)).removeprefix(".")


def shortened(name: str) -> str:
    """Return `name` as errors write it: its first 200 characters."""
    return name if len(name) <= _MAX_NAMED_CHARS else f"{name[:_MAX_NAMED_CHARS]}…"


def few_wrong_values(value: Any, max_depth: int, limits: Limits = NO_LIMITS) -> dict[str, str]:
    """Return messages by path of the first values that no member may have, one more than an error names.

    Such are numbers out of range, lone surrogates and texts that are too long. Raises BadRequest where there are more
    values than `limits` allow, or the nesting is deeper than `max_depth`.
    """
    check = _Check(max_depth, limits)
    check.members([value], (), 0)
    return check.problems


class _Check:
    """Looks at every value of one document."""

    def __init__(self, max_depth: int, limits: Limits) -> None:
        self.problems: dict[str, str] = {}
        self._notes = 0
        self._max_depth, self._limits, self._values = max_depth, limits, 0

    def members(self, members: dict[str, Any] | list[Any], path: Path, depth: int) -> None:
        """Look at the members of a map or a list, which stands at `path`; the document itself at depth 0."""
        if depth > self._max_depth:
            raise BadRequest("The body is nested too deeply.", f"More than {self._max_depth} levels.")
        self._values += len(members)
        self._limits.check("values", self._values)
        if isinstance(members, dict):
            self._names(members, path)
        for key, member in members.items() if isinstance(members, dict) else enumerate(members):
            kind = type(member)
            if kind is str:
                if member.isascii() and len(member) <= MAX_TEXT_BYTES:
                    continue
            elif kind is dict or kind is list:
                self.members(member, (path, key) if depth else (), depth + 1)
                continue
            elif kind is int and NUMBER_RANGE[0] <= member <= NUMBER_RANGE[1]:
                continue
            if problem := _wrong_scalar(member):
                self._note((path, key) if depth else (), problem)

    def _names(self, names: Iterable[str], path: Path) -> None:
        for name in names:
            if (not name.isascii() or len(name) > MAX_TEXT_BYTES) and (problem := _wrong_text(name)):
                self._note((path, name), f"The name {problem[0].lower()}{problem[1:]}")

    def _note(self, path: Path, problem: str) -> None:
        self._notes += 1  # many may have one text, shortened as they are
        if self._notes <= MAX_PROBLEMS_NAMED + 1:
            self.problems[path_text(path)] = problem


def max_depth_of(schema: DocumentSchema, is_container: bool) -> int:
    """Return how deeply a body may be nested: a document MAX_DEPTH, a container of documents two levels more.

    A document that becomes part of another one has fewer levels, since the other may have no more than MAX_DEPTH.
    """
    return MAX_DEPTH + _CONTAINER_LEVELS if is_container else MAX_DEPTH - schema.levels_above


def _wrong_scalar(value: Any) -> str | None:
    """Return the problem of a scalar, if it has one."""
    match value:
        case str():
            return _wrong_text(value)
        case float():
            return None if math.isfinite(value) else "Must be a finite number."
        case int() if not NUMBER_RANGE[0] <= value <= NUMBER_RANGE[1]:
            return f"Must be from {NUMBER_RANGE[0]} to {NUMBER_RANGE[1]}."
    return None


def _wrong_text(text: str) -> str | None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "Has a lone surrogate."
    return f"Has more than {MAX_TEXT_BYTES} bytes." if size > MAX_TEXT_BYTES else None
