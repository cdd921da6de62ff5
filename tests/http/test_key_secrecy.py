"""A key is a secret: it is kept as a hash, and told to nobody, wherever a client sends it."""

import hashlib
import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from notifhist.store.database import Database
from tests.conftest import MakeKey, authorized, every_row
from tests.http.helpers import ALARM, CHECK, JSON, RUNS, XML

ITEM_ID = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"


def test_only_the_hash_of_a_key_is_in_the_database(
    app: Flask, db: Database, database_url: str, make_key: MakeKey
) -> None:
    key = make_key()
    secret = key[16:]
    assert authorized(app, key).get(CHECK).status_code == 200
    dump = json.dumps(every_row(db))
    assert secret not in dump
    assert hashlib.sha256(secret.encode()).hexdigest() in dump
    path = Path(database_url.removeprefix("sqlite:///"))
    if path != Path(database_url):
        for file in path.parent.glob(f"{path.name}*"):
            assert secret.encode() not in file.read_bytes(), file


def misplaced(key: str, url: str) -> list[dict[str, Any]]:
    """Return requests with the key wherever a client might send it by mistake."""
    return [
        {"path": f"{url}?token={key}&limit=x&page=x"},
        {"path": f"{url}?limit={key}&pageSize={key}&marker={key}&statuses={key}&orderBy={key}"},
        {"path": f"{url}/{key}"},
        {"path": f"{url}/{key}", "method": "PUT", "json": {}},
        {"path": f"{url}/{key}/{key}"},
        {"path": f"/v1.0/{key}/entities/x/alarms/y/notification_history"},
        {"path": f"{ALARM}/{key}/x", "method": "DELETE"},
        {"path": f"{CHECK}/{ITEM_ID}/notification_results/{key}/attempts", "method": "POST", "json": {}},
        {"path": f"{url}/{key}", "method": "PATCH"},
        {"path": f"/{key}"},
        {"path": f"/api/{key}"},
        {"path": url, "method": "POST", "json": {key: 1, "state": [key], "values": {key: key}}},
        {"path": url, "method": "POST", "json": {"runs": [{key: 1}]}},
        {"path": url, "method": "POST", "data": f'{{"{key}":1,"{key}":2}}', "content_type": JSON},
        {"path": url, "method": "POST", "data": f"<{key}/>", "content_type": XML},
        {"path": url, "method": "POST", "data": f"<a>&{key};</a>", "content_type": XML},
        {"path": url, "method": "POST", "data": key, "content_type": f"text/{key}"},
        {"path": url, "headers": {"Accept": f"text/{key}"}},
        {"path": url, "headers": {"Authorization": f"Basic {key}"}},
        {"path": url, "headers": {"Cookie": f"token={key}", "Referer": f"http://x/?t={key}", "User-Agent": key}},
        {"path": url, "headers": {"X-Auth-Token": f"{key}x", "Authorization": f"Bearer {key}x"}},
        {"path": url, "environ_overrides": {"REQUEST_METHOD": key}},
    ]


@pytest.mark.usefixtures("json_log")
def test_a_key_appears_in_no_log_line_no_error_and_no_metric(
    app: Flask, make_key: MakeKey, capfd: pytest.CaptureFixture[str]
) -> None:
    key, valid = make_key(), make_key()
    anyone, known = app.test_client(), authorized(app, valid)
    errors = []
    for client, url in product((anyone, known), (CHECK, RUNS)):
        for request in misplaced(key, url):
            response = client.open(**request)
            assert response.status_code < 500, response.text
            errors += [response.text] if response.status_code >= 400 else []
    assert len(errors) > 70
    written = capfd.readouterr()
    log = written.out + written.err
    assert log.count("\n") >= len(errors)
    assert key[3:15] in log, "the key's id may be told"
    metrics = anyone.get("/metrics").text
    assert "notifhist_requests_total" in metrics
    for text in (*errors, log, metrics):
        assert key[16:] not in text
        assert valid[16:] not in text
