"""Integers as text."""

import re
from decimal import Decimal

_INTEGER = re.compile(r"-?[0-9]{1,4000}")
_NUMBER = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?([eE][-+]?[0-9]{1,2})?")
"""A number whose digits are few enough to be counted exactly at no cost."""


def is_integer(text: str) -> bool:
    """Say whether `text` is an integer in ASCII digits."""
    return _INTEGER.fullmatch(text) is not None


def parse_whole(text: str) -> int:
    """Return the integer that `text` writes, exactly, perhaps with a point or an exponent: `1.795727e12`.

    Raises ValueError for a number with a fraction and for any other text.
    """
    if not _NUMBER.fullmatch(text) or (number := Decimal(text)) != number.to_integral_value():
        raise ValueError("Not a valid integer.")
    return int(number)
