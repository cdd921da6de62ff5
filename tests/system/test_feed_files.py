"""`load --feed` and `follow`, as commands."""

import json
from pathlib import Path

from notifhist.feeds.feed import MAX_ITEMS
from tests.conftest import TENANT
from tests.feed_items import NOTIFICATION, SILENCED, WEBHOOK, event_of
from tests.http.helpers import get_json
from tests.system.commands import application, client_of, run, start, write_lines
from tests.system.conftest import MakeService
from tests.system.service import wait_until

DELIVERIES = "/deliveries?from=2011-01-01&to=2027-01-01"


def total(database_url: str) -> int:
    with application(database_url, RETENTION_DAYS=0) as app:
        return int(get_json(client_of(app), DELIVERIES)["metadata"]["total"])


def test_events_are_loaded_and_what_is_there_is_skipped(database_url: str, tmp_path: Path) -> None:
    lines = [NOTIFICATION, SILENCED, event_of("alertCreated", {})]
    path = write_lines(tmp_path / "events.jsonl", lines)
    arguments = ("load", "--feed", "alertmanager-events", "--tenant", TENANT, path)
    assert run(database_url, *arguments).stderr == "Stored 2, merged 0, bad 0, event_type 1.\n"
    again = run(database_url, *arguments).stderr
    assert again == "Stored 0, merged 0, bad 0, event_type 1, known 1, same_suppression 1.\n"
    assert total(database_url) == 2


def test_a_payload_may_be_a_whole_file(sqlite_database: str, tmp_path: Path) -> None:
    path = tmp_path / "webhook.json"
    path.write_text(json.dumps(WEBHOOK, indent=2))
    loaded = run(sqlite_database, "load", "--feed", "alertmanager", "--tenant", TENANT, path)
    assert loaded.stderr == "Stored 1, merged 0, bad 0.\n"


def test_equal_notifications_of_a_file_are_all_loaded(sqlite_database: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "webhooks.jsonl", [WEBHOOK] * 3)
    loaded = run(sqlite_database, "load", "--feed", "alertmanager", "--tenant", TENANT, path)
    assert loaded.stderr == "Stored 3, merged 0, bad 0.\n"


def test_a_file_that_is_a_list_is_loaded_whole(sqlite_database: str, tmp_path: Path) -> None:
    silenced = SILENCED["data"]["silenceMutedAlert"]
    muted = [{**silenced["mutedAlert"], "fingerprint": str(n)} for n in range(1, MAX_ITEMS + 3)]
    path = tmp_path / "events.json"
    path.write_text(json.dumps([event_of("silenceMutedAlert", {**silenced, "mutedAlert": each}) for each in muted]))
    loaded = run(sqlite_database, "load", "--feed", "alertmanager-events", "--tenant", TENANT, path)
    assert loaded.stderr == f"Stored {MAX_ITEMS + 2}, merged 0, bad 0.\n"


def test_of_a_file_with_bad_lines_nothing_is_loaded_unless_they_are_skipped(
    sqlite_database: str, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "events.jsonl", [NOTIFICATION])
    path.write_text(f"{path.read_text()}\n{{\n")
    arguments = ("load", "--feed", "alertmanager-events", "--tenant", TENANT, path)
    refused = run(sqlite_database, *arguments, code=1)
    assert refused.stderr.startswith(f"{path}:3: The body is not JSON.")
    assert refused.stderr.endswith("Stored 0, merged 0, bad 1.\n")
    assert run(sqlite_database, *arguments, "--skip-bad").stderr.endswith("Stored 1, merged 0, bad 1.\n")
    path.write_text("{\nno\n" + json.dumps(NOTIFICATION) + "\n{\n" + json.dumps(SILENCED))
    assert run(sqlite_database, *arguments, "--skip-bad").stderr.endswith("Stored 1, merged 0, bad 3, known 1.\n")
    path.write_text("{\n1\n")
    assert run(sqlite_database, *arguments, code=1).stderr.endswith("Stored 0, merged 0, bad 1.\n")


def test_bad_options(sqlite_database: str, tmp_path: Path) -> None:
    feed = ("load", "--feed", "alertmanager")
    assert "--feed needs --tenant." in run(sqlite_database, *feed, tmp_path, code=2).output
    assert "is none." in run(sqlite_database, *feed, "--tenant", "t", tmp_path, code=2).output
    mixed = run(sqlite_database, *feed, "--tenant", "t", "--of", "logs", tmp_path, code=2)
    assert "are not for payloads" in mixed.output
    assert "tenant" in run(sqlite_database, *feed, "--tenant", "a/b", tmp_path / "..", code=2).output
    path = tmp_path / "events"
    assert "Give --url and --key-file" in run(sqlite_database, "follow", "alertmanager-events", path, code=1).output
    told = run(sqlite_database, "follow", "alertmanager-events", path, URL="ftp://x", KEY_FILE=str(path), code=1)
    assert "is not like" in told.output


def test_a_file_is_followed_until_sigterm(sqlite_database: str, make_service: MakeService, tmp_path: Path) -> None:
    service = make_service(sqlite_database, RETENTION_DAYS="0", workers=1).start()
    key = tmp_path / "key"
    key.write_text(service.create_key("monitoring:creator"))
    path = write_lines(tmp_path / "events.jsonl", [NOTIFICATION])
    client = service.client(service.create_key())
    settings = {"URL": service.url, "KEY_FILE": str(key)}
    process = start(sqlite_database, "follow", "alertmanager-events", path, settings=settings)
    wait_until(lambda: client.get_json(DELIVERIES)["metadata"]["total"] == 1)
    with path.open("a") as file:
        file.write(json.dumps(SILENCED) + "\n")
    wait_until(lambda: client.get_json(DELIVERIES)["metadata"]["total"] == 2)
    process.terminate()
    _, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (0, "Sent 2.\n")
    assert (tmp_path / ".events.jsonl.position").is_file()
