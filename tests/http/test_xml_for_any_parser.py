"""XML that every client reads: names of the fourth edition of XML 1.0, and a charset that nobody has to guess."""

from typing import Any
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient

from notifhist.store.database import Database
from notifhist.store.models import HistoryItemRow
from tests.conftest import NOW_MS, MakeApp, authorized
from tests.http.helpers import CHECK, RUNS, XML, get_json, id_at, item_at, post, read_xml, run_of

ITEM = f"{CHECK}/{id_at(NOW_MS)}"
TEXT = "text/xml"
NOT_OF_THE_FOURTH = ("foo🙂", "🙂", "\u0530", "a\u200d", "𝑥", "ꙁ")


def labels(client: FlaskClient, url: str) -> dict[str | None, str | None]:
    """Return the texts of the entries of an item's labels by key, as expat reads the whole answer."""
    root = ElementTree.fromstring(client.get(url, headers={"Accept": XML}).data)
    return {entry.get("key"): entry.text for entry in root.iterfind(".//labels/entry")}


@pytest.mark.parametrize("name", NOT_OF_THE_FOURTH)
def test_a_name_that_only_the_fifth_edition_allows_is_an_entry(name: str, client: FlaskClient) -> None:
    item = item_at(NOW_MS, notification_results=[{"notification_details": {"labels": {name: "bar"}}}], **{name: 1})
    post(client, CHECK, item)
    assert labels(client, CHECK) == labels(client, ITEM) == {name: "bar"}
    answered = client.get(ITEM, headers={"Accept": XML})
    assert [(each.get("key"), each.text) for each in read_xml(answered).iterfind("entry")] == [(name, "1")]
    copied = client.post(f"{CHECK}Copy", data=answered.data, content_type=XML)
    assert copied.status_code == 201
    assert list(get_json(client, f"{CHECK}Copy")["values"][0]) == list(item)


def test_a_name_of_the_fourth_edition_stays_an_element(client: FlaskClient) -> None:
    post(client, CHECK, item_at(NOW_MS, **{"東京": 1, "größe": 2, "a·b": 3}))
    root = ElementTree.fromstring(client.get(ITEM, headers={"Accept": XML}).data)
    assert [root.findtext(name) for name in ("東京", "größe", "a·b")] == ["1", "2", "3"]


def test_xml_that_was_stored_by_the_rule_of_the_fifth_edition_is_answered_no_more(
    client: FlaskClient, db: Database
) -> None:
    results = [{"notification_details": {"labels": {"foo🙂": "bar"}}}]
    post(client, CHECK, item_at(NOW_MS, notification_results=results))
    db.execute(HistoryItemRow.update({"xml_version": 1, "xml": "<foo🙂>bar</foo🙂>"}))
    assert labels(client, CHECK) == labels(client, ITEM) == {"foo🙂": "bar"}


@pytest.mark.parametrize("accept", [XML, TEXT])
@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", CHECK, 200),
        ("GET", ITEM, 200),
        ("HEAD", ITEM, 200),
        ("GET", f"{RUNS}/1", 200),
        ("GET", RUNS, 200),
        ("POST", RUNS, 400),
        ("GET", f"{CHECK}?limit=0", 400),
        ("GET", "/none", 404),
        ("GET", "/api/none", 404),
        ("PATCH", CHECK, 405),
        ("PATCH", RUNS, 405),
    ],
)
def test_an_answer_in_xml_names_its_charset(
    method: str, url: str, status: int, accept: str, client: FlaskClient
) -> None:
    post(client, CHECK, item_at(NOW_MS, state="Zürich"))
    post(client, RUNS, run_of(id=1, summary="Zürich"))
    response = client.open(url, method=method, headers={"Accept": accept})
    assert (response.status_code, response.content_type) == (status, f"{accept}; charset=utf-8")
    assert b"Z\xfcrich" not in response.data


@pytest.mark.parametrize(("url", "status"), [(CHECK, 401), (RUNS, 403)])
def test_a_refusal_in_xml_names_its_charset(url: str, status: int, app: Flask) -> None:
    refused = app.test_client().get(url, headers={"Accept": TEXT})
    assert read_xml(refused, status, TEXT).tag in ("fault", "error")


def test_beyond_the_limit_xml_names_its_charset_too(make_app: MakeApp, key: str) -> None:
    limited = authorized(make_app(HISTORY_RATE_LIMIT="1/minute"), key)
    answers: list[Any] = [limited.get(CHECK, headers={"Accept": XML}) for _ in range(2)]
    read_xml(answers[1], 429)


def test_the_published_schema_names_its_charset(app: Flask) -> None:
    response = app.test_client().get("/schemas/notification_history.xsd")
    assert response.content_type == f"{XML}; charset=utf-8"
