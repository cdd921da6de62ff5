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
    QueryInteger,
    Text,
    TimeUuid,
    format_instant,
    parse_instant,
    parse_integer,
    parse_time_uuid,
)

PUBLISHED = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00", 0),
        ("1970-01-01 00:00:00", 0),
        ("1970-01-01", 0),
        ("1970-01-01T00:00", 0),
        ("2024-07-29T15:51:28.071Z", 1_722_268_288_071),
        ("2024-07-29T15:51:28.071+00:00", 1_722_268_288_071),
        ("2024-07-29T17:51:28.071+02:00", 1_722_268_288_071),
        ("2024-07-29T17:51:28.071 02:00", 1_722_268_288_071),
        ("2024-07-29T17:51:28.071 0200", 1_722_268_288_071),
        ("2024-07-29T11:51:28.071-0400", 1_722_268_288_071),
        ("20240729T155128Z", 1_722_268_288_000),
        ("2024-07-29T15:51:28.0719Z", 1_722_268_288_071),
        ("2024-07-29T15:51:28.071999999Z", 1_722_268_288_071),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999),
        ("0", 0),
        ("-1", -1),
        ("2024", 2024),
        ("1722268288071", 1_722_268_288_071),
        ("253402300799999", 253_402_300_799_999),
    ],
)
def test_an_instant_is_iso_or_milliseconds(text: str, instant: int) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "now",
        "-",
        "+1",
        "1.5",
        "1e3",
        "٥",
        "2024-07-29T",
        "2024-7-29",
        "2024-02-30",
        "2024-07-29T24:00:01Z",
        "2024-07-29T15:51:60Z",
        "2024-07-29T15:51:28+25:00",
        "2024-07-29T15:51:28ZZ",
        " 2024-07-29T15:51:28Z",
        "2024-07-29T15:51:28Z\n",
        "29.07.2024",
        "10000-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "253402300800000",
        "-62135596800001",
        "9" * 4000,
        "9" * 5000,
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Not "):
        parse_instant(text)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_722_268_288_071, "2024-07-29T15:51:28.071Z"),
        (1_722_268_288_000, "2024-07-29T15:51:28.000Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_written_with_milliseconds_and_z(instant: int, text: str) -> None:
    assert format_instant(instant) == text
    assert parse_instant(text) == instant
    assert Instant().serialize("at", {"at": instant}) == text


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
    (JsonInteger(bounds=INT32), INT32[0], INT32[0]),
    (JsonInteger(bounds=INT32), INT32[1], INT32[1]),
    (JsonInteger(bounds=(0, MAX_TIMESTAMP)), MAX_TIMESTAMP, MAX_TIMESTAMP),
    (JsonBoolean(), True, True),
    (JsonBoolean(), False, False),
    (FreeMap(), {"a": [None]}, {"a": [None]}),
    (TimeUuid(), PUBLISHED, PUBLISHED),
    (TimeUuid(), PUBLISHED.upper(), PUBLISHED),
    (QueryInteger(), "007", 7),
    (QueryInteger(), "-7", -7),
    (QueryInteger(bounds=(1, 1000)), "1000", 1000),
    (QueryChoices("AB"), ["A"], ["A"]),
    (QueryChoices("AB"), ["A, B", "A"], ["A", "B", "A"]),
    (QueryChoices("AB"), ["", ","], []),
]


@pytest.mark.parametrize(("field", "value", "loaded"), GOOD)
def test_a_field_takes_what_it_should(field: fields.Field[Any], value: Any, loaded: Any) -> None:
    result = load(field, value)
    assert (result, type(result)) == (loaded, type(loaded))


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
    (JsonInteger(), 1.0),
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
    (QueryInteger(), ""),
    (QueryInteger(), " 1"),
    (QueryInteger(), "1\n"),
    (QueryInteger(), "+1"),
    (QueryInteger(), "1_000"),
    (QueryInteger(), "1.0"),
    (QueryInteger(), "٥"),
    (QueryInteger(), "9" * 5000),
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


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("-0", 0), ("00", 0), ("9" * 4000, int("9" * 4000)), ("-12", -12)]
)
def test_an_integer_is_written_in_ascii_digits(text: str, number: int) -> None:
    assert parse_integer(text) == number


def test_a_uuid_is_taken_in_any_case_and_known_in_lower_case() -> None:
    assert str(parse_time_uuid(PUBLISHED.upper())) == PUBLISHED
    assert str(parse_time_uuid(PUBLISHED[:20].upper() + PUBLISHED[20:])) == PUBLISHED
