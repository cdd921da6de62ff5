"""The first difference of two documents: where it is, by its path, and what is there, in one line."""

from __future__ import annotations

import json
from typing import Any

_MOST_CHARACTERS = 120


def json_difference(expected: Any, actual: Any, path: str = "") -> str | None:
    """Return the first difference of two JSON values, in the order of the expected one; None if they are equal.

    Members that are too many follow, in their own order. The order of members does not matter, that of elements does.
    True is not 1; integers are compared exactly.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        return _of_maps(expected, actual, path)
    if isinstance(expected, list) and isinstance(actual, list):
        return _of_lists(expected, actual, path)
    if expected == actual and isinstance(expected, bool) == isinstance(actual, bool):
        return None
    return f"{path or 'the document'}: expected {shown(expected)}, got {shown(actual)}"


def _of_maps(expected: dict[str, Any], actual: dict[str, Any], path: str) -> str | None:
    for name, value in expected.items():
        inner = f"{path}.{name}" if path else name
        if name not in actual:
            return f"{inner}: expected {shown(value)}, but there is no such member"
        if (found := json_difference(value, actual[name], inner)) is not None:
            return found
    for name, value in actual.items():
        if name not in expected:
            return f"{f'{path}.' if path else ''}{name}: expected no such member, got {shown(value)}"
    return None


def _of_lists(expected: list[Any], actual: list[Any], path: str) -> str | None:
    for n, (first, second) in enumerate(zip(expected, actual, strict=False)):
        if (found := json_difference(first, second, f"{path}[{n}]")) is not None:
            return found
    if len(expected) == len(actual):
        return None
    n = min(len(expected), len(actual))
    counts = f"{path or 'the document'}: expected {_elements(expected)}, got {len(actual)}"
    if len(expected) > len(actual):
        return f"{counts}; missing is [{n}], {shown(expected[n])}"
    return f"{counts}; too many is [{n}], {shown(actual[n])}"


def _elements(values: list[Any]) -> str:
    return f"{len(values)} element{'' if len(values) == 1 else 's'}"


def xml_difference(expected: Any, actual: Any, path: str = "") -> str | None:
    """Return the first difference of two elements (lxml); None if they say the same.

    Blanks around elements, prefixes and the order of attributes do not matter.
    """
    here = path or f"/{expected.tag}"
    if expected.tag != actual.tag:
        return f"{here}: expected <{expected.tag}>, got <{actual.tag}>"
    for name in [*expected.attrib, *(each for each in actual.attrib if each not in expected.attrib)]:
        first, second = expected.get(name), actual.get(name)
        if first != second:
            return f"{here}/@{name}: expected {_or_none(first)}, got {_or_none(second)}"
    if _text(expected) != _text(actual):
        return f"{here}: expected the text {shown(_text(expected))}, got {shown(_text(actual))}"
    return _of_children(_elements_of(expected), _elements_of(actual), here)


def _of_children(expected: list[Any], actual: list[Any], path: str) -> str | None:
    seen: dict[str, int] = {}
    for first, second in zip(expected, actual, strict=False):
        n = seen[first.tag] = seen.get(first.tag, 0) + 1
        several = sum(each.tag == first.tag for each in expected) > 1
        if (found := xml_difference(first, second, f"{path}/{first.tag}" + (f"[{n}]" if several else ""))) is not None:
            return found
    if len(expected) > len(actual):
        return f"{path}: expected <{expected[len(actual)].tag}> as element {len(actual) + 1}, but there is none"
    if len(actual) > len(expected):
        return f"{path}: expected {_elements(expected)}, got <{actual[len(expected)].tag}> too"
    return None


def _elements_of(element: Any) -> list[Any]:
    return [each for each in element if isinstance(each.tag, str)]  # no comments


def _text(element: Any) -> str:
    text = element.text or ""
    return "" if len(element) and not text.strip() else text


def _or_none(value: str | None) -> str:
    return "no such attribute" if value is None else shown(value)


def shown(value: Any) -> str:
    """Return a value as a short text."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
