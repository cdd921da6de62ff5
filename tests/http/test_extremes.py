"""The longest, deepest and oddest that the contract lets through, and what lies just beyond."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from notifhist.schemas.fields import MAX_PROBLEMS_NAMED
from notifhist.store.database import Database
from notifhist.store.history import items
from notifhist.store.models import HistoryItemRow
from tests.conftest import NOW_MS, MakeApp, MakeKey, authorized
from tests.http.helpers import XML, item_at, run_of

CHECK = "/entities/enOne/alarms/alOne/notification_history/chOne"
RUNS = "/api/v1/notifications/logs/run"
ITEM: dict[str, Any] = {"state": "OK", "notification_results": []}
RUN = {"notificationType": "WEEKLY_REPORT", "medium": "EMAIL", "status": "CREATED"}


def send(client: FlaskClient, method: str, url: str, document: Any) -> Any:
    return client.open(url, method=method, data=json.dumps(document), content_type="application/json")


def nested(levels: int) -> Any:
    """Return a value of that many levels."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_ids_of_255_wide_characters_are_kept_and_found(app: Flask, make_key: MakeKey) -> None:
    wide = "".join(chr(0x1F300 + n) for n in range(255))
    client = authorized(app, make_key(tenant=wide))
    url = f"/entities/{quote(wide)}/alarms/{quote(wide)}/notification_history"
    posted = send(client, "POST", f"{url}/{quote(wide)}", ITEM)
    assert posted.status_code == 201
    assert client.get(posted.headers["Location"]).json == posted.json
    assert client.get(url).json == {"check_ids": [wide]}


@pytest.mark.parametrize(
    "members", [[1], [{}], [{"notification_results": 1, "state": "OK"}]], ids=["scalar", "empty", "wrong"]
)
def test_of_very_many_wrong_records_some_are_named(client: FlaskClient, members: list[Any]) -> None:
    refused = send(client, "POST", CHECK, {"values": members * (3 * MAX_PROBLEMS_NAMED)})
    assert refused.status_code == 400
    named = refused.json["details"].split("; ")
    assert named[0].startswith("values[0]")
    assert (len(named), named[-1]) == (MAX_PROBLEMS_NAMED + 1, "and more")


def test_the_records_of_a_container_may_be_as_deep_as_one_alone(client: FlaskClient) -> None:
    deepest, deeper = ({**ITEM, "x": nested(levels)} for levels in (63, 64))
    assert send(client, "POST", CHECK, deepest).status_code == 201
    page = client.get(CHECK).get_data(as_text=True)
    copied = client.post(f"{CHECK}Copy", data=page, content_type="application/json")
    assert copied.status_code == 201
    for refused in (send(client, "POST", CHECK, body) for body in (deeper, {"values": [deeper]})):
        assert refused.status_code == 400
        assert refused.json["message"] == "The body is nested too deeply."


def test_an_attempt_may_not_make_its_item_deeper_than_items_may_be(client: FlaskClient) -> None:
    item = send(client, "POST", CHECK, {"state": "OK", "notification_results": [{"notification_id": "n"}]})
    url = f"{item.headers['Location']}/notification_results/n/attempts"
    assert send(client, "POST", url, {"x": nested(60)}).status_code == 400
    added = send(client, "POST", url, {"x": nested(59)})
    assert added.status_code == 201
    again = {name: value for name, value in added.json.items() if name not in ("id", "timestamp")}
    assert send(client, "POST", CHECK, again).status_code == 201


def test_an_item_posted_again_is_answered_as_it_was_recorded(client: FlaskClient) -> None:
    item_id = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"
    first = send(client, "POST", CHECK, {"id": item_id, **ITEM, "n": 1})
    again = {"n": 1.0, **ITEM, "id": item_id.upper()}
    for body in (again, {"values": [again]}):
        answer = send(client, "POST", CHECK, body)
        assert answer.status_code == 200
        shown = answer.get_data(as_text=True)
        assert first.get_data(as_text=True) in shown
    assert send(client, "POST", CHECK, again).headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize("host", ["my_host:8000", "notifhist", "[::1]:8000", "a.b-c.example"])
def test_a_host_that_networks_know_stands_in_links(client: FlaskClient, host: str) -> None:
    posted = client.post(CHECK, data=json.dumps(ITEM), headers={"Host": host, "Content-Type": "application/json"})
    assert posted.status_code == 201
    assert posted.headers["Location"].startswith(f"http://{host}{CHECK}/")


@pytest.mark.parametrize("host", ['x"y', "a b", "h:999999", "<h>", "h/x", "u@h"])
def test_what_is_no_host_is_refused_before_anything_is_recorded(client: FlaskClient, host: str) -> None:
    refused = client.post(CHECK, data=json.dumps(ITEM), headers={"Host": host, "Content-Type": "application/json"})
    assert refused.status_code == 400
    assert json.loads(client.get(CHECK).data)["values"] == []


def test_an_encoded_slash_is_refused_in_absolute_form_too(client: FlaskClient) -> None:
    item = send(client, "POST", CHECK, ITEM)
    item_id = item.json["id"]
    raw = f"http://localhost{CHECK}%2F{item_id}"
    refused = client.get(f"{CHECK}/{item_id}", environ_overrides={"RAW_URI": raw})
    assert refused.status_code == 400


def test_runs_numbered_by_us_and_by_others_at_once_never_collide(make_app: MakeApp, make_key: MakeKey) -> None:
    app, key = make_app(RUNS_RATE_LIMIT=""), make_key()

    def record(n: int) -> int:
        client = authorized(app, key)
        given = {"id": n} if n % 2 else {}
        answer = send(client, "POST", RUNS, {**RUN, **given})
        app.extensions["notifhist"].db.close()  # each call may have a thread of its own
        return int(answer.status_code)

    with ThreadPoolExecutor(4) as senders:
        statuses = list(senders.map(record, range(1000, 1060)))
    # Who names an id that we have just given away meets a conflict; who names none never does.
    assert {statuses[n] for n in range(0, 60, 2)} == {201}


def test_an_item_deleted_while_it_is_posted_again_is_recorded(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted = send(client, "POST", CHECK, ITEM)
    find = items.find_documents

    def find_after_another_deletes(*arguments: Any) -> Any:
        monkeypatch.setattr(items, "find_documents", find)
        arguments[0].execute(HistoryItemRow.delete())
        return find(*arguments)

    monkeypatch.setattr(items, "find_documents", find_after_another_deletes)
    assert send(client, "POST", CHECK, posted.json).status_code == 201
    assert client.get(posted.headers["Location"]).json == posted.json


def test_a_name_that_parsers_refuse_for_its_length_becomes_an_entry(client: FlaskClient) -> None:
    long = "n" * 60_000
    posted = send(client, "POST", CHECK, {**ITEM, "timestamp": NOW_MS, long: "x"})
    as_xml = client.get(posted.headers["Location"], headers={"Accept": "application/xml"}).get_data()
    assert b'<entry key="nnn' in as_xml
    copied = client.post(f"{CHECK}Copy", data=as_xml, content_type="application/xml")
    assert copied.json == posted.json


def test_xml_that_is_many_times_as_long_as_its_json_is_not_kept_but_answered(client: FlaskClient, db: Database) -> None:
    item = item_at(NOW_MS) | {"x" * 1000: [0] * 1000}
    assert client.post(CHECK, json=item).status_code == 201
    ((xml,),) = db.execute(HistoryItemRow.select(HistoryItemRow.xml)).fetchall()
    assert xml is None
    for url in (CHECK, f"{CHECK}/{item['id']}"):
        assert client.get(url, headers={"Accept": XML}).data.count(b"x" * 1000) == 2000
        assert client.get(url).data.count(b"x" * 1000) == 1


def test_an_item_whose_xml_nobody_could_be_answered_is_refused(client: FlaskClient) -> None:
    item = item_at(NOW_MS) | {"x" * 1000: [0] * 40_000}
    refused = client.post(CHECK, json=item)
    assert (refused.status_code, refused.get_json()["type"]) == (400, "badRequest")
    assert "names are repeated" in refused.get_json()["details"]
    assert client.get(CHECK).get_json()["values"] == []


def test_a_run_with_a_long_text_is_recorded_and_found(client: FlaskClient) -> None:
    summary = "".join(f"{n:x} é" for n in range(30_000))
    assert client.post(RUNS, json=run_of(id=1, summary=summary)).status_code == 201
    assert client.get(f"{RUNS}?searchQuery=752f").get_json()["total"] == 1
    assert client.get(f"{RUNS}?searchQuery=7530 ").get_json()["total"] == 0


@pytest.mark.parametrize("character", ["\ufffd", "\ufffe", "\uffff"])
def test_a_search_takes_no_character_for_another(client: FlaskClient, character: str) -> None:
    assert client.post(RUNS, json=run_of(id=1, summary=f"abc{character}")).status_code == 201
    for searched in ("\ufffd", "\ufffe", "\uffff"):
        found = client.get(RUNS, query_string={"searchQuery": f"bc{searched}"}).get_json()["total"]
        assert found == (searched == character)
