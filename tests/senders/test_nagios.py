"""Nagios: a change of a state is an item with the outcome of the notification command."""

import re

import pytest

from notifhist.run.record import NO_RESULT
from tests.senders.lab import CRITICAL, OK, Lab, assert_a_change_while_the_history_is_away_is_there_once, result_of
from tests.system.service import wait_until

PIPELINE = (
    r"""/usr/bin/printf "%b" "$NOTIFICATIONTYPE$: $SERVICEOUTPUT$\n" | {wrapper} --preset none --source nagios """
    '--entity "$HOSTNAME$" --alarm "$SERVICEDESC$" --state "$SERVICESTATE$" --previous-state "$LASTSERVICESTATE$" '
    '--status "$SERVICEOUTPUT$" --plan "$CONTACTNAME$" --recipient "$CONTACTEMAIL$" '
    '--transaction "$SERVICEPROBLEMID$-$LASTSERVICEPROBLEMID$" -- {folder}/notify -s subject $CONTACTEMAIL$'
)
PLAIN = "{wrapper} -- {folder}/notify $CONTACTEMAIL$"


def start(lab: Lab, command: str, *, macros: int = 0, timeout: int = 30) -> None:
    """Start Nagios as the user who runs the tests, and wait until it has seen that all is well."""
    (lab.folder / "nagios" / "results").mkdir(parents=True)
    line = command.format(wrapper=" ".join(lab.wrapper), folder=lab.folder)
    lab.configure("nagios-objects.cfg", COMMAND=line)
    lab.start("nagios4", lab.configure("nagios.cfg", MACROS=macros, TIMEOUT=timeout))
    lab.wait_for_checks()


def test_a_pipeline_with_arguments_is_an_item_with_the_outcome(lab: Lab) -> None:
    start(lab, PIPELINE)
    lab.set_state(CRITICAL)
    item = lab.wait_for("CRITICAL")
    assert item["previous_state"] == "OK"
    assert item["status"] == "state 2: /var is 97% full"
    assert item["notification_plan_id"] == "ops"
    assert item["transaction_id"] == "1-0"
    assert item["source"].items() >= {"feed": "run", "preset": "none", "tool": "nagios"}.items()
    result = result_of(item)
    assert (result["notification_id"], result["notification_details"]["to"]) == ("ops", "ops@example.net")
    assert (result["success"], result["message"]) == (False, "exit 3: cannot connect")
    assert (lab.folder / "input").read_text() == "PROBLEM: state 2: /var is 97% full\n"

    lab.set_code(0)
    lab.set_state(OK)
    recovery = lab.wait_for("OK")
    assert recovery["previous_state"] == "CRITICAL"
    assert recovery["transaction_id"] in ("1-0", "0-1")  # as a soft or a hard state, whose number is moved later
    assert result_of(recovery)["success"] is True
    assert lab.ignores_broken_pipes()  # as without a wrapper
    assert "exited with return code 3" in (lab.folder / "nagios/log").read_text()  # the command's own


def test_with_environment_macros_nothing_needs_to_be_said(lab: Lab) -> None:
    start(lab, PLAIN, macros=1)
    lab.set_state(CRITICAL)
    item = lab.wait_for("CRITICAL")
    assert item["source"]["preset"] == "nagios"
    assert re.fullmatch(r"nagios/\d+/PROBLEM", item["transaction_id"])
    assert result_of(item)["notification_details"].items() >= {"notification": "PROBLEM", "number": "1"}.items()


def test_a_change_while_the_history_is_away_is_there_once_it_is_back(lab: Lab) -> None:
    start(lab, PIPELINE)
    assert_a_change_while_the_history_is_away_is_there_once(lab)


@pytest.mark.parametrize("command", [PIPELINE, PLAIN])
def test_a_command_that_nagios_kills_is_told_as_no_result(lab: Lab, command: str) -> None:
    lab.let_hang()
    start(lab, command, macros=1, timeout=2)
    lab.set_state(CRITICAL)
    wait_until(lambda: "timed out after" in (lab.folder / "nagios/log").read_text())
    lab.flush()
    result = result_of(lab.wait_for("CRITICAL"))
    assert result["message"] == NO_RESULT
    assert "success" not in result
    assert result["attempts"][0]["output_tail"] == "connecting\n"
