"""An item that is put or deleted by its URL."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import NOW_MS
from tests.http.helpers import ALARM, CHECK, XML, assert_fault, get_json, id_at, item_at, post, send, text

HOST = "http://localhost"
ID = id_at(NOW_MS)
URL = f"{CHECK}/{ID}"
SHORT = {"state": "OK", "notification_results": []}


# PUT


def test_put_creates_and_then_replaces(client: FlaskClient) -> None:
    created = send(client, "PUT", URL, {**SHORT, "in_progress": True})
    assert (created.status_code, created.headers["Location"]) == (201, HOST + URL)
    assert text(created) == json.dumps({"id": ID, "timestamp": NOW_MS, **SHORT, "in_progress": True})
    whole = {"notification_results": [{"success": True}], "timestamp": NOW_MS, "id": ID, "state": "OK"}
    for _ in range(2):
        replaced = send(client, "PUT", URL, whole)
        assert (replaced.status_code, replaced.headers.get("Location")) == (200, None)
        assert text(replaced) == text(client.get(URL)) == json.dumps(whole)
    assert get_json(client, CHECK)["metadata"]["count"] == 1


def test_put_replaces_what_was_posted_and_in_xml(client: FlaskClient) -> None:
    post(client, CHECK, item_at(NOW_MS, zone="ord"))
    xml = f"""<alarm_notification_history_item id="{ID.upper()}"><state>OK</state><notification_results/>
      </alarm_notification_history_item>"""
    response = client.put(URL.upper().replace(CHECK.upper(), CHECK), data=xml, content_type=XML)
    assert response.status_code == 200
    assert text(response) == json.dumps({"id": ID, "timestamp": NOW_MS, **SHORT})
    assert get_json(client, URL) == json.loads(response.data)


@pytest.mark.parametrize(
    ("url", "members"),
    [
        (URL, {"id": id_at(NOW_MS, 1)}),
        (URL, {"id": "x"}),
        (URL, {"timestamp": NOW_MS + 1}),
        (URL, {"state": 1}),
        (URL, {"values": []}),
        (f"{CHECK}/x", {}),
        (f"{CHECK}/{ID.replace('-', '')}", {}),
        (f"{CHECK}/646ac7b0-0b34-41e1-a0a1-0ff89fa2fa26", {}),
        (f"{CHECK}/00000000-0000-1000-8000-000000000000", {}),
    ],
)
def test_put_refuses_what_does_not_fit_its_url(url: str, members: dict[str, Any], client: FlaskClient) -> None:
    fault = assert_fault(send(client, "PUT", url, {**SHORT, **members}), 400, "badRequest")
    assert fault["details"]
    assert get_json(client, f"{CHECK}?from=0")["values"] == []


# DELETE


def test_a_deleted_item_is_gone_and_may_be_recorded_anew(client: FlaskClient) -> None:
    post(client, CHECK, item_at(NOW_MS))
    response = client.delete(URL)
    assert (response.status_code, response.data, response.headers.get("Content-Type")) == (204, b"", None)
    assert_fault(client.get(URL), 404, "notFoundError")
    assert_fault(client.delete(URL), 404, "notFoundError")
    post(client, CHECK, item_at(NOW_MS, state="CRITICAL"))
    assert get_json(client, URL)["state"] == "CRITICAL"


def test_only_the_item_that_is_named_is_deleted(client: FlaskClient) -> None:
    post(client, CHECK, {"values": [item_at(NOW_MS, number) for number in range(3)]})
    post(client, f"{ALARM}/chTwo", item_at(NOW_MS, 1))
    assert client.delete(f"{CHECK}/{id_at(NOW_MS, 1).upper()}").status_code == 204
    assert get_json(client, CHECK)["values"] == [item_at(NOW_MS), item_at(NOW_MS, 2)]
    assert get_json(client, f"{ALARM}/chTwo")["values"] == [item_at(NOW_MS, 1)]
