import itertools
import json
import runpy
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from uuid import RFC_4122, UUID

import pytest

from tests.unit.fixture_files import (
    FIXTURES,
    LIFELIKE,
    TENANTS,
    all_runs,
    as_text,
    container,
    history_files,
    in_order,
    items,
    members_of,
    read_xml,
    runs,
    uuid_ms,
    values_seen,
)

ALONE = FIXTURES / "published/123456/entities/enOne/alarms/alOne"
CHONE_ITEM = "notification_history/chOne/646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"
SPAN = timedelta(days=6)
END = datetime(2026, 10, 7, 15, 30, tzinfo=UTC)

# As docs/contract.md lists them.
ITEM_VALUES = {
    "state": "OK WARNING CRITICAL",
    "previous_state": "OK WARNING CRITICAL",
    "notification_type": "email webhook pagerduty sms technicalContactsEmail managed",
    "in_progress": "true false",
    "success": "true false",
}
RUN_VALUES = {
    "notificationType": """
        INITIATIVE_CREATION INITIATIVE_CUSTOM_SCHEDULE INITIATIVE_N_DAYS_LEFT SERVICE_REEVALUATED
        WEEKLY_REPORT BROKEN_OPEN_API_SPEC ENTITLEMENT_EXPIRATION ONCALL_ASSISTANT
        ONBOARDING_MESSAGE NOTIFY_INVALID_INTEGRATION ONCALL_PERSON_CHANGED ONCALL_STARTS_IN_N_DAYS
        TEAM_MEMBER_INVITATION PENDING_RULE_EXEMPTION TOKEN_EXPIRES_IN_N_DAYS
        SCHEDULED_SCORECARD_RULE_CREATION SCORECARD_RULE_ACTIVATES_IN_N_DAYS WORKFLOW_STATUS_UPDATE
        WORKFLOW_APPROVAL_PENDING VERIFICATION_PERIOD_STARTED VERIFICATION_PERIOD_REMINDER
        AI_ASSISTANT_WELCOME_MESSAGE ENTITY_SCORE_DROPPED ONBOARDING_WIZARD_STATE_COMPLETED""",
    "status": "CREATED FAILED IGNORED COMPLETED COMPLETED_WITH_ERRORS",
    "medium": "SLACK MICROSOFT_TEAMS EMAIL WEBHOOK",
    "ignoredReason": "SCORECARD_DISABLED WORKSPACE_DISABLED NO_RECIPIENTS",
    "failedReason": "PACKET_GENERATOR_ERROR CONTEXT_RESOLUTION_ERROR MISSING_RECIPIENTS INTERNAL_ERROR",
    "type": "ENTITY SCORECARD INITIATIVE",  # of notificationObjects
}
RUN_MEMBERS = [
    "dateCreated",
    "dateUpdated",
    "deliveredCount",
    "errorMessage",
    "failedReason",
    "id",
    "ignoredReason",
    "medium",
    "notificationObjects",
    "notificationType",
    "originalRunId",
    "seqNo",
    "status",
    "summary",
]
RUN_OPTIONAL = {"errorMessage", "failedReason", "ignoredReason", "notificationObjects", "originalRunId", "summary"}
OBJECT_MEMBERS = ["cid", "id", "name", "tag", "type", "url"]


def test_generating_again_gives_the_same_bytes(tmp_path: Path) -> None:
    runpy.run_path(str(FIXTURES / "generate.py"))["write"](tmp_path / "again")
    written, again = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (LIFELIKE, tmp_path / "again")
    )
    assert sorted(written) == sorted(again)
    assert [path for path in written if written[path] != again[path]] == []
    assert sum(map(len, written.values())) < 3_000_000


def test_writing_leaves_nothing_else_there(tmp_path: Path) -> None:
    stale = tmp_path / "again" / "stale.json"
    stale.parent.mkdir()
    stale.write_text("{}")
    runpy.run_path(str(FIXTURES / "generate.py"))["write"](tmp_path / "again")
    assert not stale.exists()


def test_there_is_enough_of_everything() -> None:
    assert [path.name for path in sorted(LIFELIKE.iterdir())] == TENANTS
    assert len({path.parent for path in history_files()}) >= 20
    assert sum(path.suffix == ".xml" for path in history_files()) >= 4
    assert len(items()) >= 520
    assert len(all_runs()) >= 320
    assert len(values_seen(items(), "notification_plan_id")) >= 5
    assert len(values_seen(items(), "from")) >= 5


@pytest.mark.parametrize("name", ITEM_VALUES)
def test_every_value_of_items_occurs(name: str) -> None:
    assert values_seen(items(), name) == set(ITEM_VALUES[name].split())


@pytest.mark.parametrize("name", RUN_VALUES)
def test_every_value_of_runs_occurs(name: str) -> None:
    assert values_seen(all_runs(), name) == set(RUN_VALUES[name].split())


def test_paths_are_percent_encoded() -> None:
    for path in history_files():
        tenant, entities, entity, alarms, alarm, leaf, _ = path.relative_to(LIFELIKE).parts
        assert (tenant in TENANTS, entities, alarms, leaf) == (True, "entities", "alarms", "notification_history")
        for part in (entity, alarm, path.stem):
            assert quote(unquote(part, errors="strict"), safe="") == part
    ids = "".join(unquote(str(path.relative_to(LIFELIKE))) for path in history_files())
    assert {" ", "%", "+", "&", "<", '"', "ü", "\u0301", "خ", "ש", "東", "🚦"} <= set(ids)


@pytest.mark.parametrize("path", history_files(), ids=lambda path: path.name)
def test_a_history_is_a_container_as_a_list_answers_it(path: Path) -> None:
    document = container(path)
    items = document["values"]
    keys = [(UUID(item["id"]).time, item["id"]) for item in items]
    assert list(document) == ["values", "metadata"]
    assert in_order(document["metadata"]) == in_order(
        {"count": str(len(items)), "limit": "1000", "marker": "", "next_marker": "", "next_href": ""}
    )
    assert keys == sorted(set(keys))
    for before, item in itertools.pairwise(items):
        assert item.get("previous_state", before["state"]) == before["state"]


def test_every_id_says_its_timestamp() -> None:
    for item in items():
        uuid = UUID(item["id"])
        assert list(item)[:2] == ["id", "timestamp"]
        assert (uuid.version, uuid.variant, str(uuid)) == (1, RFC_4122, item["id"])
        assert str(uuid_ms(item["id"])) == item["timestamp"]
        assert END - SPAN <= datetime.fromtimestamp(uuid_ms(item["id"]) / 1000, UTC) <= END


def test_some_items_share_a_millisecond_a_tick_or_even_an_id() -> None:
    ids = [UUID(item["id"]) for path in history_files() for item in container(path)["values"]]
    pairs = list(itertools.pairwise(ids))
    assert any(a.time != b.time and uuid_ms(str(a)) == uuid_ms(str(b)) for a, b in pairs)
    assert any(a.time == b.time and a != b for a, b in pairs)
    assert len(set(ids)) < len(ids)  # in other checks


def test_results_end_in_every_way() -> None:
    results = [result for item in items() for result in item["notification_results"]]
    ways = Counter((r["in_progress"], r.get("success"), len(r["attempts"])) for r in results)
    assert {len(item["notification_results"]) for item in items()} >= {0, 1, 2, 3}
    assert ways["false", "true", 1] > 100  # at the first try
    assert ways["false", "true", 3]  # after retries
    assert ways["false", "false", 10]  # given up
    assert ways["true", "false", 0]  # not begun
    assert ways["true", "false", 2]  # going on
    orders = {"".join(m for m in r if m in {"message", "attempts"}) for r in results}
    assert {"messageattempts", "attemptsmessage"} <= orders


def test_every_outcome_of_deliveries_occurs() -> None:
    outcomes = Counter(outcome_of(item, result) for item in items() for result in item["notification_results"] or [{}])
    assert set(outcomes) == {"not_sent", "in_progress", "sent", "failed", "unknown"}
    assert min(outcomes.values()) >= 5


def outcome_of(item: dict[str, Any], result: dict[str, Any]) -> str:
    if not item["notification_results"] or item.get("suppressions"):
        return "not_sent"
    if result["in_progress"] == "true":
        return "in_progress"
    return {"true": "sent", "false": "failed", None: "unknown"}[result.get("success")]


@pytest.mark.parametrize("suffix", [".json", ".xml"])
def test_some_items_are_suppressed_and_some_say_their_zone(suffix: str) -> None:
    files = [path for path in history_files() if path.suffix == suffix]
    found = [item for path in files for item in container(path)["values"]]
    suppressed = [item for item in found if "suppressions" in item]
    assert {len(item["suppressions"]) for item in suppressed} == {1, 2}
    assert {bool(item["notification_results"]) for item in suppressed} == {True, False}
    zones = [item.get("analyzed_by_monitoring_zone_id") for item in found]
    assert None in zones
    assert len(set(zones)) > 4


def test_texts_are_unusual_in_json_and_xml() -> None:
    for suffix in (".json", ".xml"):
        documents = [container(path) for path in history_files() if path.suffix == suffix]
        texts = [value for _, value in members_of(documents) if isinstance(value, str)]
        assert set("&<>\"'") <= set("".join(texts))
        assert set(map(ord, "".join(texts))) - set(range(128))
    texts = [text for name in ("message", "status") for text in values_seen(items(), name)]
    assert {"", "\n", "\t", "\r", "ش", "ש", "🔥", "\u0301", "\u202e", "\x1b"} <= {"", *"".join(texts)}
    assert "" in texts
    assert max(map(len, texts)) > 4000


def test_members_are_unusual_too() -> None:
    path = LIFELIKE / "123456/entities/enHfYpo8A1/alarms/alf2CmFKqq/notification_history/chTnkIQyVB.json"
    items = json.loads(path.read_bytes())["values"]
    details = [r["notification_details"] for item in items for r in item["notification_results"]]
    assert {"trace_id", "tags", "x:evaluation"} <= {name for item in items for name in item}
    assert any(isinstance(value, dict) for each in details for value in each.values())
    assert any(isinstance(value, float) for each in details for value in each.values())
    assert {"id", "timestamp", "state", "notification_results"} in [set(item) for item in items]
    assert 2**64 - 1 in [value for _, value in members_of(items)]


@pytest.mark.parametrize("tenant", TENANTS)
def test_runs_are_as_published(tenant: str) -> None:
    for run in runs(tenant):
        assert list(run) == [name for name in RUN_MEMBERS if name in run]
        assert set(run) >= set(RUN_MEMBERS) - RUN_OPTIONAL
        assert None not in dict(members_of(run)).values()
        assert run.get("notificationObjects") != []
        for each in run.get("notificationObjects", []):
            assert list(each) == [name for name in OBJECT_MEMBERS if name in each]
            assert set(each) >= {"id", "name", "type"}
        for date in (run["dateCreated"], run["dateUpdated"]):
            assert len(date) == len("2026-10-07T15:30:00.000Z")
            assert date.endswith("Z")
            assert END - SPAN <= datetime.fromisoformat(date) <= END
        assert run["dateCreated"] <= run["dateUpdated"]
        assert ("failedReason" in run) == (run["status"] == "FAILED")
        assert ("ignoredReason" in run) == (run["status"] == "IGNORED")
        assert ("errorMessage" in run) == (run["status"] in {"FAILED", "COMPLETED_WITH_ERRORS"})
        assert (run["deliveredCount"] > 0) == run["status"].startswith("COMPLETED")


@pytest.mark.parametrize("tenant", TENANTS)
def test_runs_are_newest_first_and_retries_know_their_original(tenant: str) -> None:
    page = runs(tenant)
    by_id = {run["id"]: run for run in page}
    keys = [(run["dateCreated"], run["id"]) for run in page]
    retries = [run for run in page if run["seqNo"] > 0]
    assert keys == sorted(set(keys), reverse=True)
    assert len(by_id) == len(page)
    assert len({created for created, _ in keys}) < len(page)  # some were created together
    assert {run["id"] for run in retries} == {run["id"] for run in page if "originalRunId" in run}
    assert retries
    for run in retries:
        original = by_id[run["originalRunId"]]
        assert (original["status"], original["seqNo"]) == ("FAILED", 0)
        assert original["notificationType"] == run["notificationType"]
        assert original["dateCreated"] < run["dateCreated"]


def test_runs_have_members_and_objects_that_others_lack() -> None:
    page = all_runs()
    objects = [each for run in page for each in run.get("notificationObjects", [])]
    assert min(run["id"] for run in runs("123456")) == 1001
    assert len(page) / 2 < sum("notificationObjects" in run for run in page) < len(page)
    for members, documents in (({"summary", "errorMessage"}, page), ({"cid", "tag", "url"}, objects)):
        for name in members:
            assert 0 < sum(name in each for each in documents) < len(documents)


@pytest.mark.parametrize("name", ["notification_history", "notification_history/chOne", CHONE_ITEM])
def test_the_published_examples_say_the_same_in_json_and_xml(name: str) -> None:
    from_json = as_text(json.loads((ALONE / f"{name}.json").read_bytes()))
    assert in_order(read_xml(ALONE / f"{name}.xml")) == in_order(from_json)


def test_the_published_histories_are_what_discovery_names() -> None:
    found = json.loads((ALONE / "notification_history.json").read_bytes())["check_ids"]
    assert sorted(path.stem for path in ALONE.glob("notification_history/*.json")) == found
    one, two = (json.loads((ALONE / f"notification_history/{check}.json").read_bytes()) for check in found)
    assert one["values"] == [json.loads((ALONE / f"{CHONE_ITEM}.json").read_bytes())]
    for item in one["values"] + two["values"]:
        assert (UUID(item["id"]).version, uuid_ms(item["id"])) == (1, item["timestamp"])
        assert item["timestamp"] // 3_600_000 == 1320885544875 // 3_600_000


def test_the_published_runs_and_errors_are_there() -> None:
    page = json.loads((FIXTURES / "published/123456/api/v1/notifications/logs/run.json").read_bytes())
    errors = {path.name: json.loads(path.read_bytes()) for path in (FIXTURES / "published/errors").iterdir()}
    assert [list(run) for run in page["runs"]] == [[name for name in RUN_MEMBERS if name != "summary"]]
    assert list(errors["runs-403.json"]) == [
        "details",
        "gatewayHttpStatus",
        "httpStatus",
        "message",
        "requestId",
        "type",
    ]
    assert list(errors["runs-429.json"]) == ["detail", "instance", "retryAfter", "status", "title", "type"]
