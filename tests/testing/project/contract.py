"""Ten contract tests: they use every fixture and every method of the plugin."""

import http.client
import time
import urllib.error
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import client as module
import pytest
from client import Client

NIGHT = "/entities/enNight/alarms/alDisk/notification_history/chDisk?from=0&limit=20"


def test_all_pages_are_read(notifhist, client, entity):
    states = ["OK", "WARNING", "CRITICAL", "OK", "CRITICAL"]
    ids = [notifhist.item(entity=entity, state=state, timestamp=n)["id"] for n, state in enumerate(states, 1_000)]
    assert [item["id"] for item in client.newest_first(entity, "al", "ch")] == ids[::-1]


def test_a_page_that_changes_repeats_nothing(notifhist, client, entity):
    ids = [notifhist.item(entity=entity, timestamp=n)["id"] for n in range(1_000, 1_005)]
    items = client.newest_first(entity, "al", "ch")
    seen = [next(items)["id"], next(items)["id"]]
    notifhist.item(entity=entity, timestamp=2_000)
    assert seen + [item["id"] for item in items] == ids[::-1]


@pytest.mark.notifhist(load="night")
def test_xml_has_the_ids(notifhist, client):
    items = client.in_xml("enNight", "alDisk", "chDisk")
    assert [item["id"] for item in items] == [item["id"] for item in notifhist.get(NIGHT).json["values"]]
    notifhist.assert_both(NIGHT)
    notifhist.assert_json(NIGHT, "expected/night.json")
    notifhist.assert_xml(NIGHT, Path("expected/night.xml"))


def test_large_numbers_keep_their_digits(notifhist, client, entity):
    notifhist.item(entity=entity, timestamp=1_000, serial=2**53 + 1)
    (item,) = client.newest_first(entity, "al", "ch")
    assert item["serial"] == 9007199254740993


@pytest.mark.notifhist(settings={"HISTORY_RATE_LIMIT": "1/minute"})
def test_a_rate_limit_is_waited_for(notifhist, client, entity, monkeypatch):
    monkeypatch.setattr(module.time, "sleep", lambda seconds: notifhist.tick(seconds=seconds))
    notifhist.freeze("2026-11-22T03:00:00Z")
    began_ms = notifhist.now_ms
    for n in range(3):
        notifhist.item(entity=entity, timestamp=n)
    assert len(list(client.newest_first(entity, "al", "ch"))) == 3
    assert notifhist.now_ms == began_ms + 60_000


def test_faults_are_survived(notifhist, client, entity):
    notifhist.item(entity=entity, timestamp=1_000)
    notifhist.fail(retry_after=0)
    assert len(list(client.newest_first(entity, "al", "ch"))) == 1
    first, second = notifhist.requests
    assert (first.method, first.headers["x-auth-token"]) == ("GET", "***")
    assert "reverse=true" in first.query
    assert second.path.endswith(f"/entities/{entity}/alarms/al/notification_history/ch")
    notifhist.fail(status=200, cut_after=20)
    with pytest.raises(http.client.IncompleteRead):
        client.in_xml(entity, "al", "ch")
    notifhist.fail(status=200, delay=0.05, after=1)
    client.in_xml(entity, "al", "ch")
    began = time.monotonic()
    client.in_xml(entity, "al", "ch")
    assert time.monotonic() - began >= 0.05


@pytest.mark.notifhist(now="2026-11-22T03:00:00Z")
def test_keys_have_roles_and_expire(notifhist, notifhist_url):
    reader = Client(notifhist_url, notifhist.key("notification-logs:view", expires=timedelta(hours=1)))
    run = notifhist.run(summary="nightly")
    assert reader.run(run["id"])["dateCreated"] == "2026-11-22T03:00:00.000Z"
    notifhist.tick(hours=1)
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        reader.run(run["id"])
    refused.value.close()
    assert notifhist.get(NIGHT, key=notifhist.key(tenant="other")).json["values"] == []


def test_runs_and_logs(notifhist, client):
    run = notifhist.run(summary="nightly", deliveredCount=2)
    assert client.run(run["id"])["summary"] == "nightly"
    notifhist.assert_json(f"/api/v1/notifications/logs/run/{run['id']}", run)
    log = notifhist.log(runId=run["id"], recipientEmail="a@example.com")
    notifhist.assert_both(f"/api/v1/notifications/logs/{log['id']}")


def test_the_server_has_one_url(notifhist, notifhist_server, notifhist_url, notifhist_settings):
    assert notifhist_server.url == notifhist_url == notifhist.url
    assert urlsplit(notifhist_url).port == notifhist_server.port
    assert notifhist_settings["DEFAULT_LIMIT"] == "20"
    assert notifhist.tenant == "123456"
    assert notifhist.load("night") == 3


def test_the_process_serves_the_fixtures(notifhist_process):
    assert notifhist_process.pid != 0
    assert urlsplit(notifhist_process.url).port == notifhist_process.port
    client = Client(notifhist_process.url, notifhist_process.key)
    assert len(client.in_xml("enNight", "alDisk", "chDisk")) == 3
