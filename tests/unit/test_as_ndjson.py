"""NDJSON: each document a line, as it is stored."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifhist.schemas.document import Document
from notifhist.schemas.history import HISTORY_PAGE, ITEM
from notifhist.serializers import as_json, as_ndjson
from notifhist.serializers.lines import documents_in, lines_of
from notifhist.serializers.stored import BETWEEN_LINES, StoredDocument, StoredForm, StoredPage, documents_of
from tests.property.strategies import VALUES

DOCUMENTS = st.dictionaries(st.text(max_size=4), VALUES, max_size=4)


def lines(documents: list[Document]) -> bytes:
    return BETWEEN_LINES.join(as_json.text(each).encode() for each in documents)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(DOCUMENTS, max_size=3), max_size=3))
def test_each_line_is_a_document(batches: list[list[Document]]) -> None:
    pieces = list(as_ndjson.stream(map(lines, batches), ITEM))
    assert [bool(piece) for piece in pieces] == [bool(batch) for batch in batches]
    found = [json.loads(line) for line in b"".join(pieces).split(b"\n")[:-1]]
    assert found == [each for batch in batches for each in batch]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(DOCUMENTS, min_size=1, max_size=3), max_size=3))
def test_the_texts_of_a_page_are_found_again(pieces: list[list[Document]]) -> None:
    page = StoredPage(StoredForm.JSON, [lines(piece).replace(b"\n", b",") for piece in pieces])
    documents = [each for piece in pieces for each in piece]
    assert lines_of(page) == lines(documents)
    assert list(documents_of(page)) == documents_in(lines_of(page))
    assert b"".join(as_ndjson.parts({"values": page, "metadata": {}}, HISTORY_PAGE)).splitlines() == [
        as_json.text(each).encode() for each in documents
    ]


@pytest.mark.parametrize("text", [b'{"a":1.0,"b":18446744073709551615}', b'{"a":"\\u0000, {"}', '{"é":["}"]}'.encode()])
def test_a_text_is_passed_through_byte_by_byte(text: bytes) -> None:
    page: dict[str, Any] = {"values": StoredPage(StoredForm.JSON, [text + b"," + text])}
    assert as_ndjson.parts(page, HISTORY_PAGE) == [text + b"\n" + text + b"\n"]
    assert list(as_ndjson.stream([text], ITEM)) == [text + b"\n"]


def test_documents_that_are_not_stored_are_lines_too() -> None:
    assert as_ndjson.parts({"values": [{"a": 1}, {}]}, HISTORY_PAGE) == [b'{"a":1}\n{}\n']
    assert as_ndjson.parts({"values": []}, HISTORY_PAGE) == [b""]


def test_a_list_alone_is_written() -> None:
    with pytest.raises(TypeError, match="lists"):
        as_ndjson.parts(StoredDocument(StoredForm.JSON, b"{}"), ITEM)
