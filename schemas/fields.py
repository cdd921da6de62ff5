"""Field types that marshmallow lacks: as strict as JSON, each with the place of its member in XML."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields

from notifhist.schemas.instants import NO_INSTANT, format_instant, parse_instant
from notifhist.schemas.numbers import is_integer

INT32 = (-(2**31), 2**31 - 1)
INT64 = (-(2**63), 2**63 - 1)
NUMBER_RANGE = (-(2**63), 2**64 - 1)
"""Integers that are kept exactly, in any member (docs/contract.md, "Recording")."""
TICKS_PER_MS = 10_000
"""A tick is 100 ns, the unit of a version-1 UUID's time."""
UUID_EPOCH_TICKS = 0x01B21DD213814000
"""Ticks from the start of UUID time (1582-10-15) to the Unix epoch (RFC 9562, 5.1)."""
MAX_TICKS = 2**60 - 1 - UUID_EPOCH_TICKS
"""The last tick, since the epoch, that a version-1 UUID holds."""
MAX_TIMESTAMP = MAX_TICKS // TICKS_PER_MS
"""The last millisecond, since the epoch, that a version-1 UUID holds."""

_FLOATS_ROUND_FROM = 2**53
_HEX = "[0-9a-fA-F]"
_UUID = re.compile(rf"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}")
_TIME_UUID = re.compile(rf"{_HEX}{{8}}-{_HEX}{{4}}-1{_HEX}{{3}}-[89abAB]{_HEX}{{3}}-{_HEX}{{12}}")
"""Version 1 of the variant of RFC 9562."""

MAX_PATH_ID = 255
PATH_ID = f"Must be 1 to {MAX_PATH_ID} characters, no slash and no control character among them."
MAX_PROBLEMS_NAMED = 1000
"""How many wrong members an error names."""


@dataclass(frozen=True)
class Xml:
    """A member's place in XML, where it is not simply a child element of the member's name.

    `name` is the element's name where it is not the JSON name. `item` is the name of the elements in a wrapped list;
    a list without it repeats its own name. `inside` is the element that holds a member of an envelope.
    """

    attribute: bool = False
    name: str | None = None
    item: str | None = None
    inside: str | None = None


_AS_NAMED = Xml()


def in_xml(**place: Any) -> dict[str, Xml]:
    """Return the field metadata for a place in XML."""
    return {"xml": Xml(**place)}


def place_in_xml(field: fields.Field[Any]) -> Xml:
    """Return the place in XML of the member of `field`."""
    place: Xml = field.metadata.get("xml", _AS_NAMED)
    return place


def is_path_id(text: str) -> bool:
    """Say whether `text` can be an id in a URL's path: 1 to 255 characters, any but slash and controls."""
    if not 1 <= len(text) <= MAX_PATH_ID or "/" in text:
        return False
    # Printable text has no control characters; other text may just have unusual spaces, so check each character.
    return text.isprintable() or not any(unicodedata.category(each) in ("Cc", "Cs") for each in text)


def time_uuid(text: str) -> str:
    """Return the version-1 UUID that `text` writes in the 8-4-4-4-12 form, in lower case. Raises ValueError."""
    if not _TIME_UUID.fullmatch(text):
        raise ValueError("Not a version-1 UUID." if _UUID.fullmatch(text) else "Not a UUID of the form 8-4-4-4-12.")
    return text.lower()


class Text(fields.String):
    """A string; `without_nul` refuses U+0000."""

    def __init__(self, *, without_nul: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.without_nul = without_nul

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if self.without_nul and "\0" in value:
            raise ValidationError("U+0000 is not allowed.")
        return value


class PathId(Text):
    """An id that stands in a URL's path."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if not is_path_id(text):
            raise ValidationError(PATH_ID)
        return text


class JsonInteger(fields.Integer):
    """An integer of JSON within `bounds`, both inclusive; no string, no boolean, no fraction.

    A number without fraction counts (`1.795727e12`) below 2^53; from there on a float may have been rounded.
    """

    def __init__(self, *, bounds: tuple[int, int] = INT64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bounds = bounds

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        if type(value) is float and value.is_integer():
            if abs(value) >= _FLOATS_ROUND_FROM:
                raise ValidationError("Write it in digits alone: with a point or an exponent it may have been rounded.")
            value = int(value)
        if type(value) is not int:
            raise self.make_error("invalid")
        if not self.bounds[0] <= value <= self.bounds[1]:
            raise ValidationError(f"Must be from {self.bounds[0]} to {self.bounds[1]}.")
        return value


class Timestamp(JsonInteger):
    """A time that a version-1 UUID holds, in ms since the epoch, UTC; where there are no types (CSV) it is ISO."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(bounds=(0, MAX_TIMESTAMP), **kwargs)


class JsonBoolean(fields.Boolean):
    """`true` or `false` of JSON; no number and no string counts as one."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:
        if type(value) is not bool:
            raise self.make_error("invalid")
        return value


class FreeMap(fields.Dict):
    """A map whose members have no names in the contract."""


class TimeUuid(fields.String):
    """A version-1 UUID; loaded in lower case."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        try:
            return time_uuid(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class Instant(fields.Field[int]):
    """An ISO date and time on the wire (`parse_instant`); ms since the epoch, UTC, inside.

    `ends_day`: a date alone is the last millisecond of its day, not the first.
    """

    def __init__(self, *, ends_day: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ends_day = ends_day

    def _serialize(self, value: int | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else format_instant(value)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        if not isinstance(value, str) or is_integer(value):
            raise ValidationError(NO_INSTANT)
        try:
            return parse_instant(value, ends_day=self.ends_day)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class QueryInstant(Instant):
    """A time in a query string: as `Instant`, or an integer, ms since the epoch, however far from today."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        if is_integer(value):
            return int(value)
        try:
            return super()._deserialize(value, *args, **kwargs)
        except ValidationError as error:
            raise ValidationError(f"{error.messages[0]} Or give milliseconds since the epoch.") from None


class QueryInteger(fields.Integer):
    """An integer in a query string: ASCII digits, perhaps after a minus, within `bounds`."""

    def __init__(self, *, bounds: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bounds = bounds

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        if is_integer(value) and self.bounds[0] <= (number := int(value)) <= self.bounds[1]:
            return number
        raise ValidationError(f"Must be an integer from {self.bounds[0]} to {self.bounds[1]}.")


class QueryList(fields.List[Any]):
    """A list in a query string: repeated, and each text cut into parts by `split`; empty parts are ignored."""

    def __init__(self, inner: fields.Field[Any], *, split: Callable[[str], list[str]], **kwargs: Any) -> None:
        super().__init__(inner, **kwargs)
        self._split = split

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
        return [self.inner.deserialize(part) for text in value for part in self._split(text) if part]


def between_commas(text: str) -> list[str]:
    """Return the parts of a text, without the blanks beside a comma."""
    *before, last = text.split(",")
    return [last] if not before else [before[0].rstrip(), *map(str.strip, before[1:]), last.lstrip()]


def _words(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


class QueryChoices(QueryList):
    """A list in a query string: repeated, comma-separated or both, of the values in `choices`."""

    def __init__(self, choices: Iterable[str], **kwargs: Any) -> None:
        super().__init__(fields.String(), split=_words, **kwargs)
        self.choices = tuple(choices)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
        wanted = super()._deserialize(value, *args, **kwargs)
        for choice in wanted:
            if choice not in self.choices:
                raise ValidationError(f"{choice!r} is none of {', '.join(self.choices)}.")
        return wanted


class QueryTexts(QueryList):
    """A list of texts in a query string: repeated, with `commas` also separated by these."""

    def __init__(self, *, commas: bool = False, **kwargs: Any) -> None:
        super().__init__(Text(without_nul=True), split=_words if commas else lambda text: [text], **kwargs)
