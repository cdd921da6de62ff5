"""CSV that Python's own reader reads back, and in which no text of a sender is a formula."""

import csv
from io import StringIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import fields, validate

from notifhist.schemas.document import Document, DocumentSchema
from notifhist.schemas.fields import (
    MAX_TIMESTAMP,
    FreeMap,
    Instant,
    JsonBoolean,
    JsonInteger,
    PathId,
    Text,
    Timestamp,
    TimeUuid,
    in_xml,
)
from notifhist.schemas.instants import parse_instant
from notifhist.schemas.validation import Documents
from notifhist.serializers import as_csv, as_json
from notifhist.serializers.as_csv import FORMULA_STARTS
from notifhist.serializers.stored import BETWEEN_LINES, StoredDocument, StoredForm, StoredPage

OUTCOMES = ("sent", "-failed")


class CallSchema(DocumentSchema):
    """A member of each kind."""

    root = "call"

    id = TimeUuid()
    timestamp = Timestamp()
    at = Instant()
    number = JsonInteger()
    ok = JsonBoolean()
    outcome = Text(validate=validate.OneOf(OUTCOMES))
    text = Text()
    entity_id = PathId(data_key="entityId")
    details = FreeMap()


class CallsSchema(DocumentSchema):
    root = "container"

    values = Documents(fields.Nested(CallSchema), metadata=in_xml(item="call"))


CALL, CALLS = CallSchema(), CallsSchema()
NAMES = ["id", "timestamp", "at", "number", "ok", "outcome", "text", "entityId", "details"]
TEXTS = st.text(max_size=6) | st.sampled_from(['"', "a,b", "\r\n", "'", "'=", " ", "=1+1", "\t", "\0", "é🚨"])
CALLS_OF_ANY_KIND = st.fixed_dictionaries(
    {},
    optional={
        "number": st.integers(-(2**63), 2**64 - 1),
        "ok": st.booleans(),
        "outcome": st.sampled_from(OUTCOMES),
        "text": TEXTS,
        "entityId": TEXTS,
        "unnamed": TEXTS,
    },
)


def written(*batches: list[Document]) -> list[bytes]:
    lines = [BETWEEN_LINES.join(as_json.text(each).encode() for each in batch) for batch in batches]
    return list(as_csv.stream(lines, CALL))


def read(data: bytes) -> list[list[str]]:
    return list(csv.reader(StringIO(data.decode(), newline=""), strict=True))


def cells(call: Document) -> dict[str, str]:
    (names, row) = read(written([call])[0])
    assert names == NAMES
    return {name: cell for name, cell in zip(names, row, strict=True) if cell}


@pytest.mark.parametrize(
    ("member", "value", "cell"),
    [
        ("timestamp", 1320885672211, "2011-11-10T00:41:12.211Z"),
        ("timestamp", 0, "1970-01-01T00:00:00.000Z"),
        ("at", "2024-07-29T15:51:28.071Z", "2024-07-29T15:51:28.071Z"),
        ("number", -5, "-5"),
        ("number", 1.5, "1.5"),
        ("number", 0, "0"),
        ("ok", False, "false"),
        ("ok", True, "true"),
        ("outcome", "-failed", "-failed"),
        ("id", "b050c6a9-0b34-11e1-a0a1-0ff89fa2fa26", "b050c6a9-0b34-11e1-a0a1-0ff89fa2fa26"),
        ("text", "-1", "'-1"),
        ("text", "'=1", "'=1"),
        ("text", "a=1", "a=1"),
        ("entityId", '=HYPERLINK("http://evil.example.com")', '\'=HYPERLINK("http://evil.example.com")'),
        ("details", {"a": [1, "é"]}, '{"a":[1,"é"]}'),
    ],
)
def test_each_kind_of_member_has_its_own_cells(member: str, value: Any, cell: str) -> None:
    assert cells({member: value}) == {member: cell}


@pytest.mark.parametrize("start", sorted(FORMULA_STARTS))
def test_no_text_begins_a_formula(start: str) -> None:
    assert cells({"text": f"{start}x", "entityId": start}) == {"text": f"'{start}x", "entityId": f"'{start}"}


def test_what_is_absent_or_null_or_unnamed_has_no_text() -> None:
    assert cells({"text": None, "unnamed": "=1", "ok": None, "timestamp": None}) == {}


def test_it_is_rfc_4180() -> None:
    head, line = written([{"text": 'He said "no",\r\nand left', "number": 1}])[0].split(b"\r\n", 1)
    assert head == ",".join(NAMES).encode()
    assert line == b',,,1,,,"He said ""no"",\r\nand left",,\r\n'


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(CALLS_OF_ANY_KIND, max_size=3), max_size=3))
def test_python_reads_the_same_cells(batches: list[list[Document]]) -> None:
    pieces = written(*batches)
    assert len(pieces) == max(len(batches), 1)
    names, *rows = read(b"".join(pieces))
    assert names == NAMES
    for call, row in zip([call for batch in batches for call in batch], rows, strict=True):
        found = dict(zip(names, row, strict=True))
        assert found["number"] == str(call.get("number", ""))
        assert found["ok"] == {True: "true", False: "false", None: ""}[call.get("ok")]
        assert found["outcome"] == call.get("outcome", "")
        for name in ("text", "entityId"):
            text, cell = call.get(name, ""), found[name]
            assert cell[:1] not in FORMULA_STARTS or not cell
            assert text == (cell[1:] if text[:1] in FORMULA_STARTS and text else cell)


@given(st.integers(0, MAX_TIMESTAMP))
def test_a_time_is_the_same_millisecond(ms: int) -> None:
    assert parse_instant(cells({"timestamp": ms})["timestamp"]) == ms


def test_a_page_is_written_like_a_stream() -> None:
    calls: list[Document] = [{"text": "a"}, {"number": 2}, {"ok": True}]
    expected = b"".join(written(calls))
    text = [as_json.text(each).encode() for each in calls]
    page = StoredPage(StoredForm.JSON, (b",".join(text[:2]), text[2]))
    assert b"".join(as_csv.parts({"values": page, "metadata": {}}, CALLS)) == expected
    assert b"".join(as_csv.parts({"values": calls}, CALLS)) == expected


def test_a_list_alone_is_written() -> None:
    with pytest.raises(TypeError, match="lists"):
        as_csv.parts(StoredDocument(StoredForm.JSON, b"{}"), CALL)
