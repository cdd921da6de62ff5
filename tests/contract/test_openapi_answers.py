"""The description is true: real answers of every operation are as it says."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from notifhist.feeds.table import FEEDS
from notifhist.serializers.bodies import MAX_BODY_BYTES
from notifhist.store.database import Database
from notifhist.store.models import HistoryItemRow, NotificationRunRow
from tests.conftest import NOW_MS, MakeApp, MakeKey, authorized
from tests.contract.described import Description, Json
from tests.feed_items import NOTIFICATION, WEBHOOK
from tests.http.delivery_data import DELIVERIES
from tests.http.helpers import ALARM, CHECK, JSON, LOGS, RUNS, XML, id_at, item_at, log_of, run_of

TENANT_URL = "/v1.0/123456"
ENTITY = f"{TENANT_URL}/entities/enOne"
ITEM_ID = id_at(NOW_MS)
ITEM = f"{CHECK}/{ITEM_ID}"
ATTEMPTS = f"{ITEM}/notification_results/ntOne/attempts"
SEEDED_ITEM = item_at(NOW_MS, notification_results=[{"notification_id": "ntOne"}])
SEEDED_RUN = run_of(id=1, notificationObjects=[{"id": 1, "name": "n", "type": "ENTITY"}])
SEEDED_LOG = log_of(id=1, recipientEmail="a@example.com", recipientEntityId=2)
Ask = Callable[[FlaskClient], TestResponse]


def ask(method: str, url: str, body: Any = None, **headers: str) -> Ask:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    content_type = names.pop("Content-Type", JSON)
    data = body if isinstance(body, bytes) or body is None else json.dumps(body)
    return lambda client: client.open(url, method=method, data=data, content_type=content_type, headers=names)


# What is asked of a store that has SEEDED_ITEM, SEEDED_RUN and SEEDED_LOG, one after the other.
ANSWERS: list[tuple[str, int, Ask]] = [
    ("list_checks", 200, ask("GET", ALARM)),
    ("list_checks", 400, ask("GET", ALARM.replace("enOne", "en%00"))),
    ("get_limits", 200, ask("GET", f"{TENANT_URL}/limits")),
    ("latest_alarm_states", 200, ask("GET", f"{TENANT_URL}/views/latest_alarm_states")),
    ("list_entities", 200, ask("GET", f"{TENANT_URL}/entities")),
    ("list_entities", 400, ask("GET", f"{TENANT_URL}/entities?marker=%00")),
    ("get_entity", 200, ask("GET", ENTITY)),
    ("get_entity", 304, ask("GET", ENTITY, If_None_Match="*")),
    ("get_entity", 404, ask("GET", f"{ENTITY}x")),
    ("list_alarms", 200, ask("GET", f"{ENTITY}/alarms")),
    ("get_alarm", 200, ask("GET", f"{ENTITY}/alarms/alOne")),
    ("get_alarm", 304, ask("GET", f"{ENTITY}/alarms/alOne", If_None_Match="*")),
    ("list_entity_checks", 200, ask("GET", f"{ENTITY}/checks")),
    ("list_entity_checks", 404, ask("GET", f"{ENTITY}x/checks")),
    ("get_check", 200, ask("GET", f"{ENTITY}/checks/chOne")),
    ("get_check", 304, ask("GET", f"{ENTITY}/checks/chOne", If_None_Match="*")),
    ("list_items", 200, ask("GET", CHECK)),
    ("list_items", 400, ask("GET", f"{CHECK}?limit=0")),
    ("list_items", 406, ask("GET", CHECK, Accept="image/png")),
    ("list_items_of_own_tenant", 200, ask("GET", CHECK.removeprefix("/v1.0/123456"))),
    ("get_item", 200, ask("GET", ITEM)),
    ("get_item", 304, ask("GET", ITEM, If_None_Match="*")),
    ("get_item", 404, ask("GET", f"{CHECK}/{id_at(NOW_MS, 9)}")),
    ("record_items", 201, ask("POST", CHECK, item_at(NOW_MS, 1, suppressions=["spOne", "spTwo"]))),
    ("record_items", 201, ask("POST", CHECK, {"values": [item_at(NOW_MS, 2)]})),
    ("record_items", 200, ask("POST", CHECK, SEEDED_ITEM)),
    ("record_items", 400, ask("POST", CHECK, {"state": 1})),
    ("record_items", 415, ask("POST", CHECK, b"x", Content_Type="text/csv")),
    ("list_deliveries", 200, ask("GET", DELIVERIES)),
    ("list_deliveries", 200, ask("GET", f"{DELIVERIES}?limit=1&q=nt&state=OK&reverse=true")),
    ("list_deliveries", 200, ask("GET", DELIVERIES, Accept="text/csv")),
    ("list_deliveries", 200, ask("GET", f"{DELIVERIES}?rows=attempts&limit=1", Accept="application/x-ndjson")),
    ("list_deliveries", 400, ask("GET", f"{DELIVERIES}?outcome=delivered")),
    ("list_deliveries", 406, ask("GET", DELIVERIES, Accept="image/png")),
    ("count_deliveries", 200, ask("GET", f"{DELIVERIES}/counts?by=state")),
    ("count_deliveries", 400, ask("GET", f"{DELIVERIES}/counts?interval=1m")),
    ("list_receivers", 200, ask("GET", f"{DELIVERIES}/receivers")),
    ("list_receivers", 406, ask("GET", f"{DELIVERIES}/receivers", Accept="text/csv")),
    ("add_attempt", 201, ask("POST", ATTEMPTS, {"message": "ok"})),
    ("add_attempt", 404, ask("POST", ATTEMPTS.replace("chOne", "chNone"), {})),
    ("replace_item", 201, ask("PUT", f"{CHECK}/{id_at(NOW_MS, 3)}", item_at(NOW_MS, 3))),
    ("replace_item", 200, ask("PUT", ITEM, item_at(NOW_MS))),
    ("replace_item", 413, ask("PUT", ITEM, b'"%s"' % (b"x" * MAX_BODY_BYTES))),
    ("delete_item", 204, ask("DELETE", ITEM)),
    ("delete_item", 404, ask("DELETE", ITEM)),
    ("list_changelogs", 200, ask("GET", "/v1.0/123456/changelogs/alarms")),
    ("list_changelogs", 400, ask("GET", "/v1.0/123456/changelogs/alarms?entityId=")),
    ("list_suppression_logs", 200, ask("GET", "/v1.0/123456/suppression_logs")),
    *(
        (
            f"{method.lower()}_{feed.name.replace('-', '_')}",
            status,
            ask(method, f"/feeds/{feed.name}{feed.push_path}", body),
        )
        for feed in FEEDS
        for method in ("POST", "PUT")
        for status, body in ((200, {}), (400, b"{"))
    ),
    ("post_alertmanager", 200, ask("POST", f"{TENANT_URL}/feeds/alertmanager?per=group", WEBHOOK)),
    ("post_alertmanager", 415, ask("POST", f"{TENANT_URL}/feeds/alertmanager", b"x", Content_Type="text/csv")),
    ("post_alertmanager_events", 200, ask("POST", f"{TENANT_URL}/feeds/alertmanager-events", NOTIFICATION)),
    ("get_grafana_labels", 200, ask("GET", f"{TENANT_URL}/feeds/grafana/loki/api/v1/labels")),
    ("list_runs", 200, ask("GET", f"{RUNS}?includeObjects=true")),
    ("list_runs", 406, ask("GET", RUNS, Accept="image/png")),
    ("get_run", 200, ask("GET", f"{RUNS}/1")),
    ("get_run", 304, ask("GET", f"{RUNS}/1", If_None_Match="*")),
    ("get_run", 400, ask("GET", f"{RUNS}/one")),
    ("get_run", 404, ask("GET", f"{RUNS}/9")),
    ("record_runs", 201, ask("POST", RUNS, run_of())),
    ("record_runs", 201, ask("POST", RUNS, {"runs": [run_of(), run_of()]})),
    ("record_runs", 200, ask("POST", RUNS, SEEDED_RUN)),
    ("record_runs", 400, ask("POST", RUNS, {"status": 1})),
    ("record_runs", 409, ask("POST", RUNS, run_of(id=1, summary="other"))),
    ("record_runs", 415, ask("POST", RUNS, b"x", Content_Type="text/csv")),
    ("replace_run", 201, ask("PUT", f"{RUNS}/7", run_of())),
    ("replace_run", 200, ask("PUT", f"{RUNS}/1", run_of())),
    ("replace_run", 413, ask("PUT", f"{RUNS}/1", b'"%s"' % (b"x" * MAX_BODY_BYTES))),
    ("list_logs", 200, ask("GET", f"{LOGS}?recipientEmails=a@example.com&recipientEntityIds=2,3")),
    ("list_logs", 400, ask("GET", f"{LOGS}?notificationRunIds=one")),
    ("get_log", 200, ask("GET", f"{LOGS}/1")),
    ("get_log", 304, ask("GET", f"{LOGS}/1", If_None_Match="*")),
    ("get_log", 404, ask("GET", f"{LOGS}/9")),
    ("record_logs", 201, ask("POST", LOGS, log_of())),
    ("record_logs", 201, ask("POST", LOGS, {"logs": [log_of(), log_of()]})),
    ("record_logs", 200, ask("POST", LOGS, SEEDED_LOG)),
    ("record_logs", 409, ask("POST", LOGS, log_of(id=1, runId=2))),
    ("replace_log", 201, ask("PUT", f"{LOGS}/7", log_of())),
    ("replace_log", 200, ask("PUT", f"{LOGS}/1", log_of())),
    ("replace_log", 400, ask("PUT", RUNS, log_of())),
    ("healthz", 200, ask("GET", "/healthz")),
    ("readyz", 200, ask("GET", "/readyz")),
    ("metrics", 200, ask("GET", "/metrics")),
    ("openapi", 200, ask("GET", "/openapi.json")),
    ("xsd", 200, ask("GET", "/schemas/notification_history.xsd")),
]
in_each_format = pytest.mark.parametrize("accept", [JSON, XML, "text/xml"])


def seed(client: FlaskClient) -> None:
    for url, document in ((CHECK, SEEDED_ITEM), (RUNS, SEEDED_RUN), (LOGS, SEEDED_LOG)):
        assert client.post(url, json=document).status_code == 201


def assert_described(
    client: FlaskClient, accept: str, description: Description, expected: tuple[str, int, Ask]
) -> None:
    operation_id, status, sent = expected
    client.environ_base["HTTP_ACCEPT"] = accept
    response = sent(client)
    assert response.status_code == status, f"{operation_id}: {response.text}"
    described = description.response(operation_id, status)
    description.assert_fits(response, described)
    if accept in described.get("content", {}) and response.request.headers["Accept"] == accept:
        assert response.mimetype == accept


@in_each_format
def test_answers_are_as_described(client: FlaskClient, description: Description, accept: str) -> None:
    seed(client)
    for expected in ANSWERS:
        assert_described(client, accept, description, expected)


def test_every_described_success_is_among_the_answers_above(description: Description) -> None:
    described = {
        (operation["operationId"].removesuffix("_of_own_tenant"), int(status))
        for _, _, operation in description.operations()
        for status in operation["responses"]
        if int(status) < 400
    }
    assert described <= {(operation_id, status) for operation_id, status, _ in ANSWERS}


def keyed(description: Description) -> list[tuple[str, str, str, Json]]:
    """Return id, method, a URL, and the responses of each operation that needs a key."""
    return [
        (operation["operationId"], method, re.sub(r"{\w+}", "123456", path), operation)
        for path, method, operation in description.operations()
        if "security" in operation
    ]


@in_each_format
def test_refusals_are_as_described(app: Flask, make_key: MakeKey, description: Description, accept: str) -> None:
    nobody, other = app.test_client(), authorized(app, make_key("no:role"))
    for operation_id, method, url, operation in keyed(description):
        without_key = 401 if "401" in operation["responses"] else 403
        for client, status in ((nobody, without_key), (other, 403)):
            assert_described(client, accept, description, (operation_id, status, ask(method.upper(), url)))


@in_each_format
def test_a_method_that_is_unknown_is_refused_as_described(
    client: FlaskClient, description: Description, accept: str
) -> None:
    for url, name in ((ALARM, "fault405"), (RUNS, "error405")):
        response = client.patch(url, headers={"Accept": accept})
        assert (response.status_code, response.mimetype) == (405, accept)
        description.assert_fits(response, description.document["components"]["responses"][name])


@in_each_format
def test_a_limit_that_is_reached_is_told_as_described(
    make_app: MakeApp, key: str, description: Description, accept: str
) -> None:
    client = authorized(make_app(HISTORY_RATE_LIMIT="1/day", RUNS_RATE_LIMIT="1/day"), key)
    for operation_id, url in (("list_items", CHECK), ("list_runs", RUNS)):
        for status in (200, 429):
            assert_described(client, accept, description, (operation_id, status, ask("GET", url)))


@in_each_format
def test_a_fault_of_the_service_is_told_as_described(
    client: FlaskClient, db: Database, description: Description, accept: str
) -> None:
    seed(client)
    db.execute(HistoryItemRow.update(document="no JSON", xml=None))
    db.execute(NotificationRunRow.update(document="no JSON"))
    broken = [("add_attempt", ask("POST", ATTEMPTS, {})), ("record_runs", ask("POST", RUNS, SEEDED_RUN))]
    if accept != JSON:  # kept JSON goes out unread
        broken += [("get_item", ask("GET", ITEM)), ("get_run", ask("GET", f"{RUNS}/1"))]
    for operation_id, sent in broken:
        assert_described(client, accept, description, (operation_id, 500, sent))
    for operation_id, method, _, operation in keyed(description):
        is_history = "401" in operation["responses"]
        if method == "get":
            like = "get_item" if is_history else "get_run"
        else:
            like = "add_attempt" if is_history else "record_runs"
        assert description.response(operation_id, 500) == description.response(like, 500)


@in_each_format
def test_a_database_that_is_gone_is_told_as_described(storeless: Flask, description: Description, accept: str) -> None:
    client = storeless.test_client()
    for operation_id, method, url, _ in keyed(description):
        assert_described(client, accept, description, (operation_id, 503, ask(method.upper(), url)))
    assert_described(client, accept, description, ("readyz", 503, ask("GET", "/readyz")))
