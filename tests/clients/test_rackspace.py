"""The published Python client, rackspace-monitoring, reads a history as it always did."""

import json
import time
from pathlib import Path
from typing import Any

from notifhist.testing import Notifhist
from tests.clients.running import find, run
from tests.conftest import TENANT
from tests.http.helpers import CHECK, FAULT_MEMBERS, item_at
from tests.system.conftest import MakeService
from tests.system.service import Service

NOW_MS = time.time_ns() // 1_000_000
ITEMS = 2345
PAGE = 50  # what a client gets that names no limit, as this one
SCRIPT = Path(__file__).parent / "ask_rackspace.py"


def ask(
    service: Service | Notifhist,
    key: str,
    tenant: str = TENANT,
    check_id: str = "chOne",
    asked: str = "history",
    entity_id: str = "enOne",
) -> dict[str, Any]:
    """Return what the client finds."""
    python = find("NOTIFHIST_TEST_RACKSPACE_PYTHON", ".venv-rackspace/bin/python")
    done = run(python, SCRIPT, asked, f"{service.url}/v1.0/{tenant}", key, entity_id, "alOne", check_id)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def record(service: Service, key: str, items: list[dict[str, Any]], path: str = CHECK) -> None:
    """Record items in containers of a size that a page may have."""
    client = service.client(key)
    for start in range(0, len(items), 1000):
        answer = client.post(path, {"values": items[start : start + 1000], "metadata": {}})
        assert answer.status_code == 201, answer.text


def test_it_pages_through_a_long_history_both_ways(database_url: str, make_service: MakeService) -> None:
    service = make_service(database_url).start()
    key = service.create_key("monitoring:creator")
    # Seven items a millisecond: most pages begin and end within one.
    items = [item_at(NOW_MS - 60_000 + n // 7, n, status=f"Prüfung {n} <&> \u2028") for n in range(ITEMS)]
    record(service, key, items[::-1])
    record(service, key, items[:1], f"{CHECK}-another")
    found = ask(service, service.create_key("monitoring:observer"))
    assert found["checks"] == {"check_ids": ["chOne", "chOne-another"]}
    assert json.dumps(found["items"]) == json.dumps(items)
    assert found["reverse"] == items[::-1]
    pages = [line for line in service.lines() if (line.get("method"), line.get("path")) == ("GET", CHECK)]
    assert [line["status"] for line in pages] == [200] * 2 * -(-ITEMS // PAGE)


def test_it_pages_through_changelogs_and_suppression_logs(database_url: str, make_service: MakeService) -> None:
    service = make_service(database_url).start()
    key = service.create_key("monitoring:creator")
    entities, states = ("enA", "enB"), ("OK", "WARNING", "CRITICAL")
    for entity_id in entities:
        # Three items a millisecond and entity; those without a previous state, the first one too, take some trouble.
        items = [
            item_at(
                *(NOW_MS - 60_000 + n // 3, n),
                state=states[n % 3],
                previous_state=None if n % 4 == 0 else states[(n - 1) % 3],
                suppressions=["spOne"] if n % 2 else None,
                transaction_id=f"{n}",
            )
            for n in range(200)
        ]
        record(service, key, items, CHECK.replace("enOne", entity_id))
    found = ask(service, service.create_key("monitoring:observer"), asked="logs", entity_id="enA")
    assert (len(found["changelogs"]), len({each["id"] for each in found["changelogs"]})) == (400, 400)
    assert [each["timestamp"] for each in found["changelogs"]] == sorted(e["timestamp"] for e in found["changelogs"])
    assert found["reverse"] == found["changelogs"][::-1]
    assert found["of entity"] == [each for each in found["changelogs"] if each["entity_id"] == "enA"]
    assert found["of entity, reverse"] == found["of entity"][::-1]
    changes = {"OK": "CRITICAL", "WARNING": "OK", "CRITICAL": "WARNING"}
    unknown = [each for each in found["of entity"] if each["previous_state"] != changes[each["state"]]]
    assert [(each["previous_state"], each["state"]) for each in unknown] == [("UNKNOWN", "OK")]
    assert len(found["suppressions"]) == 200
    for each in found["suppressions"]:
        assert (each["suppressions"], each["notification_plan_id"]) == (["spOne"], None)
        assert int(each["transaction_id"]) % 2 == 1
    asked = [line for line in service.lines() if str(line.get("path", "")).endswith("/changelogs/alarms")]
    assert [line["status"] for line in asked] == [200] * ((2 * 400 + 2 * 200) // PAGE)


def test_it_understands_errors(sqlite_database: str, make_service: MakeService) -> None:
    service = make_service(sqlite_database, HISTORY_RATE_LIMIT="9/hour").start()
    key = service.create_key()
    invalid = ask(service, key, check_id="chOne?limit=0&")
    assert invalid["error"] == "RackspaceMonitoringValidationError"
    members = invalid["members"]
    assert (members["type"], members["code"]) == ("invalidLimit", "400")
    assert members["message"]
    assert members["details"].startswith("limit: ")
    assert_fault(ask(service, "nh_unknown"), 401, "unauthorizedError")
    assert_fault(ask(service, key, tenant="654321"), 403, "forbiddenError")
    assert_fault(ask(service, key, check_id=f"chOne/{item_at(NOW_MS)['id']}"), 404, "notFoundError")


def assert_fault(found: dict[str, Any], status: int, fault_type: str) -> None:
    """Assert that the client raised its error for HTTP, and has the fault at hand."""
    assert (found["error"], found["code"]) == ("BaseHTTPError", status)
    assert list(found["members"]) == FAULT_MEMBERS
    assert found["members"]["type"] == fault_type


def test_it_notices_that_the_rate_limit_is_reached(sqlite_database: str, make_service: MakeService) -> None:
    service = make_service(sqlite_database, HISTORY_RATE_LIMIT="3/hour").start()
    key = service.create_key()
    record(service, key, [item_at(NOW_MS, n) for n in range(3 * PAGE)])
    found = ask(service, key)
    assert (found["error"], found["code"]) == ("RateLimitReachedError", 429)


def test_it_lists_what_has_history_and_finds_each(database_url: str, make_service: MakeService) -> None:
    service = make_service(database_url).start()
    key = service.create_key("monitoring:creator")
    item = item_at(NOW_MS, notification_plan_id="npOne")
    record(service, key, [item])
    others = [f"en{n:03}" for n in range(2 * PAGE)]
    for entity in others:
        record(service, key, [item], CHECK.replace("enOne", entity))
    record(service, key, [item_at(NOW_MS - 1)], CHECK.replace("alOne", "al two").replace("chOne", "chTwo"))
    found = ask(service, key, asked="register")
    assert [each["id"] for each in found["entities"]] == [*others, "enOne"]
    assert [each["id"] for each in found["entities_from"]] == ["enOne"]
    assert found["entities"][-1] == found["entity"]
    assert (found["entity"]["label"], found["entity"]["ip_addresses"]) == ("enOne", [])
    assert [(each["id"], each["check_id"]) for each in found["alarms"]] == [("al two", "chTwo"), ("alOne", "chOne")]
    assert found["alarms"][-1] == found["alarm"]
    assert (found["alarm"]["notification_plan_id"], found["alarm"]["criteria"]) == ("npOne", None)
    assert [each["id"] for each in found["checks"]] == ["chOne", "chTwo"]
    assert found["checks"][0] == found["check"]
    assert found["check"]["type"] is None
    rate = found["limits"]["rate"]["global"]
    assert (found["limits"]["resource"], rate["limit"], rate["window"]) == ({}, 50_000, "24 hours")
    assert rate["used"] > len(others)


def test_the_command_line_asks_for_three_things_before_it_asks_for_a_history(
    database_url: str, make_service: MakeService
) -> None:
    service = make_service(database_url).start()
    key = service.create_key("monitoring:creator")
    items = [item_at(NOW_MS - n, status=str(n)) for n in range(3)]
    record(service, key, items)
    assert ask(service, key, asked="command_line") == {"items": items}
    asked = [line["path"] for line in service.lines() if line.get("method") == "GET" and line["path"] != "/readyz"]
    entity = CHECK.partition("/alarms")[0]
    assert asked == [entity, f"{entity}/checks/chOne", f"{entity}/alarms/alOne", CHECK]
    # The published matrix lets observers read no checks, so this command is not for them.
    assert_fault(ask(service, service.create_key("monitoring:observer"), asked="command_line"), 403, "forbiddenError")
    assert_fault(ask(service, key, check_id="none", asked="command_line"), 404, "notFoundError")
