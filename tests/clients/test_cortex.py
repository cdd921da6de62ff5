"""The published command line client, cortexapps-cli, fetches all runs and all logs page by page, and filters them."""

import json
from pathlib import Path
from typing import Any

import pytest

from notifhist.testing import Notifhist
from tests.clients.running import find, run
from tests.http.helpers import LOGS, RUNS, log_of, run_of
from tests.system.conftest import MakeService
from tests.system.service import Service

COUNT = 1234
PAGE = 250
PAGES = -(-COUNT // PAGE)


def fetch(service: Service | Notifhist, key: str, home: Path, endpoint: str = RUNS, **filters: str) -> tuple[int, str]:
    """Return exit code and output of the client asked for all runs or logs; it waits out what it must."""
    program = find("NOTIFHIST_TEST_CORTEX", ".venv-cortex/bin/cortex")
    arguments = ("--api-key", key, "--url", service.url, "rest", "fetch", "--endpoint", endpoint)
    parameters = [part for name, value in filters.items() for part in ("--params", f"{name}={value}")]
    done = run(program, *arguments, *parameters, HOME=str(home), NO_PROXY="*", COLUMNS="1000")
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def record(service: Service) -> list[dict[str, Any]]:
    """Record runs, and return them as a page shows them that nobody asked to include objects."""
    about = [{"id": 1, "name": "payments", "type": "ENTITY"}]
    runs = [run_of(summary=f"run {n}", notificationObjects=about) for n in range(COUNT)]
    answer = service.client(service.create_key("notification-logs:edit")).post(RUNS, {"runs": runs})
    assert answer.status_code == 201, answer.text
    recorded: list[dict[str, Any]] = answer.json()["runs"]
    for each in recorded:
        del each["notificationObjects"]
    return recorded


def asked(service: Service, endpoint: str = RUNS) -> list[int]:
    """Return the statuses of the client's requests, in their order."""
    return [line["status"] for line in service.lines() if line.get("method") == "GET" and line["path"] == endpoint]


@pytest.mark.long
def test_it_fetches_every_run_once(database_url: str, make_service: MakeService, tmp_path: Path) -> None:
    service = make_service(database_url).start()
    runs = record(service)
    code, output = fetch(service, service.create_key("notification-logs:view"), tmp_path)
    assert code == 0, output
    newest_first = sorted(runs, key=lambda each: each["id"], reverse=True)
    assert json.loads(output) == {"total": COUNT, "page": 0, "totalPages": 1, "runs": newest_first}
    assert asked(service) == [200] * PAGES


@pytest.mark.long
def test_it_fetches_every_log_once(database_url: str, make_service: MakeService, tmp_path: Path) -> None:
    service = make_service(database_url).start()
    logs = [log_of(runId=n % 10, recipientChannel=f"#c{n % 3}", recipientType="TEAM") for n in range(COUNT)]
    answer = service.client(service.create_key("notification-logs:edit")).post(LOGS, {"logs": logs})
    assert answer.status_code == 201, answer.text
    newest_first = answer.json()["logs"][::-1]
    key = service.create_key("notification-logs:view")
    code, output = fetch(service, key, tmp_path, LOGS)
    assert code == 0, output
    assert json.loads(output) == {"total": COUNT, "page": 0, "totalPages": 1, "logs": newest_first}
    assert asked(service, LOGS) == [200] * PAGES
    code, output = fetch(service, key, tmp_path, LOGS, notificationRunIds="1,2", recipientChannels="#c0,#c2")
    assert code == 0, output
    chosen = [each for each in newest_first if each["runId"] in (1, 2) and each["recipientChannel"] in ("#c0", "#c2")]
    assert json.loads(output)["logs"] == chosen


def test_it_filters_runs_by_several_values_with_commas(
    sqlite_database: str, make_service: MakeService, tmp_path: Path
) -> None:
    """The client keeps one value of a parameter, so a comma is all that its users have."""
    service = make_service(sqlite_database).start()
    statuses = ("FAILED", "IGNORED", "COMPLETED")
    runs = [run_of(status=statuses[n % 3]) for n in range(900)]
    answer = service.client(service.create_key("notification-logs:edit")).post(RUNS, {"runs": runs})
    assert answer.status_code == 201, answer.text
    key = service.create_key("notification-logs:view")
    code, output = fetch(service, key, tmp_path, statuses="FAILED,IGNORED", mediums="EMAIL,SLACK")
    assert code == 0, output
    newest_first = answer.json()["runs"][::-1]
    assert json.loads(output)["runs"] == [each for each in newest_first if each["status"] != "COMPLETED"]


@pytest.mark.long
def test_it_waits_as_long_as_the_rate_limit_says(
    sqlite_database: str, make_service: MakeService, tmp_path: Path
) -> None:
    service = make_service(sqlite_database, RUNS_RATE_LIMIT="3/6 second").start()
    runs = record(service)
    code, output = fetch(service, service.create_key("notification-logs:view"), tmp_path)
    assert code == 0, output
    fetched = [each["id"] for each in json.loads(output)["runs"]]
    assert sorted(fetched) == sorted(each["id"] for each in runs)
    assert sorted(asked(service)) == [200] * PAGES + [429]


def test_it_shows_what_an_error_says(sqlite_database: str, make_service: MakeService, tmp_path: Path) -> None:
    service = make_service(sqlite_database).start()
    code, output = fetch(service, service.create_key("monitoring:admin"), tmp_path)
    (line,) = [line for line in service.lines() if line.get("path") == RUNS]
    assert code == 1
    assert output.startswith("HTTP Error 403: ")
    assert line["request_id"] in output.replace("\n", "")
