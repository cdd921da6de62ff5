"""Members that a test misspells, and those of its own that look like it."""

from typing import Any

import pytest

from notifhist.testing import Notifhist
from notifhist.testing.deployed import DeployedNotifhist
from notifhist.testing.files import Files
from notifhist.testing.keys import Key

FAILED = pytest.fail.Exception
RESULT = {"notification_type": "email", "in_progress": False}


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"staet": "OK"}, r"staet: did you mean state\? If staet is a member of your own, give state too\."),
        ({"Status": "x"}, r"Status: did you mean status\?"),
        ({"previousState": "x"}, r"previousState: did you mean previous_state\?"),
        ({"notification_result": []}, r"notification_result: did you mean notification_results\?"),
        ({"ID": "x"}, r"ID: did you mean id\?"),
        ({"previuos_staet": "x"}, r"previuos_staet: did you mean previous_state\?"),
        ({"entity_id": "web"}, r"entity_id: did you mean entity\?"),
        ({"checkId": "web"}, r"checkId: did you mean check\?"),
        ({"notification_results": [RESULT, RESULT | {"sucess": True}]}, r"results\[1\]\.sucess: did you mean success"),
        ({"notification_results": [{"attempts": [{"From": "x"}]}]}, r"results\[0\]\.attempts\[0\]\.From: did you mean"),
    ],
)
def test_a_misspelt_member_fails_the_test(members: dict[str, Any], said: str, notifhist: Notifhist) -> None:
    with pytest.raises(FAILED, match=f"^The item cannot be recorded. .*{said}"):
        notifhist.item(**members)
    assert notifhist.get("/entities").json["values"] == []


@pytest.mark.parametrize(
    "members",
    [
        {"colour": "red", "region": "eu", "pid": 5, "site": "x", "severity": "high", "notification_name": "x"},
        {"stage": "production", "state": "OK"},
        {"start": 1, "started": 2, "starts": 3, "stats": {}, "states": [], "checks": [], "alarms": [], "notes": "x"},
        {"previous_state_id": 1, "last_state": "OK", "started_at": 5, "state_since": 5},
        {"notification_results": [{"message_id": "x", "success_at": 5, "progress": 1, "notification_time": 5}]},
        {"statuses": [], "status": None, "state": "OK"},
        {"entity": "web", "entity_id": "x"},
        {"notification_results": [RESULT | {"notification_types": [], "success": True, "successes": 2}]},
        {"notification_results": [{"notification_details": {"sucess": True, "messages": []}}]},
    ],
)
def test_members_of_ones_own_are_stored(members: dict[str, Any], notifhist: Notifhist) -> None:
    recorded = notifhist.item(**members)
    assert recorded.items() >= {name: value for name, value in members.items() if name != "entity" and value}.items()


def test_runs_and_logs_say_what_is_meant(notifhist: Notifhist) -> None:
    with pytest.raises(
        FAILED, match=r"^The run cannot be recorded. notification_type: did you mean notificationType\?"
    ):
        notifhist.run(notification_type="WEEKLY_REPORT")
    with pytest.raises(FAILED, match=r"notificationObjects\[0\]\.nmae: did you mean name\?$"):
        notifhist.run(notificationObjects=[{"id": 1, "nmae": "n", "type": "ENTITY"}])
    with pytest.raises(FAILED, match=r"^The log cannot be recorded. run_id: did you mean runId\?$"):
        notifhist.log(run_id=1)


def test_a_deployed_service_is_sent_no_misspelt_member(notifhist: Notifhist) -> None:
    deployed = DeployedNotifhist(notifhist.url, Key(notifhist.key()), notifhist.tenant, Files(()))
    with pytest.raises(FAILED, match=r"did you mean status\?"):
        deployed.item(statsu="x")
    with pytest.raises(FAILED, match=r"did you mean medium\?"):
        deployed.run(mediun="x")
    assert notifhist.requests == []
