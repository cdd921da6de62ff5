"""The mapping of Apprise's results, and their way into the spool."""

import asyncio
import json
import logging
import os
import uuid
from pathlib import Path
from typing import Any

import pytest

from notifhist.feeds.apprise import record, watch
from notifhist.feeds.apprise_results import map_result
from notifhist.feeds.feed import Mapped, Origin
from tests.payloads import APPRISE_RESULT, payload

ACME = Origin("acme", received_ticks=0)
ABOUT = {
    "entity_id": "db3.example.net",
    "alarm_id": "disk /var",
    "state": "failure",
    "title": "PROBLEM disk /var",
    "plan": "ops",
    "from": "mon1",
}


class Result:
    """What `notify` returns, without Apprise."""

    def __init__(self, document: Any) -> None:
        self._text = json.dumps(document)

    def iter_json(self) -> list[str]:
        """Return the JSON in pieces."""
        return [self._text[:10], self._text[10:]]


def result_of(*attempts: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a result of one service."""
    service = {"name": "Slack", "url": "slack://…", "url_id": "78856e6a", "attempts": list(attempts), **members}
    return {"status": "PARTIAL", "start_time": "2026-11-26T21:22:39.109686+0000", "results": [service]}


def mapped_service(*attempts: dict[str, Any], **members: Any) -> Any:
    (derived,) = map_result({"result": result_of(*attempts, **members)}, ACME).items
    (service,) = derived.item["notification_results"]
    return service


def attempt_of(status: str, elapsed: float = 0.5, *messages: str) -> dict[str, Any]:
    logs = [{"level": "WARNING", "message": message} for message in messages]
    return {"status": status, "elapsed": elapsed, "start_time": "2026-11-26T21:22:39Z", "logs": logs}


def test_a_result_becomes_an_item() -> None:
    expected = payload("apprise.mapped")
    (derived,) = map_result({**ABOUT, "result": payload(APPRISE_RESULT)}, ACME).items
    place = {"entity_id": derived.entity_id, "alarm_id": derived.alarm_id, "check_id": derived.check_id}
    assert json.dumps({"tenant": "acme", **place, "item": derived.item}) == json.dumps(expected)


def test_an_optional_service_that_failed_has_failed() -> None:
    service = mapped_service(attempt_of("FAILURE", 0.5, "one", "two"), status="SUCCESS", optional=True)
    assert (service["success"], service["message"]) == (False, "FAILURE")
    assert service["attempts"][0]["message"] == "one\ntwo"


def test_after_a_timeout_the_outcome_is_unknown() -> None:
    service = mapped_service(attempt_of("FAILURE"), attempt_of("TIMEOUT", 5.0))
    assert "success" not in service
    assert "may still arrive" in service["message"]
    assert ["success" in each for each in service["attempts"]] == [True, False]


def test_an_attempt_that_was_not_made_leaves_the_outcome_of_the_one_before() -> None:
    service = mapped_service(attempt_of("FAILURE"), attempt_of("TIMEOUT", 0.0))
    assert (service["success"], service["message"]) == (False, "FAILURE")
    assert "before this attempt began" in service["attempts"][1]["message"]


def test_what_matched_no_service_was_not_sent() -> None:
    logs = [{"level": "ERROR", "message": "There are no service(s) to notify"}]
    result = {**result_of(), "status": "NOMATCH", "results": [], "call_logs": logs}
    (derived,) = map_result({"result": result}, ACME).items
    assert derived.item["notification_results"] == []
    assert derived.item["source"]["not_sent"] == "NOMATCH"
    assert derived.item["source"]["log"] == ["There are no service(s) to notify"]


def test_without_names_it_stands_under_that_of_the_feed() -> None:
    (derived,) = map_result({"result": result_of()}, ACME).items
    assert (derived.entity_id, derived.alarm_id, derived.check_id) == ("apprise", "-", "apprise")
    assert derived.item["state"] == "unknown"


@pytest.mark.parametrize(
    ("body", "ignored"),
    [
        (None, {"no_result": 1}),
        ([], {"no_result": 1}),
        ({"result": True}, {"no_result": 1}),
        ({"result": {"results": {}}}, {"no_result": 1}),
        ({"result": {"results": [], "start_time": "now"}}, {"no_time": 1}),
    ],
)
def test_what_is_no_result_is_counted(body: Any, ignored: dict[str, int]) -> None:
    assert map_result(body, ACME) == Mapped(ignored=ignored)  # type: ignore[arg-type]  # a dict equals a Counter


def test_odd_services_and_attempts_are_no_obstacle() -> None:
    odd = {"elapsed": "long", "start_time": 5, "logs": [None, {"message": 7}], "status": ["SUCCESS"]}
    result = {**result_of(odd, url=None, url_id=None, tag=[5, "ops"], max_attempts={}, name=None), "status": 7}
    result["results"] += [None, {"attempts": "none"}]
    (derived,) = map_result({"result": result}, ACME).items
    first, *others = derived.item["notification_results"]
    assert first["attempts"] == [{"message": "", "from": "apprise"}]
    assert (first["notification_type"], first["notification_details"]["tag"]) == ("unknown", ["ops"])
    assert [each["attempts"] for each in others] == [[], []]


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this user in a spool."""
    monkeypatch.setenv("NOTIFHIST_SPOOL", str(tmp_path))
    monkeypatch.setenv("NOTIFHIST_TENANT", "acme")
    return tmp_path / str(os.geteuid())


def spooled(spool: Path) -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted(spool.glob("*.ndjson"))]


def test_record_writes_a_line_of_the_spool(spool: Path) -> None:
    result = Result(payload(APPRISE_RESULT))
    told = {"entity": "db3.example.net", "alarm": "disk /var", "state": "failure", "title": "PROBLEM disk /var"}
    assert record(result, **told, plan="ops") is result
    (line,) = spooled(spool)
    expected, host = payload("apprise.mapped"), os.uname().nodename
    for service in expected["item"]["notification_results"]:
        for attempt in service["attempts"]:
            attempt["from"] = host
    assert line == expected
    assert uuid.UUID(line["item"]["id"]).version == 1


def test_record_names_this_host_unless_an_entity_is_given(spool: Path) -> None:
    record(Result(result_of()))
    (line,) = spooled(spool)
    assert (line["entity_id"], line["alarm_id"], line["check_id"]) == (os.uname().nodename, "-", "apprise")


class Broken:
    def iter_json(self) -> list[str]:
        raise RuntimeError("the log's file is gone")


@pytest.mark.parametrize("result", [True, None, Broken(), Result([]), Result({"results": 5})])
def test_record_never_raises(result: Any, spool: Path, caplog: Any) -> None:
    assert record(result) is result
    assert spooled(spool) == []
    assert "A notification is not recorded: " in caplog.text


@pytest.mark.parametrize(
    ("variable", "value", "warning"),
    [("NOTIFHIST_TENANT", "", "no tenant"), ("NOTIFHIST_SPOOL", "/dev/null/none", "Not a directory")],
)
def test_a_record_that_cannot_be_written_is_logged(
    variable: str, value: str, warning: str, spool: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setenv(variable, value)
    with caplog.at_level(logging.WARNING):
        record(Result(result_of()))
    assert warning in caplog.text
    assert spooled(spool) == []


class Watched:
    """What of `Apprise` is watched."""

    def notify(self, body: str, title: str = "", notify_type: str = "info") -> Result:
        return Result(result_of())

    async def async_notify(self, *arguments: Any, **named: Any) -> Result:
        later = {**result_of(), "start_time": "2026-11-26T21:23:00Z"}
        return Result(later)


def test_watch_records_both_ways_to_notify(spool: Path) -> None:
    watched = watch(Watched(), entity="db3", alarm="disk")
    watched.notify("97 %", b"PROBLEM disk", notify_type="failure")  # type: ignore[arg-type]  # Apprise takes bytes
    asyncio.run(watched.async_notify(body="3 %"))
    said = [(line["item"]["state"], line["item"].get("status")) for line in spooled(spool)]
    assert sorted(said, key=str) == [("failure", "PROBLEM disk"), ("info", None)]
    assert {line["entity_id"] for line in spooled(spool)} == {"db3"}
