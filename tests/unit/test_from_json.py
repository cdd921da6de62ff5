import json
from typing import Any

import pytest

from notifhist.errors import BadRequest
from notifhist.schemas.history import ATTEMPT, HISTORY_CONTAINER, ITEM
from notifhist.schemas.runs import RUN, RUNS_CONTAINER
from notifhist.serializers import from_json
from notifhist.serializers.from_json import parse
from notifhist.serializers.parsed import MAX_DEPTH

BIG = 2**64


def parse_value(body: bytes) -> tuple[Any, dict[str, str]]:
    return from_json.parse_value(body, MAX_DEPTH)


def problem(text: str | bytes) -> tuple[str, str]:
    """Return message and details of the error that `text` raises."""
    with pytest.raises(BadRequest) as raised:
        parse_value(text.encode() if isinstance(text, str) else text)
    return raised.value.message, raised.value.details


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("true", True),
        ('"ü\\u00fc\\ud83d\\udea6"', "üü🚦"),
        (" [1, 2.5, -3e2] ", [1, 2.5, -300.0]),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('{"a": {"a": 1}, "b": {"a": 1}}', {"a": {"a": 1}, "b": {"a": 1}}),
        ('{"": 0, " ": 1, "A": 2, "a": 3}', {"": 0, " ": 1, "A": 2, "a": 3}),
        ('{"é": 1, "e\u0301": 2}', {"é": 1, "e\u0301": 2}),
        ('"\\u0000"', "\0"),
        (str(2**64 - 1), 2**64 - 1),
        (str(-(2**63)), -(2**63)),
        ("9007199254740993", 9_007_199_254_740_993),
    ],
)
def test_json_is_read_exactly(text: str, value: Any) -> None:
    read, problems = parse_value(text.encode())
    assert (read, type(read), problems) == (value, type(value), {})


@pytest.mark.parametrize(
    "text",
    [
        *("-0", "-0.0", "1.0", "1e5", "100000.0", "1e400", "0.1", "5e-324", "2.5e-324", "1.7976931348623157e308"),
        *("100000000000000000000", "1e20", "123456789012345678"),
        *(str(BIG - 1), str(BIG), str(-(2**63)), str(-(2**63) - 1)),
        *('"\u007f\ud7ff\ufffe"', '"\\u0000\\n/"', '"\\/"', '{"":"","a":{"a":[]}}', "[[],{}]"),
    ],
)
def test_what_orjson_would_write_so_is_read_as_anything_else(text: str) -> None:
    def read(body: bytes) -> tuple[str, dict[str, str]]:
        value, problems = parse_value(body)
        return repr(value), problems

    assert read(text.encode()) == read(b" " + text.encode())  # which orjson writes without a blank


def test_what_orjson_would_write_so_is_not_parsed_by_the_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(from_json, "_read")
    flat = b"[" + b",".join([b"{}"] * 200) + b"]"
    assert parse_value(flat) == ([{}] * 200, {})
    assert parse_value(b'{"a":[1,2.5,"b"]}') == ({"a": [1, 2.5, "b"]}, {})


def test_a_long_text_is_refused_however_it_is_written() -> None:
    text = b'{"a":"' + b"x" * 10_000_001 + b'"}'
    assert parse_value(text)[1] == parse_value(b" " + text)[1] == {"a": "Has more than 10000000 bytes."}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "line 1, column 1"),
        ("{", "line 1, column 2"),
        ('{"a": 1,}', "line 1, column"),
        ('{\n  "a": 1\n  "b": 2\n}', "line 3, column 3"),
        ("{'a': 1}", "line 1, column 2"),
        ("[1, 2\n,, 3]", "line 2, column 2"),
        ('{"a": 01}', "line 1, column 8"),
        ('{"a": +1}', "line 1, column 7"),
        ('{"a": .5}', "line 1, column 7"),
        ('{"a": 0x10}', "line 1, column 8"),
        ('"\n"', "line 1, column 2"),
        ('"a', "line 1, column 1"),
        ("{} {}", "line 1, column 4"),
        ("// a\n{}", "line 1, column 1"),
        ("undefined", "line 1, column 1"),
        ("True", "line 1, column 1"),
        ("\u00a0{}", "line 1, column 1"),
    ],
)
def test_what_is_no_json_is_named_by_line_and_column(text: str, where: str) -> None:
    message, details = problem(text)
    assert message == "The body is not JSON."
    assert where in details


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("NaN", "NaN is no JSON: line 1, column 1."),
        ('{"a": "NaN",\n "b": NaN}', "NaN is no JSON: line 2, column 7."),
        ("[1, Infinity]", "Infinity is no JSON: line 1, column 5."),
        ("[-Infinity]", "-Infinity is no JSON: line 1, column 2."),
        ('{"Infinity": 1,\n"x": [Infinity]}', "Infinity is no JSON: line 2, column 7."),
    ],
)
def test_constants_of_other_languages_are_named_by_line_and_column(text: str, details: str) -> None:
    assert problem(text) == ("The body is not JSON.", details)


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ('{"a": 1, "a": 1}', '"a" again: line 1, column 10.'),
        ('{\n  "a": 1,\n  "b": 2,\n  "a": 3\n}', '"a" again: line 4, column 3.'),
        ('{"a": [{"b": 1}, {"b": 1, "c": {},\n"b": 2}]}', '"b" again: line 2, column 1.'),
        ('{"a": "\\"a\\": {", "b": "a", "a": 0}', '"a" again: line 1, column 29.'),
        ('{"a": 1, "\\u0061": 2}', '"\\u0061" again: line 1, column 10.'),
        ('{"": 1, "": 2}', '"" again: line 1, column 9.'),
        ('{"a\\\\": 1,\r\n"a\\\\": 2}', '"a\\\\" again: line 2, column 1.'),
        ('{"a": {"x": 1, "x": 2}, "a": 3}', '"x" again: line 1, column 16.'),
    ],
)
def test_a_repeated_member_is_named_by_line_and_column(text: str, details: str) -> None:
    assert problem(text) == ("The body repeats a member.", details)


@pytest.mark.parametrize("body", [b"\xff", b'"\xe9"', b'"\xed\xa0\x80"', '{"a": 1}'.encode("utf-16")])
def test_a_body_that_is_not_utf_8_is_refused(body: bytes) -> None:
    message, details = problem(body)
    assert message == "The body is not UTF-8."
    assert details.startswith("Byte ")


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_64_levels_are_read_and_no_more(opening: str, closing: str) -> None:
    levels = opening.count("[") + opening.count("{")
    core = "[]" if levels == 1 else "[[]]"
    most = 64 // levels - 1
    parse_value((opening * most + core + closing * most).encode())
    message, details = problem("[" + opening * most + core + closing * most + "]")
    assert (message, details) == ("The body is nested too deeply.", "More than 64 levels.")


def nested(levels: int) -> Any:
    """Return maps that are nested so deeply."""
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_an_item_may_be_as_deep_wherever_it_comes_from() -> None:
    def parse_item(item: Any) -> None:
        parse(json.dumps(item).encode(), ITEM, HISTORY_CONTAINER)
        parse(json.dumps({"values": [{}, item]}).encode(), ITEM, HISTORY_CONTAINER)

    def with_attempt(attempt: Any) -> Any:
        return {"notification_results": [{"attempts": [attempt]}]}

    parse_item(nested(64))
    parse_item(with_attempt(nested(60)))
    parse(json.dumps(nested(60)).encode(), ATTEMPT)
    for item in (nested(65), with_attempt(nested(61))):
        for body in (item, {"values": [{}, item]}):
            with pytest.raises(BadRequest, match="too deeply"):
                parse(json.dumps(body).encode(), ITEM, HISTORY_CONTAINER)
    with pytest.raises(BadRequest, match="too deeply"):
        parse(json.dumps(nested(61)).encode(), ATTEMPT)


def test_a_scalar_is_no_level() -> None:
    assert parse_value(b"[" * 64 + b"1" + b"]" * 64)[1] == {}


@pytest.mark.parametrize("levels", [1_000, 100_000, 1_000_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_any_depth_is_refused_and_breaks_nothing(opening: str, levels: int) -> None:
    closing = "]" if opening == "[" else "}"
    message, _ = problem(opening * levels + "1" + closing * levels)
    assert message == "The body is nested too deeply."


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (f"{BIG}", {"": "Must be from"}),
        (f'{{"a": [{{"b": {BIG}}}]}}', {"a[0].b": "Must be from"}),
        (f'{{"a": {-(2**63) - 1}}}', {"a": "Must be from -9223372036854775808 to 18446744073709551615."}),
        ('{"a": ' + "9" * 5000 + "}", {"a": "Must be from"}),
        ('{"a": -' + "9" * 21 + "}", {"a": "Must be from"}),
        ('{"a": 1e309, "b": -1e309}', {"a": "finite", "b": "finite"}),
        ('{"a": "x\\ud800y"}', {"a": "lone surrogate"}),
        ('{"a": ["ok", "\\udea6\\ud83d"]}', {"a[1]": "lone surrogate"}),
        ('{"\\udfff": 1}', {'["\\udfff"]': "The name has a lone surrogate."}),
        ('{"a b": {"1": 1e999}}', {'["a b"]["1"]': "finite"}),
        ('{"é": [[1e999]]}', {"é[0][0]": "finite"}),
    ],
)
def test_a_value_that_no_member_may_have_is_named_by_its_path(text: str, problems: dict[str, str]) -> None:
    found = parse_value(text.encode())[1]
    assert found.keys() == problems.keys()
    for path, message in problems.items():
        assert message in found[path]


@pytest.mark.parametrize(
    ("text", "is_container"),
    [
        ('{"values": []}', True),
        ('{"values": 1}', True),
        ('{"values": null}', True),
        ('{"state": "OK"}', False),
        ('{"runs": []}', False),
        ('["values"]', False),
        ('"values"', False),
        ("null", False),
    ],
)
def test_a_body_with_values_is_a_container(text: str, is_container: bool) -> None:
    assert parse(text.encode(), ITEM, HISTORY_CONTAINER).is_container == is_container
    assert not parse(text.encode(), ITEM).is_container


def test_a_body_with_runs_is_a_container_of_runs() -> None:
    assert parse(b'{"runs": []}', RUN, RUNS_CONTAINER).is_container
    assert not parse(b'{"values": []}', RUN, RUNS_CONTAINER).is_container
