"""When two recorded documents have the same content."""

from typing import Any

import orjson


def equal_json(first: Any, second: Any) -> bool:
    """Say whether two JSON values are equal, whatever the order of members; true is not 1."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(equal_json(first[name], second[name]) for name in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(equal_json, first, second))
    return isinstance(first, bool) == isinstance(second, bool) and bool(first == second)


def equal_texts(first: str, second: str) -> bool:
    """Say whether two JSON texts have equal values; mostly the texts themselves are equal."""
    return first == second or equal_json(orjson.loads(first), orjson.loads(second))
