"""The feeds: what alerting tools send becomes items (docs/contract.md, "Feeds")."""

import gzip
import json
import zlib
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from notifhist.feeds.feed import MAX_ITEMS
from notifhist.serializers.bodies import MAX_BODY_BYTES
from tests.conftest import NOW_MS, TENANT, MakeApp, MakeKey, authorized
from tests.feed_items import NOTIFICATION, SILENCED, WEBHOOK, changed, event_of, webhook_of
from tests.http.helpers import assert_fault

WEBHOOKS, EVENTS = "/feeds/alertmanager", "/feeds/alertmanager-events"
CHECK = "/entities/db3.example.net:9100/alarms/DiskWillFill/notification_history/4b505781b5da03ab"
WHEN = "from=2026-11-26&to=2026-11-28"


TYPES = {
    400: "badRequest",
    403: "forbiddenError",
    404: "notFoundError",
    405: "methodNotAllowed",
    413: "requestTooLargeError",
    415: "unsupportedMediaType",
    429: "rateLimitReached",
}


def assert_error(response: TestResponse, status: int) -> None:
    assert_fault(response, status, TYPES[status])


def told(created: int = 0, merged: int = 0, **ignored: int) -> dict[str, Any]:
    return {"created": created, "merged": merged, "ignored": ignored}


def items(client: FlaskClient, query: str = "", check: str = CHECK) -> list[dict[str, Any]]:
    """Return the items of a check, newest first."""
    values: list[dict[str, Any]] = client.get(f"{check}?reverse=true&{query}").get_json()["values"]
    return values


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("prefix", ["", f"/v1.0/{TENANT}"])
def test_a_webhook_becomes_an_item(client: FlaskClient, method: str, prefix: str) -> None:
    answer = client.open(prefix + WEBHOOKS, method=method, json=WEBHOOK)
    assert (answer.status_code, answer.get_json()) == (200, told(1))
    (item,) = items(client)
    assert item["timestamp"] == NOW_MS
    assert item["source"]["groupKey"] == WEBHOOK["groupKey"]
    assert "success" not in item["notification_results"][0]


def test_its_delivery_is_listed_with_an_unknown_outcome(client: FlaskClient) -> None:
    client.post(WEBHOOKS, json=WEBHOOK)
    (delivery,) = client.get("/deliveries").get_json()["values"]
    assert (delivery["entity_id"], delivery["outcome"]) == ("db3.example.net:9100", "unknown")


def test_events_become_items_and_repeated_ones_change_nothing(client: FlaskClient) -> None:
    assert client.post(EVENTS, json=[NOTIFICATION, SILENCED]).get_json() == told(2)
    assert client.post(EVENTS, json=NOTIFICATION).get_json() == told(known=1)
    assert client.post(EVENTS, json=SILENCED).get_json() == told(same_suppression=1)
    newest, oldest = items(client, WHEN)
    assert newest["suppressions"] == ["0d3a7f4e-5b0c-4f2a-8e55-1f2f8a4b6c77"]
    assert oldest["notification_results"][0]["success"] is True


def test_a_suppression_at_each_evaluation_is_one_item_until_something_is_sent(client: FlaskClient) -> None:
    silenced = SILENCED["data"]["silenceMutedAlert"]
    for minute in range(3):
        client.post(EVENTS, json=event_of("silenceMutedAlert", silenced, f"2026-11-26T23:0{minute}:00Z"))
    assert len(items(client, WHEN)) == 1
    client.post(EVENTS, json={**NOTIFICATION, "@timestamp": "2026-11-26T23:30:00Z"})
    client.post(EVENTS, json=event_of("silenceMutedAlert", silenced, "2026-11-26T23:40:00Z"))
    assert [bool(item.get("suppressions")) for item in items(client, WHEN)] == [True, False, True]
    logs = client.get(f"/suppression_logs?{WHEN}").get_json()["values"]
    assert len(logs) == 2


@pytest.mark.parametrize(
    ("later_ms", "answer"), [(0, told(repeated=1)), (59_999, told(repeated=1)), (60_000, told(1)), (200_000, told(1))]
)
def test_an_equal_webhook_within_a_minute_is_a_repetition(
    make_app: MakeApp, key: str, later_ms: int, answer: dict[str, Any]
) -> None:
    assert authorized(make_app(), key).post(WEBHOOKS, json=WEBHOOK).get_json() == told(1)
    later = authorized(make_app(NOW=str(NOW_MS + later_ms)), key)
    assert later.post(WEBHOOKS, json=WEBHOOK).get_json() == answer


def test_two_receivers_of_an_alert_may_both_send_again(client: FlaskClient) -> None:
    bodies = [webhook_of({}, receiver=receiver) for receiver in ("ops", "dev")]
    assert [client.post(WEBHOOKS, json=body).get_json() for body in bodies] == [told(1), told(1)]
    assert [client.post(WEBHOOKS, json=body).get_json() for body in bodies] == [told(repeated=1), told(repeated=1)]


def test_the_resolution_is_no_repetition(client: FlaskClient) -> None:
    client.post(WEBHOOKS, json=WEBHOOK)
    resolved = webhook_of({"status": "resolved", "endsAt": "2026-11-26T21:30:00Z"}, status="resolved")
    assert client.post(WEBHOOKS, json=resolved).get_json() == told(1)
    assert {item["state"] for item in items(client)} == {"firing", "resolved"}


def test_how_long_is_a_setting(make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(FEED_DEDUP_S=0), key)
    for _ in range(2):
        assert client.post(WEBHOOKS, json=WEBHOOK).get_json()["ignored"].keys() <= {"known"}
    later = authorized(make_app(FEED_DEDUP_S=0, NOW=str(NOW_MS + 1)), key)
    assert later.post(WEBHOOKS, json=WEBHOOK).get_json() == told(1)


def test_the_url_chooses_entity_and_alarm(client: FlaskClient) -> None:
    client.post(f"{WEBHOOKS}?entity=rack,%20job&entity=instance&alarm=severity", json=WEBHOOK)
    assert len(items(client, check="/entities/node/alarms/critical/notification_history/4b505781b5da03ab")) == 1


def test_one_item_for_a_group(client: FlaskClient) -> None:
    body = webhook_of({"fingerprint": "a"}, {"fingerprint": "b"})
    assert client.post(f"{WEBHOOKS}?per=group", json=body).get_json() == told(1)
    (item,) = items(client, check=f"{CHECK.rpartition('/')[0]}/group")
    assert item["source"]["alert_count"] == 2


def test_a_thousand_alerts_are_recorded_and_one_item_more(client: FlaskClient) -> None:
    alerts = [{"fingerprint": f"{n:016x}", "labels": {"instance": f"i{n}"}} for n in range(1003)]
    assert client.post(WEBHOOKS, json=webhook_of(*alerts)).get_json() == told(1001)
    assert client.post(WEBHOOKS, json=webhook_of(*alerts)).get_json() == told(repeated=1001)
    assert client.get("/deliveries").get_json()["metadata"]["total"] == 1001


def test_what_comes_after_a_thousand_items_is_counted(client: FlaskClient) -> None:
    silenced = SILENCED["data"]["silenceMutedAlert"]
    alert = silenced["mutedAlert"]
    events = [
        event_of("silenceMutedAlert", {**silenced, "mutedAlert": {**alert, "fingerprint": str(n)}})
        for n in range(1, MAX_ITEMS + 6)
    ]
    assert client.post(EVENTS, json=events).get_json() == told(MAX_ITEMS, too_many=5)
    assert client.post(EVENTS, json=events[-5:]).get_json() == told(5)


@pytest.mark.parametrize(
    ("url", "body", "reason"),
    [
        (WEBHOOKS, {"hello": "world"}, "no_notification"),
        (WEBHOOKS, [], "no_notification"),
        (EVENTS, event_of("alertCreated", {}), "event_type"),
        (EVENTS, 7, "no_event"),
    ],
)
def test_odd_content_is_answered_200_and_counted(client: FlaskClient, url: str, body: Any, reason: str) -> None:
    answer = client.post(f"{url}?per=none&entity=%00", json=body, headers={"Accept": "image/png"})
    assert (answer.status_code, answer.get_json()) == (200, told(**{reason: 1}))
    assert answer.content_type == "application/json"
    feed = url.rpartition("/")[2]
    metrics = client.get("/metrics").text
    assert f'notifhist_feed_ignored_total{{feed="{feed}",reason="{reason}"}} 1.0' in metrics
    assert f'notifhist_feed_records_total{{feed="{feed}"}} 0.0' in metrics


def test_what_is_recorded_is_counted(client: FlaskClient) -> None:
    client.post(EVENTS, json=[NOTIFICATION, SILENCED])
    metrics = client.get("/metrics").text
    assert 'notifhist_feed_records_total{feed="alertmanager-events"} 2.0' in metrics
    assert 'notifhist_recorded_total{kind="item"} 2.0' in metrics
    assert 'notifhist_deliveries_total{outcome="sent",type="slack"} 1.0' in metrics


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_bodies_may_be_packed(client: FlaskClient, coding: str, pack: Any) -> None:
    packed = pack(json.dumps(WEBHOOK).encode())
    headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
    assert client.post(WEBHOOKS, data=packed, headers=headers).get_json() == told(1)
    assert_error(client.post(WEBHOOKS, data=b"no " + packed, headers=headers), 400)


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b'{"alerts": [NaN]}', {}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Type": "application/xml"}, 415),
        (b"{}", {"Content-Encoding": "snappy"}, 415),
        (b"{}", {"Content-Type": "application/json; charset=utf-8"}, 200),
        (b'"' + b"x" * (16 * 1024 * 1024) + b'"', {}, 413),
        (gzip.compress(b"x" * (16 * 1024 * 1024 + 1)), {"Content-Encoding": "gzip"}, 413),
    ],
    ids=["empty", "cut", "NaN", "text", "xml", "snappy", "charset", "large", "unpacks to more"],
)
def test_what_does_not_parse_is_refused(client: FlaskClient, data: bytes, headers: dict[str, str], status: int) -> None:
    answer = client.post(WEBHOOKS, data=data, headers={"Content-Type": "application/json", **headers})
    if status == 200:
        assert answer.status_code == 200
    else:
        assert_error(answer, status)


def test_a_payload_may_be_larger_than_a_document(client: FlaskClient) -> None:
    alert = {"annotations": {"summary": "x" * (MAX_BODY_BYTES + 1)}}
    assert client.post(WEBHOOKS, json=webhook_of(alert)).get_json() == told(1)


def test_the_feeds_have_a_limit_of_their_own(make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(HISTORY_RATE_LIMIT="2/hour", FEED_RATE_LIMIT="3/hour"), key)
    for _ in range(3):
        assert client.post(WEBHOOKS, json=WEBHOOK).status_code == 200
    refused = client.post(WEBHOOKS, json=WEBHOOK)
    assert_error(refused, 429)
    assert "Retry-After" in refused.headers
    assert client.get("/limits").get_json()["rate"]["global"]["used"] == 1


def test_without_a_limit_none_is_shown(client: FlaskClient) -> None:
    assert "X-RateLimit-Limit" not in client.post(WEBHOOKS, json=WEBHOOK).headers


def test_a_key_belongs_to_a_tenant(app: Flask, make_key: MakeKey) -> None:
    theirs = authorized(app, make_key(tenant="acme"))
    assert_error(theirs.post(f"/v1.0/{TENANT}{WEBHOOKS}", json=WEBHOOK), 403)
    assert theirs.post(f"/v1.0/acme{WEBHOOKS}", json=WEBHOOK).get_json() == told(1)
    assert_error(authorized(app, make_key("monitoring:observer")).post(WEBHOOKS, json=WEBHOOK), 403)


def test_basic_credentials_will_do(app: Flask, key: str) -> None:
    answer = app.test_client().post(WEBHOOKS, json=WEBHOOK, auth=("anybody", key))
    assert answer.get_json() == told(1)


@pytest.mark.parametrize("path", ["/feeds", "/feeds/none", f"{WEBHOOKS}/more"])
def test_other_urls_are_no_feeds(client: FlaskClient, path: str) -> None:
    assert_error(client.post(path, json=WEBHOOK), 404)


def test_feeds_are_not_read(client: FlaskClient) -> None:
    answer = client.get(WEBHOOKS)
    assert_error(answer, 405)
    assert answer.headers["Allow"] == "POST, PUT"


def test_the_host_is_checked(make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(ALLOWED_HOSTS="history.example.net"), key)
    assert_error(client.post(WEBHOOKS, json=WEBHOOK), 400)


def test_an_item_of_a_feed_is_one_as_any_other(client: FlaskClient) -> None:
    client.post(WEBHOOKS, json=changed(WEBHOOK))
    (item,) = items(client)
    assert client.get(f"{CHECK}/{item['id']}").get_json() == item
    assert client.get(f"{CHECK}/{item['id']}", headers={"Accept": "application/xml"}).status_code == 200
    assert client.delete(f"{CHECK}/{item['id']}").status_code == 204
    assert client.post(WEBHOOKS, json=WEBHOOK).get_json() == told(1)
