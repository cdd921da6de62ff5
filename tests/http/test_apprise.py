"""Apprise itself sends, and what it says becomes history."""

import asyncio
import json
import os
import re
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest
from apprise import Apprise
from flask.testing import FlaskClient

from notifhist.feeds.apprise import record, watch
from tests.conftest import TENANT
from tests.http.helpers import get_json, post, send
from tests.system.service import ROOT

CHECK = "/entities/db3/alarms/disk ∕var/notification_history/apprise?from=0&to=4102444800000"


class _Receiver(BaseHTTPRequestHandler):
    """Takes what is posted to /ok, and fails at all else."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if self.path == "/ok" else 500)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[str]:
    """Host and port of a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def apprise(receiver: str) -> Apprise:
    """An Apprise with one service that accepts, and one that fails twice."""
    sender = Apprise()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports all its plugins, one of which needs a deprecated module
        assert sender.add(f"json://{receiver}/ok", tag="ops")
    assert sender.add(f"json://kim:secret@{receiver}/fails?retry=1&wait=0", tag="ops")
    return sender


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this user in a spool."""
    monkeypatch.setenv("NOTIFHIST_SPOOL", str(tmp_path))
    monkeypatch.setenv("NOTIFHIST_TENANT", TENANT)
    return tmp_path / str(os.geteuid())


def flush(spool: Path, client: FlaskClient) -> None:
    """Send what is in the spool, as `notifhist spool flush` does."""
    for path in spool.glob("*.ndjson"):
        line = json.loads(path.read_text())
        entity, alarm, check = (quote(line[name], safe="") for name in ("entity_id", "alarm_id", "check_id"))
        url = f"/v1.0/{line['tenant']}/entities/{entity}/alarms/{alarm}/notification_history/{check}"
        assert send(client, "PUT", f"{url}/{line['item']['id']}", line["item"]).status_code == 201
        path.unlink()


def outcomes(client: FlaskClient) -> list[tuple[str, int]]:
    """Return outcome and number of attempts of each delivery; Apprise sends now, and the service's clock stands."""
    deliveries = get_json(client, f"/v1.0/{TENANT}/deliveries?from=0&to=4102444800000")["values"]
    return sorted((each["outcome"], each["attempts"]) for each in deliveries)


def test_what_apprise_sent_is_in_the_history(apprise: Apprise, spool: Path, client: FlaskClient) -> None:
    told = {"entity": "db3", "alarm": "disk /var", "state": "failure", "title": "disk full"}
    result = record(apprise.notify(body="/var is full", title="disk full", notify_type="failure"), **told)
    assert not result
    assert [service.name for service in result] == ["JSON", "JSON"]
    flush(spool, client)
    assert outcomes(client) == [("failed", 2), ("sent", 1)]
    failed = get_json(client, f"/v1.0/{TENANT}/deliveries?outcome=failed&from=0&to=4102444800000")["values"]
    (item,) = get_json(client, f"/v1.0/{TENANT}{CHECK}")["values"]
    messages = [attempt["message"] for attempt in item["notification_results"][1]["attempts"]]
    assert all("error=500" in message for message in messages)
    assert "secret" not in json.dumps([failed, item])


def test_an_apprise_that_is_watched(apprise: Apprise, spool: Path, client: FlaskClient) -> None:
    assert watch(apprise, entity="db3", alarm="disk") is apprise
    assert not apprise.notify(body="/var is full", notify_type="failure")
    assert not asyncio.run(apprise.async_notify(body="/var is full", notify_type="failure"))
    assert apprise.notify(body="nobody", tag="others") is not None
    flush(spool, client)
    assert outcomes(client) == [("failed", 2), ("failed", 2), ("not_sent", 0), ("sent", 1), ("sent", 1)]


def test_the_documented_lines_work(receiver: str, apprise: Apprise, spool: Path, client: FlaskClient) -> None:
    documented = re.findall("```python\n(.*?)```", (ROOT / "docs/feeds.md").read_text(), re.DOTALL)
    given = {"apprise": apprise, "host": "db3", "service": "disk", "title": "PROBLEM", "body": "/var is full"}
    for lines in documented:
        exec(lines.replace("127.0.0.1:18080/", f"{receiver}/ok"), dict(given))
    flush(spool, client)
    deliveries = get_json(client, f"/v1.0/{TENANT}/deliveries?from=0&to=4102444800000")["values"]
    told = sorted((each["entity_id"], each["alarm_id"], each["state"], each["status"]) for each in deliveries)
    assert told == [
        ("db3", "disk", "CRITICAL", "PROBLEM"),
        ("db3", "disk", "CRITICAL", "PROBLEM"),
        ("db3.example.net", "disk ∕var", "failure", "PROBLEM disk /var"),
    ]


def test_its_result_may_be_posted(apprise: Apprise, client: FlaskClient) -> None:
    result = json.loads("".join(apprise.notify(body="/var is full").iter_json()))
    body = {"entity_id": "db3", "alarm_id": "disk /var", "state": "failure", "result": result}
    url = f"/v1.0/{TENANT}/feeds/apprise"
    assert post(client, url, body, 200).json == {"created": 1, "merged": 0, "ignored": {}}
    assert post(client, url, body, 200).json == {"created": 0, "merged": 0, "ignored": {"known": 1}}
    assert outcomes(client) == [("failed", 2), ("sent", 1)]
