"""Tenants never see each other's documents, and neither do apps of one process."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from notifhist.auth import ADMIN, RUNS_EDIT, ApiKey, new_key
from notifhist.factory import create_app
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.keys import add_key
from notifhist.store.machine import machine_directory
from notifhist.store.migrating import migrate
from tests.conftest import NOW, NOW_MS, TENANT, MakeApp, MakeKey, authorized, every_row
from tests.http.helpers import JSON, RUNS, XML, get_json, item_at, post, read_xml, run_of

BARE = "/entities/enOne/alarms/alOne/notification_history"
"""The same URL for every tenant."""
TENANTS = (TENANT, "other", "123456 ", "12345", "１２３４５６", "café", "cafe\u0301", "%", "' OR 1=1 --")
"""Some of them nearly equal."""
MS = NOW_MS - 1000


def item_of(owner: str) -> dict[str, Any]:
    """Return an item of the one id that all owners use."""
    return item_at(MS, status=f"of {owner}")


@pytest.fixture
def tenants(app: Flask, make_key: MakeKey) -> dict[str, FlaskClient]:
    """A client for each tenant, each with an item and a run of the same ids and other content."""
    clients = {tenant: authorized(app, make_key(tenant=tenant)) for tenant in TENANTS}
    for tenant, client in clients.items():
        post(client, f"{BARE}/chOne", item_of(tenant))
        post(client, f"{BARE}/of {tenant}", item_of(tenant))
        post(client, RUNS, run_of(id=1, summary=f"of {tenant}", notificationObjects=[about(tenant)]))
    return clients


def about(tenant: str) -> dict[str, Any]:
    return {"id": 1, "name": f"object of {tenant}", "type": "ENTITY"}


@pytest.mark.parametrize("media_type", [JSON, XML])
def test_tenants_with_equal_ids_each_read_their_own(tenants: dict[str, FlaskClient], media_type: str) -> None:
    item_id = item_of("")["id"]
    for tenant, client in tenants.items():
        others = [f"of {other}" for other in TENANTS if other not in tenant]
        for url in (BARE, f"{BARE}/chOne", f"{BARE}/chOne/{item_id}", f"{RUNS}?includeObjects=true", f"{RUNS}/1"):
            response = client.get(url, headers={"Accept": media_type})
            text = response.text if media_type == JSON else "".join(read_xml(response).itertext())
            assert f"of {tenant}" in text
            assert not [other for other in others if other in text], url


def test_pages_and_totals_count_only_what_is_ones_own(tenants: dict[str, FlaskClient]) -> None:
    for tenant, client in tenants.items():
        assert get_json(client, BARE) == {"check_ids": sorted(["chOne", f"of {tenant}"])}
        checks = get_json(client, "/entities/enOne/checks")["values"]
        assert [check["id"] for check in checks] == sorted(["chOne", f"of {tenant}"])
        assert get_json(client, f"/entities/enOne/checks/of {tenant}")["id"] == f"of {tenant}"
        ((entity,),) = (get_json(client, "/views/latest_alarm_states")["values"],)
        assert {state["status"] for state in entity["latest_alarm_states"]} == {f"of {tenant}"}
        page = get_json(client, f"{BARE}/chOne?limit=1&reverse=true")
        assert page["values"] == [item_of(tenant)]
        assert (page["metadata"]["count"], page["metadata"]["next_marker"]) == (1, None)
        runs = get_json(client, f"{RUNS}?pageSize=1&searchQuery=object")
        assert [run["summary"] for run in runs["runs"]] == [f"of {tenant}"]
        assert (runs["total"], runs["totalPages"]) == (1, 1)


def test_what_one_tenant_changes_changes_nothing_for_the_others(tenants: dict[str, FlaskClient], db: Database) -> None:
    ours, *others = tenants.values()
    item_id = item_of("")["id"]
    before = [(get_json(each, f"{BARE}/chOne/{item_id}"), get_json(each, f"{RUNS}/1")) for each in others]
    result = {"notification_id": "ntOne", "attempts": []}
    assert ours.put(f"{BARE}/chOne/{item_id}", json=item_at(MS, notification_results=[result])).status_code == 200
    post(ours, f"{BARE}/chOne/{item_id}/notification_results/ntOne/attempts", {"message": "x"})
    assert ours.put(f"{RUNS}/1", json=run_of(seqNo=9)).status_code == 200
    assert ours.delete(f"{BARE}/chOne/{item_id}").status_code == 204
    after = [(get_json(each, f"{BARE}/chOne/{item_id}"), get_json(each, f"{RUNS}/1")) for each in others]
    assert after == before
    assert ours.get(f"{BARE}/chOne/{item_id}").status_code == 404


def test_what_only_another_tenant_has_is_not_there(app: Flask, db: Database, make_key: MakeKey) -> None:
    ours, theirs = (authorized(app, make_key(tenant=tenant)) for tenant in (TENANT, "other"))
    item = item_at(MS, notification_results=[{"notification_id": "ntOne"}])
    post(theirs, f"{BARE}/chOne", item)
    post(theirs, RUNS, run_of(id=7))
    before = every_row(db)
    url = f"{BARE}/chOne/{item['id']}"
    assert get_json(ours, BARE) == {"check_ids": []}
    assert get_json(ours, f"{BARE}/chOne?marker={item['id']}")["values"] == []
    assert get_json(ours, RUNS)["total"] == 0
    assert get_json(ours, url, 404)["type"] == "notFoundError"
    assert ours.delete(url).status_code == 404
    assert ours.post(f"{url}/notification_results/ntOne/attempts", json={}).status_code == 404
    assert get_json(ours, f"{RUNS}/7", 404)["type"] == "NOT_FOUND"
    assert every_row(db) == before
    assert post(ours, RUNS, run_of()).json == {**get_json(ours, f"{RUNS}/1"), "id": 1}, "numbers are a tenant's own"


@pytest.mark.parametrize(
    "other",
    [
        "/entities/enOne/alarms/alOne/notification_history/chTwo",
        "/entities/enOne/alarms/alTwo/notification_history/chOne",
        "/entities/enTwo/alarms/alOne/notification_history/chOne",
        "/entities/alOne/alarms/enOne/notification_history/chOne",
        "/entities/enOne/alarms/alOne/notification_history/CHONE",
        "/entities/enOne/alarms/alOne/notification_history/chOne%20",
    ],
)
def test_an_id_may_stand_again_in_another_check_with_other_content(client: FlaskClient, other: str) -> None:
    item = item_at(MS)
    post(client, f"{BARE}/chOne", item)
    changed = {**item, "state": "WARNING"}
    assert client.post(f"{BARE}/chOne", json=changed).status_code == 400
    post(client, other, changed)
    assert get_json(client, f"{BARE}/chOne/{item['id']}") == item
    assert get_json(client, f"{other}/{item['id']}") == changed
    assert client.delete(f"{other}/{item['id']}").status_code == 204
    assert get_json(client, f"{BARE}/chOne")["values"] == [item]


def test_the_url_with_the_tenant_and_the_bare_one_are_the_same_place(client: FlaskClient) -> None:
    item = item_at(MS)
    post(client, f"{BARE}/chOne", item)
    assert get_json(client, f"/v1.0/{TENANT}{BARE}/chOne/{item['id']}") == item


@pytest.fixture
def second(tmp_path: Path) -> Iterator[tuple[FlaskClient, Database]]:
    """A client of a second app, over a database of its own, and that database."""
    url = f"sqlite:///{tmp_path}/second.db"
    db = open_database(url, create=True)
    ensure_connected(db)
    migrate(db)
    key, key_id, secret_hash = new_key()
    add_key(db, ApiKey(key_id, "test", TENANT, (ADMIN, RUNS_EDIT), secret_hash, 0))
    app = create_app({"DATABASE_URL": url, "NOW": NOW, "DEFAULT_LIMIT": 7, "HISTORY_RATE_LIMIT": "3/day"})
    yield authorized(app, key), db
    for each in (db, app.extensions["notifhist"].db):
        each.close()
    shutil.rmtree(machine_directory(url), ignore_errors=True)


def test_two_apps_of_one_process_stay_apart(
    app: Flask, client: FlaskClient, db: Database, second: tuple[FlaskClient, Database]
) -> None:
    other, other_db = second
    item, theirs = item_at(MS, status="first"), item_at(MS, status="second")
    post(client, f"{BARE}/chOne", item)
    post(client, RUNS, run_of(id=1, summary="first"))
    used = post(other, f"{BARE}/chOne", theirs).headers["X-RateLimit-Used"]
    assert used == "1", "each counts for itself"
    before = every_row(other_db)
    for _ in range(2):  # in turns
        page = get_json(client, f"{BARE}/chOne")
        assert (page["values"], page["metadata"]["limit"]) == ([item], 50)
        page = get_json(other, f"{BARE}/chOne")
        assert (page["values"], page["metadata"]["limit"]) == ([theirs], 7)
        assert get_json(client, RUNS)["total"] == 1
        assert get_json(other, RUNS)["total"] == 0
    assert (other.get(BARE).status_code, client.get(BARE).status_code) == (429, 200)
    assert client.delete(f"{BARE}/chOne/{item['id']}").status_code == 204
    assert every_row(other_db) == before
    assert 'notifhist_recorded_total{kind="run"} 1.0' in client.get("/metrics").text
    assert 'notifhist_recorded_total{kind="run"} 0.0' in other.get("/metrics").text


def test_a_key_of_one_app_opens_no_other(client: FlaskClient, key: str, second: tuple[FlaskClient, Database]) -> None:
    other, _ = second
    assert client.get(BARE).status_code == 200
    assert authorized(other.application, key).get(BARE).status_code == 401


def test_two_apps_over_one_database_see_the_same(make_app: MakeApp, key: str) -> None:
    one, other = (authorized(make_app(), key) for _ in range(2))
    item = item_at(MS)
    post(one, f"{BARE}/chOne", item)
    assert get_json(other, f"{BARE}/chOne")["values"] == [item]
