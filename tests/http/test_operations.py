import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import peewee
import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import etree

from notifhist.auth import OBSERVER
from notifhist.factory import create_app
from notifhist.store.database import ensure_connected, open_database
from notifhist.store.machine import machine_directory
from notifhist.store.migrating import migrate, pending_migrations
from tests.conftest import NOW_MS, MakeApp, MakeKey, authorized
from tests.http.helpers import (
    CHECK,
    IN_XML,
    JSON,
    RUNS,
    XML,
    assert_fault,
    assert_run_error,
    id_at,
    item_at,
    post,
    read_xml,
    run_of,
)
from tests.system.service import ROOT

OPERATIONS = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/schemas/notification_history.xsd"]


@pytest.mark.parametrize("url", OPERATIONS)
@pytest.mark.parametrize("token", [None, "x"])
def test_what_operators_ask_needs_no_key(url: str, token: str | None, app: Flask) -> None:
    headers = {} if token is None else {"X-Auth-Token": token, "Authorization": f"Bearer {token}"}
    client = app.test_client()
    got, head = (client.open(url, method=method, headers=headers) for method in ("GET", "HEAD"))
    assert (got.status_code, head.status_code, head.data) == (200, 200, b"")
    assert got.data
    assert got.headers["X-Response-Id"]
    assert got.headers["Vary"] == "Accept"
    assert not [name for name, _ in got.headers if name.startswith("X-RateLimit")]


@pytest.mark.parametrize("url", OPERATIONS)
def test_what_operators_ask_is_answered_whatever_is_accepted(url: str, app: Flask) -> None:
    for accept in ("text/html", "*/*;q=0", XML):
        assert app.test_client().get(url, headers={"Accept": accept}).status_code == 200


def test_what_operators_ask_is_charged_to_nobody(client: FlaskClient) -> None:
    before = int(client.get(CHECK).headers["X-RateLimit-Used"])
    for url in OPERATIONS:
        client.get(url)
    assert int(client.get(CHECK).headers["X-RateLimit-Used"]) == before + 1


def test_it_lives_and_is_ready(app: Flask) -> None:
    client = app.test_client()
    assert (client.get("/healthz").content_type, client.get("/healthz").json) == (JSON, {"status": "ok"})
    assert (client.get("/readyz").content_type, client.get("/readyz").json) == (JSON, {"status": "ready"})


def test_the_published_schema_is_served(app: Flask) -> None:
    response = app.test_client().get("/schemas/notification_history.xsd")
    assert response.content_type == IN_XML
    assert response.data == files("notifhist.schemas").joinpath("notification_history.xsd").read_bytes()
    etree.XMLSchema(etree.fromstring(response.data))


def test_the_openapi_description_is_served(app: Flask) -> None:
    response = app.test_client().get("/openapi.json")
    assert response.content_type == JSON
    assert json.loads(response.data)["openapi"].startswith("3.")


@pytest.fixture
def homeless(tmp_path: Path) -> Iterator[FlaskClient]:
    """A client of a service whose database does not exist."""
    url = f"sqlite:///{tmp_path}/gone.db"
    yield authorized(create_app({"DATABASE_URL": url}), f"nh_0123456789ab_{'a' * 43}")
    shutil.rmtree(machine_directory(url), ignore_errors=True)


def test_without_a_database_it_lives_and_is_not_ready(homeless: FlaskClient, tmp_path: Path) -> None:
    assert homeless.get("/healthz").status_code == 200
    assert homeless.get("/metrics").status_code == 200
    for accept in (JSON, XML):
        response = homeless.get("/readyz", headers={"Accept": accept})
        assert int(response.headers["Retry-After"]) >= 1
    assert read_xml(response, 503).findtext("type") == "systemFailureError"
    assert_fault(homeless.get("/readyz"), 503, "systemFailureError")
    assert_fault(homeless.get(CHECK), 503, "systemFailureError")
    assert_run_error(homeless.get(RUNS), 503, "UNHANDLED_EXCEPTION")
    assert list(tmp_path.iterdir()) == []


def test_it_is_ready_as_soon_as_the_database_is_there(homeless: FlaskClient, tmp_path: Path) -> None:
    assert homeless.get("/readyz").status_code == 503
    database = open_database(f"sqlite:///{tmp_path}/gone.db", create=True)
    ensure_connected(database)
    fault = assert_fault(homeless.get("/readyz"), 503, "systemFailureError")
    assert fault["details"] == ", ".join(pending_migrations(database))
    migrate(database)
    database.close()
    assert homeless.get("/readyz").status_code == 200
    assert homeless.get(CHECK).status_code == 401
    homeless.application.extensions["notifhist"].db.close()


AS_ANOTHER = """
import os, sys
from notifhist.factory import create_app
client = create_app({"DATABASE_URL": sys.argv[1]}).test_client()
client.get("/healthz")  # imports what it needs: the other user may not read Python's own folder
os.seteuid(os.geteuid() or 65534)  # root may write to each file
answer = client.get("/readyz")
print(answer.status_code, answer.json.get("status"))
"""


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "told"),
    [(0o666, 0o777, "200 ready"), (0o444, 0o777, "200 read-only"), (0o666, 0o555, "503 None")],
)
def test_it_tells_whether_something_can_be_recorded(
    file_mode: int, folder_mode: int, told: str, sqlite_database: str
) -> None:
    file = Path(sqlite_database.removeprefix("sqlite:///"))
    file.chmod(file_mode)
    file.parent.chmod(folder_mode)
    # In a process of its own: the threads of this one would all be the other user.
    asked = [sys.executable, "-c", AS_ANOTHER, sqlite_database]
    done = subprocess.run(asked, capture_output=True, text=True, cwd=ROOT)
    file.parent.chmod(0o700)
    assert done.stdout.startswith(told), done.stderr


def test_creating_an_application_touches_no_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    create_app({"DATABASE_URL": url})
    assert list(tmp_path.iterdir()) == []
    assert not machine_directory(url).exists()


def test_two_applications_in_one_process_stay_apart(
    make_app: MakeApp, key: str, client: FlaskClient, tmp_path: Path
) -> None:
    other = create_app({"DATABASE_URL": f"sqlite:///{tmp_path}/other.db"})
    assert other.test_client().get("/readyz").status_code == 503
    post(client, CHECK, item_at(NOW_MS))
    assert authorized(make_app(DEFAULT_LIMIT=7), key).get(CHECK).json["metadata"]["limit"] == 7  # type: ignore[index]
    assert client.get(CHECK).json["metadata"]["limit"] == 50  # type: ignore[index]


def samples(client: FlaskClient) -> dict[str, float]:
    """Return the samples of /metrics by name and labels."""
    lines = client.get("/metrics").text.splitlines()
    pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def test_the_metrics_count_what_was_asked_and_recorded(app: Flask, client: FlaskClient) -> None:
    assert client.get("/metrics").content_type.startswith("text/plain")
    start = samples(client)
    item = item_at(NOW_MS, notification_results=[{"notification_id": "ntOne"}])
    post(client, CHECK, item)
    post(client, CHECK, item, status=200)
    post(client, CHECK, {"values": [item_at(NOW_MS, 1), item_at(NOW_MS, 2), item]})
    post(client, f"{CHECK}/{item['id']}/notification_results/ntOne/attempts", {})
    post(client, RUNS, {"runs": [run_of(), run_of()]})
    app.test_client().get(CHECK)
    client.get("/none")
    end = samples(client)
    grown = {name: end[name] - start.get(name, 0) for name in end if "total" in name}
    assert grown['notifhist_recorded_total{kind="item"}'] == 3
    assert grown['notifhist_recorded_total{kind="attempt"}'] == 1
    assert grown['notifhist_recorded_total{kind="run"}'] == 2
    asked = {name: count for name, count in grown.items() if name.startswith("notifhist_requests_total")}
    assert sum(count for name, count in asked.items() if 'status="401"' in name) == 1
    assert sum(count for name, count in asked.items() if 'status="404"' in name) == 1
    assert sum(count for name, count in asked.items() if 'method="POST"' in name) == 5


def test_the_metrics_hold_no_id_no_tenant_and_no_key(client: FlaskClient, key: str) -> None:
    client.get(f"{CHECK}/{id_at(NOW_MS)}")
    client.get("/some-secret-path")
    text = client.get("/metrics").text
    for secret in (key, "123456", "chOne", id_at(NOW_MS), "some-secret-path"):
        assert secret not in text


def test_the_metrics_count_refusals_by_api(make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(HISTORY_RATE_LIMIT="1/minute", RUNS_RATE_LIMIT="1/minute"), key)
    for url in (CHECK, CHECK, CHECK, RUNS, RUNS):
        client.get(url)
    counts = samples(client)
    assert counts['notifhist_rate_limited_total{api="history"}'] == 2
    assert counts['notifhist_rate_limited_total{api="runs"}'] == 1


@pytest.mark.parametrize(
    ("trusted", "forwarded", "problem"),
    [
        (0, None, None),
        (0, "203.0.113.7", "not_trusted"),
        (1, "203.0.113.7", None),
        (1, "203.0.113.7, 198.51.100.2", None),
        (1, None, "not_forwarded"),
        (2, "203.0.113.7", "not_forwarded"),
        (2, "203.0.113.7, 198.51.100.2", None),
    ],
)
def test_the_metrics_count_requests_that_do_not_fit_the_trusted_proxies(
    trusted: int, forwarded: str | None, problem: str | None, make_app: MakeApp, key: str
) -> None:
    app = make_app(TRUSTED_PROXIES=trusted)
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    asked = [authorized(app, sent).get(CHECK, headers=headers).status_code for sent in (key, "no key")]
    assert asked == [200, 401]  # which proves nothing
    app.test_client().get("/healthz", headers=headers)
    app.test_client().get("/v1.0/none", headers=headers)
    counts = samples(app.test_client())
    assert counts["notifhist_keyed_requests_total"] == 1
    for each in ("not_forwarded", "not_trusted"):  # both are there from the start
        assert counts[f'notifhist_proxy_mismatches_total{{problem="{each}"}}'] == (each == problem)


@pytest.mark.parametrize("url", ["/none", "/healthz/", "/openapi.xml", "/metrics/x", "/schemas/", "/apis", "/API/v1"])
def test_elsewhere_what_is_not_found_is_a_fault(url: str, app: Flask, client: FlaskClient) -> None:
    for who in (client, app.test_client()):
        assert_fault(who.get(url), 404, "notFoundError")
        root = read_xml(who.get(url, headers={"Accept": XML}), 404)
        assert (root.tag, root.findtext("code")) == ("fault", "404")


@pytest.mark.parametrize("url", ["/api", "/api/", "/api/none", "/api/v1/notifications", f"{RUNS}/", f"{RUNS}/1/x"])
def test_below_api_what_is_not_found_is_an_error_of_the_runs(url: str, app: Flask, client: FlaskClient) -> None:
    for who in (client, app.test_client()):
        assert_run_error(who.get(url), 404, "NOT_FOUND")
        root = read_xml(who.get(url, headers={"Accept": XML}), 404)
        assert (root.tag, root.findtext("httpStatus")) == ("error", "404")


@pytest.mark.parametrize("url", OPERATIONS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_operations_know_no_other_method(method: str, url: str, app: Flask) -> None:
    response = app.test_client().open(url, method=method)
    assert_fault(response, 405, "methodNotAllowed")
    assert response.headers["Allow"] == "GET, HEAD"


def test_another_method_needs_a_key_where_the_url_does(app: Flask, client: FlaskClient, make_key: MakeKey) -> None:
    assert_fault(client.patch(CHECK), 405, "methodNotAllowed")
    assert_run_error(client.patch(RUNS), 405, "BAD_REQUEST")
    assert_fault(app.test_client().patch(CHECK), 401, "unauthorizedError")
    assert_run_error(app.test_client().patch(RUNS), 403, "FORBIDDEN")
    stranger = authorized(app, make_key(OBSERVER, tenant="654321"))
    assert_fault(stranger.patch(CHECK), 403, "forbiddenError")


def test_what_fails_within_leaves_no_trace_in_the_answer(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("secret inner workings")

    monkeypatch.setattr("notifhist.store.history.reading.list_items", fail)
    monkeypatch.setattr("notifhist.store.counted.pages.RecordsPage", fail)
    fault = client.get(CHECK)
    assert_fault(fault, 500, "internalError")
    assert_run_error(error := client.get(RUNS), 500, "UNHANDLED_EXCEPTION")
    assert read_xml(client.get(CHECK, headers={"Accept": XML}), 500).findtext("type") == "internalError"
    for response in (fault, error):
        assert b"secret" not in response.data
        assert b"Traceback" not in response.data


def test_a_broken_rule_of_the_database_is_no_outage(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise peewee.IntegrityError("secret")

    monkeypatch.setattr("notifhist.store.history.reading.list_checks", fail)
    assert_fault(client.get(CHECK.rpartition("/")[0]), 500, "internalError")
