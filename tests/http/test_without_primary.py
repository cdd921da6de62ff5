"""While there is no primary, reads come from the replica and say so. With a real one: tests/system/test_replicas.py."""

from collections.abc import Iterator
from threading import current_thread
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from notifhist.factory import create_app
from notifhist.store.database import ERRORS, Database, ensure_connected, open_database
from notifhist.store.keys import revoke_keys
from notifhist.store.replicas import Replica
from notifhist.web.streams import Reads
from tests.conftest import NOW, NOW_MS, TENANT, authorized, store_key
from tests.gate import FOLLOWS, Gate, following, gate
from tests.http.delivery_data import DELIVERIES
from tests.http.helpers import CHECK, LOGS, RUNS, XML, id_at, item_at, run_of
from tests.http.pages import page_at, signed_in, text_of
from tests.http.test_operations import samples
from tests.system.service import wait_until
from tests.unit.test_addresses import refuse_thread

AS_OF = "X-Notifhist-As-Of"
ITEM = item_at(NOW_MS, notification_results=[{"notification_id": "ntOne"}])
READ = {
    "checks": CHECK.rpartition("/")[0],
    "items": CHECK,
    "item": f"{CHECK}/{ITEM['id']}",
    "runs": RUNS,
    "run": f"{RUNS}/1",
    "logs": LOGS,
    "deliveries": DELIVERIES,
    "counts": f"{DELIVERIES}/counts?by=state",
    "CSV": f"{DELIVERIES}?format=csv",
    "NDJSON": f"{DELIVERIES}?format=ndjson",
    "entities": f"/v1.0/{TENANT}/entities",
    "states": f"/v1.0/{TENANT}/views/latest_alarm_states",
    "changes": f"/v1.0/{TENANT}/changelogs/alarms",
}
PAGES = ("/ui/", "/ui/deliveries", "/ui/alarms", "/ui/runs", "/ui/runs/1")
LAGS = "This may lag."


@pytest.fixture
def primary(postgres_database: str) -> Iterator[Gate]:
    """The way to the primary."""
    with gate(postgres_database) as made:
        yield made


@pytest.fixture
def db(postgres_database: str) -> Iterator[Database]:
    """A connection to the database, past the gate."""
    database = open_database(postgres_database)
    ensure_connected(database)
    yield database
    database.close()


@pytest.fixture
def replica_url(postgres_database: str) -> Iterator[str]:
    """The URL of a replica; in truth it is the primary, so it lacks nothing."""
    with following(postgres_database) as url:
        yield url


@pytest.fixture
def app(primary: Gate, replica_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setattr("notifhist.store.sources.LOOK_AGAIN_S", 0.05)
    made = create_app({"DATABASE_URL": primary.url, "REPLICA_URL": replica_url, "NOW": NOW})
    yield made
    primary.shut()
    primary.open()
    service = made.extensions["notifhist"]
    wait_until(lambda: not service.sources.connect(may_lag=True).may_lag)
    for each in (service.db, service.sources.replica.db):
        each.close()


@pytest.fixture
def key(db: Database) -> str:
    return store_key(db)


@pytest.fixture
def client(app: Flask, key: str) -> FlaskClient:
    return authorized(app, key)


def record(client: FlaskClient) -> None:
    for url, document in ((CHECK, ITEM), (RUNS, run_of(id=1))):
        response = client.post(url, json=document)
        assert response.status_code == 201
        assert AS_OF not in response.headers


def assert_unavailable(response: TestResponse) -> None:
    assert response.status_code == 503, response.text
    assert int(response.headers["Retry-After"]) > 0


def test_what_only_reads_is_answered_as_before_and_says_that_it_may_lag(client: FlaskClient, primary: Gate) -> None:
    record(client)
    asked = [(url, accept) for url in READ.values() for accept in ("*/*", XML)]
    asked = [(url, accept) for url, accept in asked if "format=" not in url or accept != XML]
    before = [client.get(url, headers={"Accept": accept}) for url, accept in asked]
    primary.shut()
    for (url, accept), former in zip(asked, before, strict=True):
        now = client.get(url, headers={"Accept": accept})
        assert (former.status_code, now.status_code, now.data) == (200, 200, former.data), url
        assert now.headers[AS_OF] == "unknown"
        assert AS_OF not in former.headers
        if tag := now.headers.get("ETag"):
            again = client.get(url, headers={"Accept": accept, "If-None-Match": tag})
            assert (again.status_code, AS_OF in again.headers) == (304, True)
    assert client.head(CHECK).headers[AS_OF] == "unknown"
    missing = client.get(f"{CHECK}/{id_at(NOW_MS, 9)}")
    assert (missing.status_code, AS_OF in missing.headers) == (404, True)


def test_pages_say_that_they_may_lag(app: Flask, client: FlaskClient, key: str, primary: Gate) -> None:
    record(client)
    browser = signed_in(app, key)
    for url in PAGES:
        assert LAGS not in text_of(page_at(browser, url))
    primary.shut()
    for url in (*PAGES, "/ui/runs/2"):
        told = text_of(page_at(browser, url, 404 if url == "/ui/runs/2" else 200))
        assert LAGS in told
        assert "nothing can be recorded" in told
    assert browser.post("/ui/login", data={"key": key}, headers={"Origin": "http://localhost"}).status_code == 503
    assert app.test_client().get("/ui/").status_code == 303


def test_a_browser_is_signed_out_though_the_session_stays(app: Flask, key: str, primary: Gate) -> None:
    browser, other = signed_in(app, key), {"Origin": "http://localhost.example"}
    primary.shut()
    assert browser.post("/ui/logout", headers=other).status_code == 403
    assert browser.get("/ui/").status_code == 200
    response = browser.post("/ui/logout", headers={"Origin": "http://localhost"})
    assert_unavailable(response)
    assert "This browser is signed out." in response.text
    assert browser.get("/ui/").status_code == 303


def test_users_whom_a_proxy_knows_look_at_pages(key: str, primary: Gate, replica_url: str) -> None:
    user = {"PAGES_USER_HEADER": "X-User", "PAGES_USER_KEY_ID": key.split("_")[1], "TRUSTED_PROXIES": 1}
    app = create_app({"DATABASE_URL": primary.url, "REPLICA_URL": replica_url, "NOW": NOW, **user})
    client = app.test_client()
    client.environ_base["HTTP_X_USER"] = "ann"
    primary.shut()
    assert LAGS in text_of(page_at(client, "/ui/deliveries"))
    primary.open()
    sources = app.extensions["notifhist"].sources
    wait_until(lambda: not sources.connect(may_lag=True).may_lag)
    for each in (sources.primary, sources.replica.db):
        each.close()


def test_a_server_that_follows_nobody_answers_nobody(
    app: Flask, client: FlaskClient, db: Database, primary: Gate
) -> None:
    primary.shut()
    assert client.get(CHECK).status_code == 200
    db.execute_sql("DROP FUNCTION follower.pg_is_in_recovery")  # now it is a primary, and was not promoted to that
    assert_unavailable(client.get(CHECK))
    assert_unavailable(app.test_client().get("/readyz"))
    primary.open()
    wait_until(lambda: client.get(CHECK).status_code == 200)


def test_what_writes_is_refused(app: Flask, client: FlaskClient, primary: Gate) -> None:
    record(client)
    primary.shut()
    for _ in range(2):  # also once it is known that there is no primary
        assert_unavailable(client.post(CHECK, json=item_at(NOW_MS, 1)))
        assert_unavailable(client.put(f"{RUNS}/1", json=run_of()))
        assert_unavailable(client.delete(f"{CHECK}/{ITEM['id']}"))
        assert_unavailable(client.post("/feeds/alertmanager", json={}))
        assert client.get(CHECK).status_code == 200
    primary.open()
    wait_until(lambda: AS_OF not in client.get(CHECK).headers)
    assert client.post(CHECK, json=item_at(NOW_MS, 1)).status_code == 201


def test_only_keys_that_the_replica_has_are_let_in(
    app: Flask, client: FlaskClient, key: str, db: Database, primary: Gate
) -> None:
    primary.shut()
    observer = authorized(app, store_key(db, "notification-logs:view"))
    others = authorized(app, store_key(db, tenant="654321"))
    end = "x" if key[-1] != "x" else "y"
    for wrong in (f"nh_0123456789ab_{'x' * 43}", key[:-1] + end, "none", ""):
        refused = authorized(app, wrong).get(CHECK)
        assert (refused.status_code, AS_OF in refused.headers) == (401, True)
    assert (observer.get(CHECK).status_code, observer.get(RUNS).status_code) == (403, 200)
    assert (others.get(CHECK).status_code, others.get(RUNS).status_code) == (403, 200)
    assert client.get(CHECK).status_code == 200
    revoke_keys(db, key.split("_")[1], 1)
    assert client.get(CHECK).status_code == 401  # what the replica says is not remembered


def test_a_primary_that_is_known_to_be_gone_is_waited_for_by_nobody(
    app: Flask, client: FlaskClient, primary: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector, asking = app.extensions["notifhist"].db.connector, current_thread()
    connect, tries = connector.connect, []

    def counted() -> Any:
        tries.append(current_thread())
        return connect()

    monkeypatch.setattr(connector, "connect", counted)
    primary.shut()
    assert client.get(CHECK).headers[AS_OF]
    assert tries.count(asking) == 1
    for _ in range(5):
        assert client.get(CHECK).headers[AS_OF]
        assert_unavailable(client.post(CHECK, json=ITEM))
        assert app.test_client().get("/readyz").status_code == 200
    assert tries.count(asking) == 1
    wait_until(lambda: len(tries) > 3)  # one of our own looks for it again and again
    assert len(set(tries)) == 2


def test_where_no_thread_can_be_started_each_request_looks_for_the_primary(
    client: FlaskClient, primary: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    primary.shut()
    with monkeypatch.context() as patched:
        patched.setattr("threading._start_new_thread", refuse_thread)
        assert client.get(CHECK).headers[AS_OF]
    primary.open()
    assert AS_OF not in client.get(CHECK).headers


def test_a_replica_that_fails_too_is_waited_for_by_one_at_a_time(
    primary: Gate, replica_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = Replica(open_database(f"{primary.url}?{FOLLOWS}"))
    primary.shut()
    monkeypatch.setattr("notifhist.store.replicas._TRY_AGAIN_S", 60.0)
    with pytest.raises(ERRORS, match="refused"):
        replica.newest_ms()
    with pytest.raises(ERRORS, match="a moment ago"):
        replica.newest_ms()
    replica = Replica(replica.db)
    monkeypatch.setattr("notifhist.store.replicas._TRY_AGAIN_S", 0.0)
    for _ in range(2):
        with pytest.raises(ERRORS, match="refused"):
            replica.newest_ms()
    primary.open()
    assert replica.newest_ms() is None
    replica.db.close()


def test_a_connection_that_was_ended_is_no_outage(client: FlaskClient, primary: Gate) -> None:
    record(client)
    for url in (CHECK, RUNS):
        primary.cut()
        response = client.get(url)
        assert (response.status_code, response.headers.get(AS_OF)) == (200, None)


def test_it_is_ready_for_reading_and_counts_that(app: Flask, client: FlaskClient, primary: Gate) -> None:
    assert client.get("/readyz").json == {"status": "ready"}
    assert samples(client)["notifhist_lagging_answers_total"] == 0
    primary.shut()
    response = app.test_client().get("/readyz")
    assert (response.json, response.headers[AS_OF]) == ({"status": "read-only"}, "unknown")
    assert client.get("/healthz").json == {"status": "ok"}
    client.get(CHECK)
    assert samples(client)["notifhist_lagging_answers_total"] == 2
    primary.open()
    wait_until(lambda: client.get("/readyz").json == {"status": "ready"})


def test_a_stream_that_did_not_say_that_it_may_lag_does_not_go_on_so(
    app: Flask, client: FlaskClient, primary: Gate
) -> None:
    record(client)
    sources = app.extensions["notifhist"].sources
    whole, lagging = Reads(sources, TENANT), Reads(sources, TENANT)
    whole()
    assert whole.source is not None
    assert not whole.source.may_lag
    primary.shut()
    for _ in range(2):
        with pytest.raises(ERRORS) as raised:
            whole()
        whole.failed(raised.value)
        lagging()
        assert lagging.source is not None
        assert lagging.source.may_lag
    primary.open()
    wait_until(lambda: not sources.connect(may_lag=True).may_lag)
    assert lagging() is sources.primary
