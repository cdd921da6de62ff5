"""A JSON body, read strictly: nothing repeated, nothing rounded, nothing that is not JSON.

The standard library parses it: faster parsers round large integers and drop repeated members silently (ADR 4).
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from notifhist.errors import BadRequest, Malformed
from notifhist.schemas.document import DocumentSchema
from notifhist.serializers.parsed import MAX_DEPTH, Parsed, few_wrong_values, list_field, max_depth_of

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]|:|[^\s{}\[\],:"]+')
_MAX_INTEGER_CHARS = 20  # no integer in range is longer; to convert a very long one is slow
_OUT_OF_RANGE = 10**_MAX_INTEGER_CHARS
_RECORD_LEVEL = 2  # a container's records stand in a list in a map


class _RepeatedMember(Exception):
    pass


class _NotJson(Exception):
    pass


def parse(body: bytes, single: DocumentSchema, container: DocumentSchema | None = None) -> Parsed:
    """Return the document of a JSON `body`, of the form of `single` or of `container` (see `Parsed`).

    Raises BadRequest for syntax errors and repeated members, both named by line and column, and for nesting that is
    too deep.
    """
    document = _parse_text(body)
    is_container = container is not None and isinstance(document, dict) and list_field(container)[0] in document
    return Parsed(document, is_container, few_wrong_values(document, max_depth_of(single, is_container)))


def parse_value(body: bytes, max_depth: int) -> tuple[Any, dict[str, str]]:
    """Return the value of `body`, and messages by path of its wrong values. Raises the same errors as `parse`."""
    value = _parse_text(body)
    return value, few_wrong_values(value, max_depth)


def _parse_text(body: bytes) -> Any:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest("The body is not UTF-8.", f"Byte {error.start}: {error.reason}.") from None
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_int=_integer, parse_constant=_refuse_constant)
    except RecursionError:
        raise BadRequest("The body is nested too deeply.", f"More than {MAX_DEPTH} levels.") from None
    except json.JSONDecodeError as error:
        raise Malformed("The body is not JSON.", error.msg, error.lineno, error.colno) from None
    except _NotJson as error:
        where = _line_and_column(text, _find_constant(text, str(error)))
        raise Malformed("The body is not JSON.", f"{error} is no JSON", *where) from None
    except _RepeatedMember:
        name, start = next(_repeated_members(text))
        where = _line_and_column(text, start)
        raise Malformed("The body repeats a member.", f"{name} again", *where) from None
    return value


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


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RepeatedMember
    return members


def _integer(text: str) -> int:
    return int(text) if len(text) <= _MAX_INTEGER_CHARS else _OUT_OF_RANGE


def _refuse_constant(name: str) -> NoReturn:
    raise _NotJson(name)


def _find_constant(text: str, name: str) -> int:
    return next(token.start() for token in _TOKEN.finditer(text) if token.group() == name)


def _repeated_members(text: str) -> Iterator[tuple[str, int]]:
    """Yield name (as written) and offset of each repeated member of `text`, which is JSON."""
    levels: list[set[str] | None] = []
    previous: re.Match[str] | None = None
    for token in _TOKEN.finditer(text):
        match token.group():
            case "{":
                levels.append(set())
            case "[":
                levels.append(None)
            case "}" | "]":
                levels.pop()
            case ":" if previous is not None and (names := levels[-1]) is not None:
                name = json.loads(previous.group())
                if name in names:
                    yield previous.group(), previous.start()
                names.add(name)
        previous = token


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
