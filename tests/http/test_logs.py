"""Notification logs: recorded, replaced and answered by the rules of the runs, beside them."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from notifhist.clock import Clock
from notifhist.schemas.fields import INT64
from notifhist.store.database import Database
from notifhist.transfer.export import export_lines
from notifhist.transfer.load import Loader, find_sources
from tests.conftest import NOW, MakeApp, MakeKey, authorized
from tests.http.helpers import (
    JSON,
    LOGS,
    RUNS,
    XML,
    assert_run_error,
    get_json,
    get_xml,
    log_of,
    post,
    read_xml,
    run_of,
    send,
)

HOST = "http://localhost"
NOW_ISO = NOW.replace("Z", ".000Z")
EARLIER = "2011-11-09T01:00:00.123Z"
FULL: dict[str, Any] = {
    "dateCreated": "2011-11-09T01:00:00.000Z",
    "dateDelivered": "2011-11-09T01:00:00.002Z",
    "dateUpdated": "2011-11-09T01:00:00.001Z",
    "errorMessage": "e",
    "failedReason": "CHANNEL_NOT_FOUND",
    "id": 9,
    "ignoredReason": "DUPLICATE",
    "medium": "MICROSOFT_TEAMS",
    "recipientChannel": "Operations",
    "recipientEmail": "noor@example.com",
    "recipientEntityId": 5,
    "recipientType": "TEAM",
    "recipientUserId": 6,
    "runId": 7,
    "status": "FAILED",
    "type": "WEEKLY_REPORT",
}


def loaded(response: Any) -> Any:
    return json.loads(response.data)


def test_without_logs_the_page_is_empty(client: FlaskClient) -> None:
    assert client.get(LOGS).data == b'{"logs":[],"page":0,"total":0,"totalPages":0}'
    root = get_xml(client, LOGS)
    assert len(root.findall("values/*")) == 0
    assert [each.text for each in root.iterfind("metadata/*")] == ["0", "0", "0"]


def test_what_is_missing_is_filled_in(client: FlaskClient) -> None:
    response = post(client, LOGS, log_of())
    assert json.dumps(loaded(response)) == json.dumps(
        {
            "dateCreated": NOW_ISO,
            "dateUpdated": NOW_ISO,
            "id": 1,
            "medium": "EMAIL",
            "recipientType": "USER",
            "runId": 1,
            "status": "READY",
            "type": "WEEKLY_REPORT",
        }
    )
    assert response.headers["Location"] == f"{HOST}{LOGS}/1"
    assert client.get(f"{LOGS}/1").data == response.data
    assert loaded(post(client, LOGS, log_of(dateCreated=EARLIER)))["dateUpdated"] == EARLIER


def test_members_come_in_published_order_whatever_was_sent(client: FlaskClient) -> None:
    post(client, LOGS, dict(reversed(FULL.items())))
    assert json.dumps(get_json(client, LOGS)["logs"]) == json.dumps([FULL])
    assert client.get(f"{LOGS}/9").data == json.dumps(FULL, separators=(",", ":")).encode()
    root = get_xml(client, f"{LOGS}/9")
    assert (root.tag, root.get("id")) == ("notification_log", "9")
    assert [(child.tag, child.text) for child in root] == [(n, str(v)) for n, v in FULL.items() if n != "id"]


def test_a_page_has_one_list_and_true_totals(client: FlaskClient) -> None:
    post(client, LOGS, {"logs": [log_of() for _ in range(251)]})
    page = get_json(client, LOGS)
    assert list(page) == ["logs", "page", "total", "totalPages"]
    assert [name for name, value in page.items() if isinstance(value, list)] == ["logs"]
    assert (len(page["logs"]), page["page"], page["total"], page["totalPages"]) == (250, 0, 251, 2)
    assert [log["id"] for log in get_json(client, f"{LOGS}?pageSize=2&page=1")["logs"]] == [249, 248]
    assert [log["id"] for log in get_json(client, f"{LOGS}?pageSize=2&page=125&orderBy=ASC")["logs"]] == [251]
    assert get_json(client, f"{LOGS}?page=2147483647") == {
        "logs": [],
        "page": 2147483647,
        "total": 251,
        "totalPages": 2,
    }
    root = get_xml(client, f"{LOGS}?pageSize=2&page=1")
    assert [log.get("id") for log in root.iterfind("values/notification_log")] == ["249", "248"]
    assert [(each.tag, each.text) for each in root.iterfind("metadata/*")] == [
        *(("page", "1"), ("total", "251"), ("totalPages", "126"))
    ]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        *((name, value) for name in ("runId", "recipientEntityId", "recipientUserId") for value in (*INT64, 0)),
        *((name, "") for name in ("recipientEmail", "recipientChannel", "errorMessage")),
        ("recipientEmail", " Ünï+tag@example.com \u0001<&>🚦\u2028"),
        ("recipientChannel", "#cafe\u0301, \u202e"),
        ("recipientChannel", "#long" * 100_000),  # an index of PostgreSQL would take no more than 2.7 kB
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_member_is_kept_exactly(member: str, value: Any, client: FlaskClient) -> None:
    post(client, LOGS, log_of(id=1, **{member: value}))
    assert get_json(client, f"{LOGS}/1")[member] == value
    assert get_json(client, LOGS)["logs"][0][member] == value


@pytest.mark.parametrize(
    ("members", "paths"),
    [
        (dict.fromkeys(log_of()), ["medium", "recipientType", "runId", "status", "type"]),
        ({"runId": "1"}, ["runId"]),
        ({"runId": 1.5}, ["runId"]),
        ({"runId": INT64[1] + 1, "recipientEntityId": INT64[0] - 1}, ["recipientEntityId", "runId"]),
        ({"recipientUserId": True}, ["recipientUserId"]),
        ({"status": "COMPLETED", "recipientType": "user"}, ["recipientType", "status"]),
        ({"failedReason": "INTERNAL_ERROR", "ignoredReason": "NO_RECIPIENTS"}, ["failedReason", "ignoredReason"]),
        ({"recipientEmail": "a\0", "recipientChannel": "\0"}, ["recipientChannel", "recipientEmail"]),
        ({"recipientEmail": 1, "errorMessage": []}, ["errorMessage", "recipientEmail"]),
        ({"notificationType": "WEEKLY_REPORT"}, ["notificationType"]),
        ({"dateDelivered": "10000-01-01T00:00:00Z"}, ["dateDelivered"]),
    ],
)
def test_what_does_not_fit_is_named_and_not_stored(
    members: dict[str, Any], paths: list[str], client: FlaskClient
) -> None:
    for document in (log_of(**members), {"logs": [log_of(), log_of(**members)]}):
        error = assert_run_error(send(client, "POST", LOGS, document), 400, "BAD_REQUEST")
        prefix = "logs[1]." if "logs" in document else ""
        named = sorted(part.partition(": ")[0] for part in error["details"].split("; "))
        assert named == [prefix + path for path in paths]
    assert_run_error(send(client, "PUT", f"{LOGS}/1", log_of(**members)), 400, "BAD_REQUEST")
    assert get_json(client, LOGS)["total"] == 0


def test_the_same_log_again_changes_nothing_and_other_content_is_a_conflict(client: FlaskClient) -> None:
    first = post(client, LOGS, FULL)
    assert post(client, LOGS, FULL, status=200).data == first.data
    for change in ({"runId": 8}, {"recipientEmail": None}, {"recipientEmail": "NOOR@example.com"}):
        error = assert_run_error(send(client, "POST", LOGS, {**FULL, **change}), 409, "CONFLICT")
        assert (error["message"], "9" in error["details"]) == ("A log of this id exists with other content.", True)
        root = read_xml(send(client, "POST", LOGS, {**FULL, **change}, Accept=XML), 409)
        assert (root.tag, root.findtext("type")) == ("error", "CONFLICT")
    assert_run_error(send(client, "POST", LOGS, {"logs": [log_of(id=1), {**FULL, "runId": 8}]}), 409, "CONFLICT")
    assert get_json(client, LOGS)["logs"] == [FULL]


def test_many_are_recorded_whole_and_numbered_by_themselves(client: FlaskClient) -> None:
    post(client, RUNS, {"runs": [run_of(id=100)]})
    response = post(client, LOGS, {"logs": [log_of(), log_of(id=7), log_of()], "page": 0, "total": "x"})
    assert list(loaded(response)) == ["logs"]
    assert [log["id"] for log in loaded(response)["logs"]] == [8, 7, 9]
    assert response.headers["Location"] == HOST + LOGS
    assert loaded(post(client, LOGS, {"logs": []})) == {"logs": []}
    post(client, LOGS, log_of(id=INT64[1]))
    assert loaded(post(client, LOGS, log_of()))["id"] == 10


def test_xml_is_recorded_with_its_types(client: FlaskClient) -> None:
    members = """<type>WEEKLY_REPORT</type><medium>SLACK</medium><recipientType>TEAM</recipientType>
      <runId>8.0e0</runId><recipientEntityId/><recipientChannel/><status>READY</status>"""
    one = client.post(LOGS, data=f"<notification_log>{members}</notification_log>", content_type=XML)
    assert loaded(one).items() >= {"id": 1, "runId": 8, "recipientChannel": ""}.items()
    assert "recipientEntityId" not in loaded(one)
    many = f'<container><values><notification_log id="4">{members}</notification_log></values></container>'
    root = read_xml(client.post(LOGS, data=many, content_type=XML, headers={"Accept": XML}), 201)
    assert [root.tag, *(child.tag for child in root)] == ["container", "values", "metadata"]
    assert [log.get("id") for log in root.iterfind("values/notification_log")] == ["4"]
    for wrong in ("<notification_log/>", f"<notification_run>{members}</notification_run>", "<logs/>"):
        refused = client.post(LOGS, data=wrong, content_type=XML, headers={"Accept": XML})
        assert read_xml(refused, 400).findtext("type") == "BAD_REQUEST"
    assert get_json(client, LOGS)["total"] == 2


def test_put_creates_and_replaces(client: FlaskClient) -> None:
    created = send(client, "PUT", f"{LOGS}/9", log_of(recipientEmail="a"))
    assert (created.status_code, created.headers["Location"]) == (201, f"{HOST}{LOGS}/9")
    replaced = send(client, "PUT", f"{LOGS}/9", FULL)
    assert (replaced.status_code, replaced.headers.get("Location"), loaded(replaced)) == (200, None, FULL)
    assert get_json(client, f"{LOGS}?recipientEmails=a")["total"] == 0
    assert get_json(client, f"{LOGS}?recipientEmails=noor@example.com&notificationRunIds=7")["total"] == 1
    assert get_json(client, f"{LOGS}?statuses=READY")["total"] == 0
    assert get_json(client, f"{LOGS}?statuses=FAILED&recipientTypes=TEAM")["total"] == 1
    assert_run_error(send(client, "PUT", f"{LOGS}/9", log_of(id=8)), 400, "BAD_REQUEST")


def test_a_log_has_a_tag_and_is_changed_under_conditions(client: FlaskClient) -> None:
    post(client, LOGS, FULL)
    tags = {accept: client.get(f"{LOGS}/9", headers={"Accept": accept}).headers["ETag"] for accept in (JSON, XML)}
    for accept, tag in tags.items():
        unchanged = client.get(f"{LOGS}/9", headers={"Accept": accept, "If-None-Match": tag})
        assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert send(client, "PUT", f"{LOGS}/9", log_of(), If_None_Match="*").status_code == 412
    assert send(client, "PUT", f"{LOGS}/8", log_of(), If_Match="*").status_code == 412
    assert send(client, "PUT", f"{LOGS}/9", log_of(), If_Match=tags[XML]).status_code == 200
    error = assert_run_error(send(client, "PUT", f"{LOGS}/9", FULL, If_Match=tags[XML]), 412, "CONFLICT")
    assert error["message"]
    assert get_json(client, LOGS)["logs"][0]["status"] == "READY"


def test_the_runs_keep_their_url(client: FlaskClient) -> None:
    """Literal parts of a URL win over ids, for each method by itself."""
    post(client, RUNS, run_of(summary="a run"))
    post(client, LOGS, log_of())
    assert get_json(client, RUNS)["runs"][0]["summary"] == "a run"
    assert get_json(client, f"{RUNS}/1")["summary"] == "a run"
    assert client.head(RUNS).headers["Content-Length"] == str(len(client.get(RUNS).data))
    assert get_json(client, f"{LOGS}/1")["runId"] == 1
    error = assert_run_error(send(client, "PUT", RUNS, log_of()), 400, "BAD_REQUEST")
    assert (error["message"], error["details"]) == ("The URL names no log.", "id: Not a valid integer.")
    assert_run_error(send(client, "POST", LOGS, run_of()), 400, "BAD_REQUEST")
    assert_run_error(send(client, "POST", RUNS, log_of()), 400, "BAD_REQUEST")
    assert_run_error(client.get(f"{LOGS}/2"), 404, "NOT_FOUND")
    for url in (f"{LOGS}/one", f"{LOGS}/{INT64[1] + 1}", f"{LOGS}/runs"):
        assert_run_error(client.get(url), 400, "BAD_REQUEST")
    for url in (f"{LOGS}/", f"{LOGS}/1/2"):
        assert_run_error(client.get(url), 404, "NOT_FOUND")
    for method in ("DELETE", "PATCH", "OPTIONS"):
        assert client.open(LOGS, method=method).headers["Allow"] == "GET, HEAD, POST"
        assert client.open(f"{LOGS}/1", method=method).headers["Allow"] == "GET, HEAD, PUT"


def test_another_tenant_s_logs_are_not_found(app: Flask, client: FlaskClient, make_key: MakeKey) -> None:
    other = authorized(app, make_key(tenant="654321"))
    post(client, LOGS, FULL)
    assert_run_error(other.get(f"{LOGS}/9"), 404, "NOT_FOUND")
    assert get_json(other, f"{LOGS}?recipientEmails=noor@example.com")["total"] == 0
    post(other, LOGS, {**FULL, "runId": 8})
    assert get_json(client, f"{LOGS}/9") == FULL
    assert get_json(client, f"{LOGS}?notificationRunIds=7,8")["total"] == 1


def test_runs_and_logs_share_the_roles_and_the_rate_limit(make_app: MakeApp, make_key: MakeKey) -> None:
    client = authorized(make_app(RUNS_RATE_LIMIT="3/minute"), make_key("notification-logs:view"))
    assert_run_error(send(client, "POST", LOGS, log_of()), 403, "FORBIDDEN")  # not counted
    assert [client.get(url).status_code for url in (LOGS, RUNS, LOGS, LOGS, RUNS)] == [200, 200, 200, 429, 429]
    refused = client.get(LOGS)
    assert (refused.content_type, int(refused.headers["Retry-After"])) == ("application/problem+json", 60)


def test_recorded_logs_are_counted_by_the_metrics(client: FlaskClient) -> None:
    assert 'notifhist_recorded_total{kind="log"} 0.0' in client.get("/metrics").text
    post(client, LOGS, {"logs": [log_of(), log_of()]})
    send(client, "PUT", f"{LOGS}/7", log_of())
    send(client, "PUT", f"{LOGS}/7", log_of())
    assert 'notifhist_recorded_total{kind="log"} 3.0' in client.get("/metrics").text


def test_logs_are_exported_and_loaded_in_every_form(
    app: Flask, client: FlaskClient, make_key: MakeKey, db: Database, tmp_path: Path
) -> None:
    post(client, LOGS, {"logs": [FULL, log_of(id=1, recipientEmail="e\u0301 <&>")]})
    page = get_json(client, LOGS)
    exported = b"".join(export_lines(db))
    assert exported.count(b'{"tenant":"123456","log":{"dateCreated"') == 2
    (tmp_path / "export.ndjson").write_bytes(exported.replace(b'"123456"', b'"lines"'))
    for tenant, name, accept in (
        ("json", "logs.json", "*/*"),
        ("xml", "logs.xml", XML),
        ("single", "logs/9.json", "*/*"),
    ):
        file = tmp_path / tenant / "api/v1/notifications" / name
        file.parent.mkdir(parents=True)
        file.write_bytes(client.get(f"{LOGS}/9" if tenant == "single" else LOGS, headers={"Accept": accept}).data)
    for stored, present in ((2 + 2 + 2 + 1, 0), (0, 7)):
        loader = Loader(db, Clock())
        for source in find_sources([tmp_path], None):
            loader.load(source)
        assert (loader.bad, loader.stored, loader.present) == ([], stored, present)
    for tenant in ("lines", "json", "xml"):
        assert get_json(authorized(app, make_key(tenant=tenant)), LOGS) == page
    assert get_json(authorized(app, make_key(tenant="single")), f"{LOGS}?recipientEntityIds=5")["logs"] == [FULL]
