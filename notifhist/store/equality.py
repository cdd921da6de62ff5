"""When two recorded documents have the same content."""

from typing import Any

import orjson


def equal_json(one: Any, other: Any) -> bool:
    """Say whether two JSON values are equal, whatever the order of members; true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal_json(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal_json, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def equal_texts(one: str, other: str) -> bool:
    """Say whether two JSON texts have equal values; mostly the texts themselves are equal."""
    return one == other or equal_json(orjson.loads(one), orjson.loads(other))
