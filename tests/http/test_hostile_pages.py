"""Pages that would be very long are refused before they are read or rendered, and what is recorded stays recorded."""

import json
import tracemalloc
from itertools import product
from typing import Any

import pytest
from flask.testing import FlaskClient

from notifhist.serializers import as_xml
from notifhist.serializers.stored import MAX_PAGE_BYTES
from notifhist.store import pieces
from notifhist.store.database import Database
from notifhist.store.history import room
from notifhist.store.models import HistoryItemRow
from tests.conftest import NOW_MS
from tests.http.helpers import CHECK, JSON, RUNS, XML, item_at, run_of

AS_XML = {"Accept": XML}
TOO_LONG = "The page is too long to be answered."


def large_item(n: int) -> dict[str, Any]:
    """Return an item of 16 kB whose XML has 16 MB."""
    return item_at(NOW_MS - n) | {"x" * 1000: [0] * 8000}


def post(client: FlaskClient, url: str, document: Any, **headers: str) -> Any:
    return client.post(url, data=json.dumps(document), content_type="application/json", headers=headers)


def set_longest(monkeypatch: pytest.MonkeyPatch, max_bytes: int) -> None:
    """Let a page have so many bytes."""
    for module in (as_xml, pieces):
        monkeypatch.setattr(module, "MAX_PAGE_BYTES", max_bytes)


def assert_too_long(response: Any) -> None:
    assert response.status_code == 503
    assert TOO_LONG in response.text
    assert f"It may have {MAX_PAGE_BYTES} bytes" in response.text
    assert "Retry-After" in response.headers


def test_a_page_that_would_be_very_long_as_xml_is_refused(client: FlaskClient) -> None:
    assert post(client, CHECK, {"values": [large_item(n) for n in range(10)]}).status_code == 201
    tracemalloc.start()
    try:
        assert_too_long(client.get(CHECK, headers=AS_XML))
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_PAGE_BYTES
    finally:
        tracemalloc.stop()
    assert client.get(f"{CHECK}?limit=3", headers=AS_XML).data.count(b"x" * 1000) == 3 * 8000 * 2
    assert client.get(CHECK).get_json()["metadata"]["count"] == 10


@pytest.mark.parametrize(
    ("name", "other", "members"),
    [("x" * 1000, "", 33_000), ("ж" * 1000, "", 16_000), ("x" * 1000, "🙂", 8_300)],
    ids=["ASCII", "two bytes a character", "ASCII and an emoji"],
)
def test_an_item_that_is_taken_is_rendered_in_bounds(name: str, other: str, members: int, client: FlaskClient) -> None:
    refused = post(client, CHECK, item_at(NOW_MS, 1) | {name: [0] * (members * 11 // 10), "status": other})
    assert (refused.status_code, "names are repeated" in refused.text) == (400, True)
    assert post(client, CHECK, item_at(NOW_MS) | {name: [0] * members, "status": other}).status_code == 201
    tracemalloc.start()
    try:
        assert client.get(CHECK, headers=AS_XML).data.count(b"</") > members
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_PAGE_BYTES
    finally:
        tracemalloc.stop()


def test_a_page_is_not_even_rendered_where_its_json_is_too_long(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_XML_CHARACTERS", 0)
    documents = [item_at(NOW_MS - n) | {"x": "y" * 10_000} for n in range(40)]
    assert post(client, CHECK, {"values": documents}).status_code == 201
    monkeypatch.setattr(pieces, "MAX_PAGE_BYTES", 200_000)
    monkeypatch.setattr(as_xml, "documents_of", None)
    refused = client.get(CHECK, headers=AS_XML)
    assert (refused.status_code, TOO_LONG in refused.text) == (503, True)


def test_a_page_of_one_record_is_always_answered(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    set_longest(monkeypatch, 10)
    assert post(client, CHECK, {"values": [large_item(0), large_item(1)]}).status_code == 201
    assert post(client, RUNS, {"runs": [run_of(id=1), run_of(id=2)]}).status_code == 201
    for url, parameter in ((CHECK, "limit"), (RUNS, "pageSize")):
        for media_type in (JSON, XML):
            assert client.get(f"{url}?{parameter}=2", headers={"Accept": media_type}).status_code == 503
            assert client.get(f"{url}?{parameter}=1", headers={"Accept": media_type}).status_code == 200


def test_a_page_of_one_record_is_answered_whatever_the_limit(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_longest(monkeypatch, 10)
    assert post(client, CHECK, large_item(0)).status_code == 201
    assert post(client, RUNS, run_of(id=1)).status_code == 201
    for url, media_type in product((CHECK, RUNS), (JSON, XML)):
        assert client.get(url, headers={"Accept": media_type}).status_code == 200


@pytest.mark.parametrize("media_type", [JSON, XML])
@pytest.mark.parametrize("length", [1_000, 100_000], ids=["short", "long"])
def test_a_page_is_as_long_as_it_may_be_and_no_longer(
    length: int, media_type: str, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = [length] * 4 + [length * 8] + [length] * 4
    documents = [item_at(NOW_MS - n, status="x" * each) for n, each in enumerate(lengths)]
    assert post(client, CHECK, {"values": documents}).status_code == 201
    runs = [run_of(id=n, summary="x" * each) for n, each in enumerate(lengths)]
    assert post(client, RUNS, {"runs": runs}).status_code == 201
    accept = {"Accept": media_type}
    for url, parameter in ((CHECK, "limit"), (RUNS, "pageSize")):
        whole = client.get(url, headers=accept)
        assert whole.data.count(b"x" * length) == 16
        set_longest(monkeypatch, len(whole.data))
        assert client.get(url, headers=accept).data == whole.data
        set_longest(monkeypatch, len(whole.data) - length)
        refused = client.get(url, headers=accept)
        assert (refused.status_code, TOO_LONG in refused.text) == (503, True)
        assert "fewer records, by limit or pageSize" in refused.text
        assert client.get(f"{url}?{parameter}=8", headers=accept).data.count(b"x" * length) == 15
        set_longest(monkeypatch, MAX_PAGE_BYTES)


@pytest.mark.long
def test_a_page_that_is_too_long_is_not_in_memory_before_it_is_refused(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MAX_PAGE_BYTES", 1_000_000)
    documents = [item_at(NOW_MS - n, status="x" * 800_000) for n in range(15)]
    assert post(client, CHECK, {"values": documents}).status_code == 201
    assert post(client, RUNS, {"runs": [run_of(id=n, summary="x" * 800_000) for n in range(15)]}).status_code == 201
    for url, media_type in product((CHECK, RUNS), (JSON, XML)):
        tracemalloc.start()
        try:
            assert client.get(url, headers={"Accept": media_type}).status_code == 503
            assert tracemalloc.get_traced_memory()[1] < 6_000_000
        finally:
            tracemalloc.stop()


def test_a_page_of_runs_that_would_be_too_long_as_xml_is_refused(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(as_xml, "MAX_PAGE_BYTES", 100_000)
    monkeypatch.setattr(pieces, "MAX_PAGE_BYTES", 30_000)
    runs = [run_of(id=n, summary="&" * 5000) for n in range(5)]
    assert post(client, RUNS, {"runs": runs}).status_code == 201
    refused = client.get(RUNS, headers=AS_XML)
    assert (refused.status_code, TOO_LONG in refused.text) == (503, True)
    assert client.get(f"{RUNS}?pageSize=3", headers=AS_XML).data.count(b"&amp;") == 15_000
    monkeypatch.setattr(pieces, "MAX_PAGE_BYTES", 20_000)
    monkeypatch.setattr(as_xml, "documents_of", None)
    unread = client.get(RUNS, headers=AS_XML)  # their JSON alone is too long
    assert (unread.status_code, TOO_LONG in unread.text) == (503, True)


def test_what_is_recorded_is_not_denied_where_the_answer_would_be_too_long(client: FlaskClient) -> None:
    container = {"values": [large_item(n) for n in range(5)]}
    for status in (201, 200):
        answer = post(client, CHECK, container, **AS_XML)
        assert answer.status_code == status
        assert b"<values/><metadata><count>5</count>" in answer.data
    assert client.get(CHECK).get_json()["metadata"]["count"] == 5


def test_the_xml_of_items_recorded_together_has_room_for_some_and_all_are_answered(
    client: FlaskClient, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_XML_CHARACTERS", 1000)
    documents = [item_at(NOW_MS - n) | {"x": "y" * 400} for n in range(5)]
    assert post(client, CHECK, {"values": documents}).status_code == 201
    stored = [xml for (xml,) in db.execute(HistoryItemRow.select(HistoryItemRow.xml)).fetchall()]
    assert stored.count(None) in (2, 3)
    assert client.get(CHECK, headers=AS_XML).data.count(b"y" * 400) == 5
