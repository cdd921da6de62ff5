"""A JSON body, read strictly: nothing repeated, nothing rounded, nothing that is not JSON.

The standard library parses it: faster parsers round large integers and drop repeated members silently (ADR 4). orjson
reads what it would write as it stands: there it has dropped and rounded nothing.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import orjson

from notifhist.errors import BadRequest, Malformed
from notifhist.schemas.document import DocumentSchema
from notifhist.serializers.parsed import (
    MAX_DEPTH,
    MAX_TEXT_BYTES,
    NO_LIMITS,
    Limits,
    Parsed,
    few_wrong_values,
    list_field,
    max_depth_of,
)

_STRING = r'"(?:[^"\\]++|\\.)*+"'
_TOKEN = re.compile(rf'{_STRING}|[{{}}\[\],]|:|[^\s{{}}\[\],:"]++')
_BRACE_OR_NAME = re.compile(rf'(?:[^"{{}}]++|{_STRING}(?!\s*+:))*+([{{}}]|{_STRING})')
_BEFORE_CONSTANT = re.compile(rf'(?:[^"NI-]++|{_STRING}|-(?!I))*+')
"""What stands before the first of the constants that Python reads and JSON has not: NaN, Infinity, -Infinity."""
_MAX_INTEGER_CHARS = 20  # no integer in range is longer; to convert a very long one is slow
_OUT_OF_RANGE = 10**_MAX_INTEGER_CHARS
_RECORD_LEVEL = 2  # a container's records stand in a list in a map


class _NotJson(Exception):
    pass


def parse(
    body: bytes, single: DocumentSchema, container: DocumentSchema | None = None, limits: Limits = NO_LIMITS
) -> Parsed:
    """Return the document of a JSON `body`, of the form of `single` or of `container` (see `Parsed`).

    Raises BadRequest for syntax errors and repeated members, both named by line and column, for nesting that is too
    deep, and beyond the limits.
    """
    text, document, repeats = _read(body, limits)
    name = None if container is None else list_field(container)[0]
    is_container = isinstance(document, dict) and name in document
    if is_container and isinstance(document[name], list):
        limits.check("records", len(document[name]))
    problems = few_wrong_values(document, max_depth_of(single, is_container), limits)
    if repeats:
        raise _repeated_member(text)
    return Parsed(document, is_container, problems)


def parse_value(body: bytes, max_depth: int) -> tuple[Any, dict[str, str]]:
    """Return the value of `body`, and messages by path of its wrong values. Raises the same errors as `parse`.

    Lines that this service or orjson has written, as those of an export, are read in a fifth of the time of others.
    """
    if (written := _as_written(body)) is not None:
        cannot_be_deep = body.count(b"{") + body.count(b"[") <= max_depth
        return written, {} if cannot_be_deep and len(body) <= MAX_TEXT_BYTES else few_wrong_values(written, max_depth)
    text, value, repeats = _read(body, NO_LIMITS)
    if repeats:
        raise _repeated_member(text)
    return value, few_wrong_values(value, max_depth)


def _as_written(body: bytes) -> Any:
    """Return the value of a body that orjson would write as it stands, so that its numbers are in range; else None."""
    try:
        value = orjson.loads(body)
        return value if orjson.dumps(value) == body else None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None


def _read(body: bytes, limits: Limits) -> tuple[str, Any, bool]:
    """Return the text of `body`, its value, and whether an object in it repeats a member."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        problem = f"Byte {error.start}: {error.reason}"
        raise Malformed("The body is not UTF-8.", problem, *_line_and_column(before, len(before))) from None
    repeats, maps, members_seen = False, 0, 0

    def members_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeats, maps, members_seen
        members = dict(pairs)
        maps += 1
        members_seen += len(pairs)
        limits.check("values", max(maps, members_seen))  # neither is counted again where a member replaces another
        if len(members) != len(pairs):
            repeats = True
        return members

    try:
        value = json.loads(text, object_pairs_hook=members_of, parse_int=_integer, parse_constant=_refuse_constant)
    except RecursionError:
        raise BadRequest("The body is nested too deeply.", f"More than {MAX_DEPTH} levels.") from None
    except json.JSONDecodeError as error:
        raise Malformed("The body is not JSON.", error.msg, error.lineno, error.colno) from None
    except _NotJson as error:
        found = _BEFORE_CONSTANT.match(text)
        where = _line_and_column(text, found.end() if found else 0)
        raise Malformed("The body is not JSON.", f"{error} is no JSON", *where) from None
    return text, value, repeats


def _repeated_member(text: str) -> Malformed:
    name, start = next(_repeated_members(text))
    return Malformed("The body repeats a member.", f"{name} again", *_line_and_column(text, start))


def record_lines(body: bytes, container: DocumentSchema) -> Iterator[int]:
    """Yield the line in which each record of a container begins; `body` has been parsed without error."""
    text = body.decode("utf-8-sig")
    holder, _ = list_field(container)
    levels, inside, line, counted = 0, False, 1, 0
    name = previous = ""
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if inside and levels == _RECORD_LEVEL and mark not in (",", "]"):
            line += text.count("\n", counted, token.start())
            counted = token.start()
            yield line
        if mark in ("{", "["):
            levels += 1
            inside = inside or (levels == _RECORD_LEVEL and name == holder)
        elif mark in ("}", "]"):
            inside = inside and levels > _RECORD_LEVEL
            levels -= 1
        elif mark == ":" and levels == 1:
            name = json.loads(previous)
        previous = mark


def _integer(text: str) -> int:
    return int(text) if len(text) <= _MAX_INTEGER_CHARS else _OUT_OF_RANGE


def _refuse_constant(name: str) -> NoReturn:
    raise _NotJson(name)


def _repeated_members(text: str) -> Iterator[tuple[str, int]]:
    """Yield name (as written) and offset of each repeated member of `text`, which is JSON."""
    levels: list[set[str]] = []
    for found in _BRACE_OR_NAME.finditer(text):
        brace_or_name = found[1]
        if brace_or_name == "{":
            levels.append(set())
        elif brace_or_name == "}":
            levels.pop()
        else:
            name = json.loads(brace_or_name) if "\\" in brace_or_name else brace_or_name[1:-1]
            if name in levels[-1]:
                yield brace_or_name, found.start(1)
            levels[-1].add(name)


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
