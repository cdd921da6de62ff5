"""When two recorded documents say the same."""

from typing import Any

import orjson


def same_json(one: Any, other: Any) -> bool:
    """Say whether two JSON values are equal, whatever the order of members; true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def same_texts(one: str, other: str) -> bool:
    """Say whether two kept JSON texts are of equal values; mostly they are equal themselves."""
    return one == other or same_json(orjson.loads(one), orjson.loads(other))
