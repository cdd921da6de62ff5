from typing import Any

import pytest
from marshmallow import ValidationError, fields

from notifhist.schemas.fields import (
    INT32,
    INT64,
    MAX_TIMESTAMP,
    FreeMap,
    Instant,
    JsonBoolean,
    JsonInteger,
    QueryChoices,
    QueryInstant,
    QueryInteger,
    Text,
    TimeUuid,
    time_uuid,
)

PUBLISHED = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"


def test_no_instant_is_written_as_none() -> None:
    assert Instant().serialize("at", {"at": None}) is None


def load(field: fields.Field[Any], value: Any) -> Any:
    return field.deserialize(value)


GOOD: list[tuple[fields.Field[Any], Any, Any]] = [
    (Instant(), "2024-07-29T15:51:28.071Z", 1_722_268_288_071),
    (Text(), "", ""),
    (Text(), "\0", "\0"),
    (JsonInteger(), INT64[0], INT64[0]),
    (JsonInteger(), INT64[1], INT64[1]),
    (JsonInteger(), 5.0, 5),
    (JsonInteger(), -0.0, 0),
    (JsonInteger(), 2.0**53 - 1, 2**53 - 1),
    (JsonInteger(bounds=INT32), INT32[0], INT32[0]),
    (JsonInteger(bounds=INT32), INT32[1], INT32[1]),
    (JsonInteger(bounds=(0, MAX_TIMESTAMP)), MAX_TIMESTAMP, MAX_TIMESTAMP),
    (JsonBoolean(), True, True),
    (JsonBoolean(), False, False),
    (FreeMap(), {"a": [None]}, {"a": [None]}),
    (TimeUuid(), PUBLISHED, PUBLISHED),
    (TimeUuid(), PUBLISHED.upper(), PUBLISHED),
    (QueryInteger(bounds=(0, 9)), "007", 7),
    (QueryInteger(bounds=(-9, 9)), "-7", -7),
    (QueryInstant(), "007", 7),
    (QueryInstant(), "-7", -7),
    (QueryInstant(), "20240729", 20_240_729),
    (QueryInstant(), "9" * 4000, int("9" * 4000)),
    (QueryInstant(), "2024-07-29T15:51:28.071Z", 1_722_268_288_071),
    (QueryInstant(ends_day=True), "2024-07-29", 1_722_297_599_999),
    (QueryInteger(bounds=(1, 1000)), "1000", 1000),
    (QueryChoices("AB"), ["A"], ["A"]),
    (QueryChoices("AB"), ["A, B", "A"], ["A", "B", "A"]),
    (QueryChoices("AB"), ["", ","], []),
]


@pytest.mark.parametrize(("field", "value", "loaded"), GOOD)
def test_a_field_takes_what_it_should(field: fields.Field[Any], value: Any, loaded: Any) -> None:
    result = load(field, value)
    assert (result, type(result)) == (loaded, type(loaded))


NO_INTEGERS = ("", " 1", "1\n", "+1", "1_000", "1.0", "٥", "9" * 5000)
BAD: list[tuple[fields.Field[Any], Any]] = [
    (Instant(), 1_722_268_288_071),
    (Instant(), "1722268288071"),
    (Instant(), True),
    (Instant(), "soon"),
    (Text(), 1),
    (Text(), True),
    (Text(), None),
    (Text(), b"a"),
    (Text(), ["a"]),
    (Text(without_nul=True), "a\0"),
    (JsonInteger(), "1"),
    (JsonInteger(), 1.5),
    (JsonInteger(), float("inf")),
    (JsonInteger(), float("nan")),
    (JsonInteger(), 2.0**53),
    (JsonInteger(), -(2.0**63)),
    (JsonInteger(), True),
    (JsonInteger(), None),
    (JsonInteger(), INT64[1] + 1),
    (JsonInteger(), INT64[0] - 1),
    (JsonInteger(bounds=INT32), INT32[1] + 1),
    (JsonInteger(bounds=INT32), INT32[0] - 1),
    (JsonBoolean(), 1),
    (JsonBoolean(), 0),
    (JsonBoolean(), "true"),
    (JsonBoolean(), None),
    (FreeMap(), []),
    (FreeMap(), "a"),
    (FreeMap(), None),
    (TimeUuid(), ""),
    (TimeUuid(), 1),
    (TimeUuid(), PUBLISHED.replace("-", "")),
    (TimeUuid(), "646ac7b0-0b34-41e1-a0a1-0ff89fa2fa26"),
    *((QueryInteger(bounds=INT64), text) for text in NO_INTEGERS),
    *((QueryInstant(), text) for text in NO_INTEGERS),
    (QueryInstant(), "2024-02-30"),
    (Instant(ends_day=True), "20240729"),
    (QueryInteger(bounds=(1, 1000)), "0"),
    (QueryInteger(bounds=(1, 1000)), "1001"),
    (QueryInteger(bounds=(1, 1000)), "-1"),
    (QueryChoices("AB"), ["C"]),
    (QueryChoices("AB"), ["A,C"]),
    (QueryChoices("AB"), ["a"]),
    (QueryChoices("AB"), ["AB"]),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_a_field_refuses_what_merely_looks_like_it(field: fields.Field[Any], value: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        load(field, value)
    assert all(isinstance(message, str) and message for message in raised.value.messages)


def test_a_uuid_is_taken_in_any_case_and_known_in_lower_case() -> None:
    assert time_uuid(PUBLISHED.upper()) == PUBLISHED
    assert time_uuid(PUBLISHED[:20].upper() + PUBLISHED[20:]) == PUBLISHED
