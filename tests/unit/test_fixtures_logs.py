"""The logs among the fixtures: as published, and what becomes of their runs."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.unit.fixture_files import FIXTURES, LIFELIKE, TENANTS, runs, values_seen

PATH = "api/v1/notifications/logs.json"
MOST_DELIVERED = 12

# As docs/contract.md and /openapi.json list them.
VALUES = {
    "status": "READY IGNORED FAILED DELIVERED",
    "recipientType": "USER TEAM ENTITY",
    "medium": "SLACK MICROSOFT_TEAMS EMAIL WEBHOOK",
    "ignoredReason": """
        USER_UNSUBSCRIBED WORKSPACE_DISABLED CHANNEL_DISABLED DUPLICATE CORTEX_EMPLOYEE NON_CORTEX_USERS_DISABLED
        UNSUPPORTED TEAM_MEMBER_DISABLED SCORECARD_DISABLED""",
    "failedReason": """
        CHANNEL_NOT_FOUND MEMBER_EMAILS_NOT_FOUND MISSING_CONTENT CLIENT_ERROR BACKSTAGE_BASE_URL_MISSING
        NO_SEATS_LEFT UNEXPECTED_ERROR""",
}
MEMBERS = [
    *("dateCreated", "dateDelivered", "dateUpdated", "errorMessage", "failedReason", "id", "ignoredReason", "medium"),
    *("recipientChannel", "recipientEmail", "recipientEntityId", "recipientType", "recipientUserId"),
    *("runId", "status", "type"),
]
ALWAYS = {"dateCreated", "dateUpdated", "id", "medium", "recipientType", "runId", "status", "type"}


def logs(tenant: str) -> list[dict[str, Any]]:
    page = json.loads((LIFELIKE / tenant / PATH).read_bytes())
    assert list(page) == ["logs", "page", "total", "totalPages"]
    assert (page["page"], page["total"], page["totalPages"]) == (0, len(page["logs"]), 1)
    return list(page["logs"])


def all_logs() -> list[dict[str, Any]]:
    return [log for tenant in TENANTS for log in logs(tenant)]


@pytest.mark.parametrize("name", VALUES)
def test_every_value_of_logs_occurs(name: str) -> None:
    assert values_seen(all_logs(), name) == set(VALUES[name].split())


@pytest.mark.parametrize("tenant", TENANTS)
def test_logs_are_as_published_and_belong_to_their_runs(tenant: str) -> None:
    by_id = {run["id"]: run for run in runs(tenant)}
    for log in logs(tenant):
        assert list(log) == [name for name in MEMBERS if name in log]
        assert set(log) >= ALWAYS
        assert None not in log.values()
        run = by_id[log["runId"]]
        assert (log["type"], log["medium"]) == (run["notificationType"], run["medium"])
        assert run["dateCreated"] <= log["dateCreated"] <= log["dateUpdated"] <= run["dateUpdated"]
        assert ("dateDelivered" in log) == (log["status"] == "DELIVERED")
        assert log.get("dateDelivered", log["dateUpdated"]) == log["dateUpdated"]
        assert ("failedReason" in log) == ("errorMessage" in log) == (log["status"] == "FAILED")
        assert ("ignoredReason" in log) == (log["status"] == "IGNORED")


@pytest.mark.parametrize("tenant", TENANTS)
def test_what_became_of_a_run_is_what_its_logs_say(tenant: str) -> None:
    statuses = {run["id"]: Counter[str]() for run in runs(tenant)}
    for log in logs(tenant):
        statuses[log["runId"]][log["status"]] += 1
    for run in runs(tenant):
        of_run = statuses[run["id"]]
        assert of_run["DELIVERED"] == min(run["deliveredCount"], MOST_DELIVERED)
        assert of_run["FAILED"] == (2 if run["status"] in ("FAILED", "COMPLETED_WITH_ERRORS") else 0)
        assert (of_run["READY"] > 0) == (run["status"] == "CREATED")
        if run["status"] == "IGNORED":
            assert (of_run["IGNORED"] == 0) == (run["ignoredReason"] == "NO_RECIPIENTS")


@pytest.mark.parametrize("tenant", TENANTS)
def test_logs_are_newest_first_and_have_ids_of_their_own(tenant: str) -> None:
    keys = [(log["dateCreated"], log["id"]) for log in logs(tenant)]
    assert keys == sorted(set(keys), reverse=True)
    assert len({log_id for _, log_id in keys}) == len(keys)
    assert len({created for created, _ in keys}) < len(keys)  # some were created together


def test_each_recipient_of_a_run_is_named_once_by_what_its_type_has() -> None:
    named = Counter[tuple[Any, ...]]()
    for tenant in TENANTS:
        for log in logs(tenant):
            is_user = log["recipientType"] == "USER"
            assert ("recipientUserId" in log, "recipientEntityId" in log) == (is_user, not is_user)
            assert not is_user or "recipientChannel" not in log
            assert log["medium"] != "WEBHOOK" or not {"recipientChannel", "recipientEmail"} & log.keys()
            named[
                tenant, log["runId"], log["recipientType"], log.get("recipientUserId", log.get("recipientEntityId"))
            ] += 1
    assert set(named.values()) == {1}


def test_recipients_are_unusual() -> None:
    emails, channels = (values_seen(all_logs(), name) for name in ("recipientEmail", "recipientChannel"))
    assert {"noor@example.com", "NOOR@example.com"} <= emails
    assert set("+%'=&#<") <= set("".join(emails))
    assert {"م", "ü"} <= set("".join(emails))
    assert {"\u0301", "🚦", "\t", "<", "/", "ف"} <= set("".join(channels))
    assert max(log["id"] for log in all_logs()) > 2**53


def test_the_published_log_is_there() -> None:
    page = json.loads((FIXTURES / "published/123456" / PATH).read_bytes())
    assert [log["id"] for log in page["logs"]] == [9108]
    assert list(page) == ["logs", "page", "total", "totalPages"]
