"""docs/extending.md, "A resource": a table with filters and exact totals, added without touching the package."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from notifhist.clock import Clock
from notifhist.store.database import Database
from notifhist.store.recording import RECORDERS
from notifhist.transfer.export import export_lines
from notifhist.transfer.load import Loader, find_sources
from notifhist.web.apis import APIS
from tests.conftest import MakeApp, authorized
from tests.http import toy_resource
from tests.http.helpers import post, send

URL = "/api/v1/tickets"


@pytest.fixture
def tickets(db: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(RECORDERS, "ticket", toy_resource.RECORDER)
    with toy_resource.tables(db):
        yield


@pytest.fixture
def app(make_app: MakeApp, tickets: None) -> Iterator[Flask]:
    app = make_app(apis=(*APIS, toy_resource.API))
    yield app
    app.extensions["notifhist"].db.close()


def ticket(n: int, **members: Any) -> dict[str, Any]:
    priority = toy_resource.PRIORITIES[n % 3]
    created = f"2026-0{1 + n % 9}-01T00:00:00.000Z"
    return {"dateCreated": created, "priority": priority, "title": f"Ticket {n}", **members}


def test_a_ticket_is_recorded_and_read(client: FlaskClient) -> None:
    recorded = post(client, URL, ticket(1, queue="STORAGE"))
    assert recorded.headers["Location"].endswith(f"{URL}/1")
    assert client.get(f"{URL}/1").data == recorded.data
    assert list(recorded.get_json()) == ["dateCreated", "dateUpdated", "id", "priority", "queue", "title"]
    assert send(client, "POST", URL, {**ticket(1, queue="STORAGE"), "id": 1}).status_code == 200
    assert send(client, "POST", URL, {**ticket(2), "id": 1}).status_code == 409
    assert send(client, "PUT", f"{URL}/1", ticket(2)).status_code == 200
    assert client.get(f"{URL}/1").get_json()["title"] == "Ticket 2"
    assert client.get(f"{URL}/2").status_code == 404
    assert send(client, "POST", URL, {"priority": "NONE", "title": "x"}).status_code == 400
    as_xml = client.get(f"{URL}/1", headers={"Accept": "application/xml"}).text
    assert '<ticket id="1"><dateCreated>2026-03-01T00:00:00.000Z</dateCreated>' in as_xml


def test_totals_are_exact_with_its_own_filters_at_any_depth(client: FlaskClient) -> None:
    """More than a part of the counts holds before it is split."""
    for start in range(0, 3000, 1000):
        post(client, URL, {"tickets": [ticket(n, id=n + 1) for n in range(start, start + 1000)]})
    all_tickets = [ticket(n) for n in range(3000)]
    matches: dict[str, Callable[[dict[str, Any]], bool]] = {
        "": lambda each: True,
        "priorities=HIGH": lambda each: each["priority"] == "HIGH",
        "priorities=HIGH,LOW&queues=NETWORK": lambda each: False,
        "priorities=URGENT&fromDate=2026-06-01": lambda each: (
            each["priority"] == "URGENT" and each["dateCreated"] >= "2026-06-01"
        ),
        "searchQuery=TICKET 29": lambda each: "Ticket 29" in each["title"],
        "searchQuery=9&priorities=LOW": lambda each: "9" in each["title"] and each["priority"] == "LOW",
    }
    for query, is_wanted in matches.items():
        page = client.get(f"{URL}?{query}&pageSize=100").get_json()
        assert page["total"] == sum(map(is_wanted, all_tickets)), query
    by_date = sorted(range(1, 3001), key=lambda id_: (ticket(id_ - 1)["dateCreated"], id_), reverse=True)
    deep = client.get(f"{URL}?pageSize=100&page=27").get_json()["tickets"]
    assert [each["id"] for each in deep] == by_date[2700:2800]


def test_tickets_are_exported_and_loaded(client: FlaskClient, db: Database, tmp_path: Path) -> None:
    post(client, URL, {"tickets": [ticket(n, id=n) for n in range(5)]})
    exported = b"".join(export_lines(db))
    assert exported.count(b'{"tenant":"123456","ticket":{"dateCreated"') == 5
    (tmp_path / "export.ndjson").write_bytes(exported.replace(b'"123456"', b'"other"'))
    folder = tmp_path / "other" / "api" / "v1"
    folder.mkdir(parents=True)
    (folder / "tickets.xml").write_bytes(client.get(URL, headers={"Accept": "application/xml"}).data)
    loader = Loader(db, Clock())
    for source in find_sources([tmp_path], None):
        loader.load(source)
    assert (loader.bad, loader.stored, loader.present) == ([], 5, 5)


def test_key_metrics_and_openapi_know_it(app: Flask, client: FlaskClient, make_key: Any) -> None:
    post(client, URL, ticket(1))
    assert authorized(app, make_key("monitoring:admin")).get(URL).status_code == 403
    operations = app.test_client()
    assert 'notifhist_recorded_total{kind="ticket"} 1.0' in operations.get("/metrics").text
    description = operations.get("/openapi.json").get_json()
    assert {"get", "post"} <= description["paths"][URL].keys()
    assert [each["name"] for each in description["paths"][URL]["get"]["parameters"]] == [
        *("priorities", "queues", "searchQuery", "fromDate", "pageSize", "page")
    ]
