"""Icinga 2: a change of a state is an item with the outcome of the notification command."""

import os

import pytest

from notifhist.run.record import NO_RESULT
from tests.senders.lab import CRITICAL, OK, Lab, assert_a_change_while_the_history_is_away_is_there_once, result_of
from tests.system.service import wait_until

FOLDERS = {"DataDir": "data", "LogDir": "log", "CacheDir": "cache", "SpoolDir": "spool", "InitRunDir": "run"}


def start(lab: Lab, command: str = "by-environment", timeout: str = "60s") -> None:
    """Start Icinga 2 as the user who runs the tests, and wait until it has seen that all is well."""
    wrapper = ", ".join(f'"{word}"' for word in lab.wrapper)
    config = lab.configure("icinga2.conf", WRAPPER=wrapper, COMMAND=command, TIMEOUT=timeout)
    for folder in FOLDERS.values():
        (lab.folder / "icinga" / folder).mkdir(parents=True)
    options = [f"-D{name}={lab.folder}/icinga/{folder}" for name, folder in FOLDERS.items()]
    user = {"ICINGA2_USER": lab.user, "ICINGA2_GROUP": lab.group}
    lab.start("icinga2", "daemon", "-c", config, *options, f"-DConfigDir={lab.folder}", "-x", "notice", **user)
    lab.wait_for_checks()


def test_a_change_is_an_item_with_the_outcome(lab: Lab) -> None:
    start(lab)
    lab.set_state(CRITICAL)
    item = lab.wait_for("CRITICAL")
    assert item["previous_state"] == "OK"
    assert item["status"] == "state 2: /var is 97% full"
    assert item["notification_plan_id"] == "ops"
    assert item["transaction_id"] == "icinga2/db3.example.net!disk /var/PROBLEM"
    assert item["source"].items() >= {"feed": "run", "preset": "icinga2", "uid": os.geteuid()}.items()
    result = result_of(item)
    assert (result["notification_id"], result["notification_type"]) == ("ops", "notify")
    assert result["notification_details"] == {
        "to": "ops@example.net",
        "notification": "PROBLEM",
        "argv": [f"{lab.folder}/notify", "-r", "ops@example.net"],
    }
    assert (result["success"], result["message"]) == (False, "exit 3: cannot connect")
    assert result["attempts"][0]["output_tail"] == "connecting\ncannot connect\n"

    lab.set_code(0)
    lab.set_state(OK)
    recovery = lab.wait_for("OK")
    assert (recovery["previous_state"], result_of(recovery)["success"]) == ("CRITICAL", True)
    assert lab.calls() == ["-r|ops@example.net|"] * 2
    assert "exit code 3" in lab.log()  # Icinga 2 saw the command's own code
    assert lab.ignores_broken_pipes()  # as it does without a wrapper


def test_a_command_without_variables_tells_by_its_arguments(lab: Lab) -> None:
    start(lab, "by-arguments")
    lab.set_state(CRITICAL)
    item = lab.wait_for("CRITICAL")
    assert item["source"]["preset"] == "icinga2"
    assert item["transaction_id"] == "icinga2/db3.example.net!disk /var/PROBLEM"
    assert item["status"] == "state 2: /var is 97% full"
    assert result_of(item)["notification_id"] == "ops@example.net"
    assert lab.calls()[0].startswith("-e|disk /var|-l|db3.example.net|")


def test_a_change_while_the_history_is_away_is_there_once_it_is_back(lab: Lab) -> None:
    start(lab)
    assert_a_change_while_the_history_is_away_is_there_once(lab)


@pytest.mark.parametrize("timeout", ["1s", "2s"])
def test_a_command_that_icinga2_ends_is_told_as_ended(lab: Lab, timeout: str) -> None:
    """It sends TERM, and KILL a tenth later; both may come at once, and then only the timer finds the record."""
    lab.let_hang()
    start(lab, timeout=timeout)
    lab.set_state(CRITICAL)
    wait_until(lab.calls)
    wait_until(lambda: "killed" in lab.log().lower() or "terminat" in lab.log().lower())

    def is_there() -> bool:
        lab.flush()
        return bool(lab.items())

    wait_until(is_there)
    result = result_of(lab.wait_for("CRITICAL"))
    assert result["message"] in ("killed by SIGTERM: connecting", NO_RESULT)
    assert result.get("success", False) is False
    assert result["attempts"][0]["output_tail"] == "connecting\n"
