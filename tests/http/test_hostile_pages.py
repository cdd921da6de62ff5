"""Pages that would be very long as XML are refused before they are rendered, and what is recorded stays recorded."""

import json
import tracemalloc
from typing import Any

import pytest
from flask.testing import FlaskClient

from notifhist.serializers import as_xml
from notifhist.serializers.as_xml import MAX_RENDERED_BYTES
from notifhist.store.counted import pages
from notifhist.store.database import Database
from notifhist.store.history import items, reading
from notifhist.store.models import HistoryItemRow
from tests.conftest import NOW_MS
from tests.http.helpers import CHECK, RUNS, XML, item_at, run_of

AS_XML = {"Accept": XML}
TOO_LONG = "The page is too long to be answered in this format."


def large_item(n: int) -> dict[str, Any]:
    """Return an item of 16 kB whose XML has 16 MB."""
    return item_at(NOW_MS - n) | {"x" * 1000: [0] * 8000}


def post(client: FlaskClient, url: str, document: Any, **headers: str) -> Any:
    return client.post(url, data=json.dumps(document), content_type="application/json", headers=headers)


def assert_too_long(response: Any) -> None:
    assert response.status_code == 503
    assert TOO_LONG in response.text
    assert f"It may have {MAX_RENDERED_BYTES} bytes" in response.text
    assert "Retry-After" in response.headers


def test_a_page_that_would_be_very_long_as_xml_is_refused(client: FlaskClient) -> None:
    assert post(client, CHECK, {"values": [large_item(n) for n in range(10)]}).status_code == 201
    tracemalloc.start()
    try:
        assert_too_long(client.get(CHECK, headers=AS_XML))
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_RENDERED_BYTES
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
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_RENDERED_BYTES
    finally:
        tracemalloc.stop()


def test_a_page_is_not_even_read_whole_where_its_json_is_too_long(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "_MAX_XML_CHARACTERS", 0)
    documents = [item_at(NOW_MS - n) | {"x": "y" * 10_000} for n in range(40)]
    assert post(client, CHECK, {"values": documents}).status_code == 201
    monkeypatch.setattr(reading, "MAX_RENDERED_BYTES", 200_000)
    monkeypatch.setattr(as_xml, "documents_of", None)
    refused = client.get(CHECK, headers=AS_XML)
    assert (refused.status_code, TOO_LONG in refused.text) == (503, True)


def test_a_page_of_one_record_is_always_answered(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("serializers.as_xml", "store.history.reading"):
        monkeypatch.setattr(f"notifhist.{module}.MAX_RENDERED_BYTES", 10)
    assert post(client, CHECK, {"values": [large_item(0), large_item(1)]}).status_code == 201
    assert post(client, RUNS, {"runs": [run_of(id=1), run_of(id=2)]}).status_code == 201
    for url, parameter in ((CHECK, "limit"), (RUNS, "pageSize")):
        assert client.get(f"{url}?{parameter}=2", headers=AS_XML).status_code == 503
        assert client.get(f"{url}?{parameter}=1", headers=AS_XML).status_code == 200


def test_a_page_of_runs_that_would_be_too_long_as_xml_is_refused(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(as_xml, "MAX_RENDERED_BYTES", 100_000)
    monkeypatch.setattr(pages, "MAX_RENDERED_BYTES", 20_000)
    runs = [run_of(id=n, summary="&" * 5000) for n in range(5)]
    assert post(client, RUNS, {"runs": runs}).status_code == 201
    refused = client.get(RUNS, headers=AS_XML)
    assert (refused.status_code, TOO_LONG in refused.text) == (503, True)
    assert client.get(f"{RUNS}?pageSize=3", headers=AS_XML).data.count(b"&amp;") == 15_000
    monkeypatch.setattr(as_xml, "documents_of", None)
    unread = client.get(RUNS, headers=AS_XML)  # their JSON alone is too long
    assert (unread.status_code, TOO_LONG in unread.text) == (503, True)
    assert len(client.get(RUNS).get_json()["runs"]) == 5


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
    monkeypatch.setattr(items, "_MAX_XML_CHARACTERS", 1000)
    documents = [item_at(NOW_MS - n) | {"x": "y" * 400} for n in range(5)]
    assert post(client, CHECK, {"values": documents}).status_code == 201
    stored = [xml for (xml,) in db.execute(HistoryItemRow.select(HistoryItemRow.xml)).fetchall()]
    assert stored.count(None) in (2, 3)
    assert client.get(CHECK, headers=AS_XML).data.count(b"y" * 400) == 5
