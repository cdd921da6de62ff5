"""Grafana's pushes over HTTP."""

import gzip
import json
import sys
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cramjam
import pytest
from flask.testing import FlaskClient

from tests.conftest import TENANT, MakeApp, MakeKey, authorized
from tests.feed_pushes import alert_line, event_line, in_protobuf, push_of
from tests.http.helpers import JSON, assert_fault, get_json, post
from tests.payloads import FIRST_PUSH, PUSHES, packed_push, payload

FEED = f"/v1.0/{TENANT}/feeds/grafana/loki/api/v1"
PUSH = f"{FEED}/push"
PROTOBUF = "application/x-protobuf"
LIMIT = 16 * 1024 * 1024
SNAPPY = {"Content-Encoding": "snappy"}


def history_of(mapped: dict[str, Any], tenant: str) -> str:
    """Return the URL of the history of the check that an item belongs to."""
    place = f"entities/{mapped['entity_id']}/alarms/{mapped['alarm_id']}"
    return f"/v1.0/{tenant}/{place}/notification_history/{mapped['check_id']}?from=0&to=1800000000000"


def pushed(client: FlaskClient, body: bytes, content_type: str = JSON, coding: str = "") -> Any:
    headers = {"Content-Encoding": coding} if coding else {}
    response = client.post(PUSH, data=body, content_type=content_type, headers=headers)
    assert response.status_code == 200, response.text
    return response.json


@pytest.fixture
def acme(make_app: MakeApp, make_key: MakeKey) -> FlaskClient:
    """A client of the tenant whose history the vectors are."""
    return authorized(make_app(), make_key("monitoring:creator", tenant="acme"))


def test_the_pushes_of_three_attempts_become_the_published_item(acme: FlaskClient) -> None:
    expected = payload("grafana-loki.mapped")
    for name in reversed(PUSHES):
        post(acme, "/v1.0/acme/feeds/grafana/loki/api/v1/push", payload(name), 200)
    assert get_json(acme, history_of(expected, "acme"))["values"] == [expected["item"]]


def test_a_push_in_protobuf_and_snappy_is_the_same_as_in_json(client: FlaskClient) -> None:
    told = pushed(client, packed_push(), PROTOBUF, "snappy")
    assert told == {"created": 1, "merged": 0, "ignored": {}}
    body = json.dumps(payload(FIRST_PUSH)).encode()
    for packed, coding in ((body, ""), (gzip.compress(body), "gzip"), (zlib.compress(body), "deflate")):
        assert pushed(client, packed, JSON, coding) == {"created": 0, "merged": 0, "ignored": {"known": 1}}


def test_protobuf_may_be_packed_otherwise_or_not_at_all(client: FlaskClient) -> None:
    body = in_protobuf(push_of(event_line(), alert_line(0)))
    assert pushed(client, body, PROTOBUF)["created"] == 1
    assert pushed(client, gzip.compress(body), PROTOBUF, "gzip")["ignored"] == {"known": 1}


def test_the_key_may_come_as_a_password(make_app: MakeApp, make_key: MakeKey) -> None:
    client, credentials = make_app().test_client(), b64encode(f"acme:{make_key()}".encode()).decode()
    headers = {**SNAPPY, "Authorization": f"Basic {credentials}", "X-Scope-OrgID": "1"}
    response = client.post(PUSH, data=packed_push(), content_type=PROTOBUF, headers=headers)
    assert response.status_code == 200
    bare = client.get("/feeds/grafana/loki/api/v1/labels", headers={"Authorization": headers["Authorization"]})
    assert bare.json == {"status": "success", "data": []}


def test_what_grafana_asks_at_its_start_is_answered(client: FlaskClient) -> None:
    assert get_json(client, f"{FEED}/labels") == {"status": "success", "data": []}


@pytest.mark.parametrize("path", ["query_range?query={from=%22notify-history-events%22}", "query"])
def test_it_cannot_be_queried_as_loki(client: FlaskClient, path: str) -> None:
    assert_fault(client.get(f"{FEED}/{path}"), 404, "notFoundError")


def test_lines_it_does_not_know_are_counted(client: FlaskClient) -> None:
    push = push_of(event_line(schemaVersion=1), event_line(schemaVersion=3), alert_line(0), event_line(uuid="u2"))
    push["streams"] += push_of(event_line(), stream="state-history")["streams"]
    ignored = {"alert_without_event": 1, "schema_1": 1, "unknown_schema": 1, "unknown_stream": 1}
    assert post(client, PUSH, push, 200).json == {"created": 1, "merged": 0, "ignored": ignored}
    metrics = client.get("/metrics").text
    assert 'notifhist_feed_ignored_total{feed="grafana",reason="schema_1"} 1.0' in metrics


@pytest.mark.parametrize(
    ("body", "content_type", "coding", "status"),
    [
        (b"{", JSON, "", 400),
        (b"", JSON, "", 400),
        (b"no protobuf", PROTOBUF, "", 400),
        (b"\x05abc", PROTOBUF, "snappy", 400),
        (b"", PROTOBUF, "snappy", 400),
        (packed_push()[:-1], PROTOBUF, "snappy", 400),
        (packed_push(), JSON, "snappy", 400),
        (packed_push(), "application/xml", "snappy", 415),
        (packed_push(), PROTOBUF, "zstd", 415),
        (bytes(LIMIT + 1), PROTOBUF, "", 413),
        (gzip.compress(bytes(LIMIT + 1)), PROTOBUF, "gzip", 413),
        (bytes(cramjam.snappy.compress_raw(bytes(LIMIT + 1))), PROTOBUF, "snappy", 413),
    ],
    ids=range(12),
)
def test_what_does_not_parse_is_refused(
    client: FlaskClient, body: bytes, content_type: str, coding: str, status: int
) -> None:
    headers = {"Content-Encoding": coding} if coding else {}
    response = client.post(PUSH, data=body, content_type=content_type, headers=headers)
    assert response.status_code == status, response.text
    assert json.loads(response.data)["code"] == str(status)


@contextmanager
def without(module: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make a module one that is not installed."""
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, module, None)
        yield


def test_without_the_extra_the_answer_says_what_to_install(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, coding in (("cramjam", "snappy"), ("google.protobuf.message", "gzip")):
        body = packed_push() if coding == "snappy" else gzip.compress(b"\0")
        with without(module, monkeypatch):
            response = client.post(PUSH, data=body, content_type=PROTOBUF, headers={"Content-Encoding": coding})
        assert "pip install 'notifhist[grafana]'" in assert_fault(response, 415, "unsupportedMediaType")["details"]
        assert json.loads(post(client, PUSH, push_of(), 200).data)["created"] == 0
