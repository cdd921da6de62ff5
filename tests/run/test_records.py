"""The records equal the published examples, and presets read what the tools really set."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifhist.run import record as records
from notifhist.run.option_table import PRESET_NAMES
from notifhist.run.options import parse_options
from notifhist.run.presets import PRESETS, describe
from notifhist.run.record import Caller, Ended
from notifhist.run.texts import shorten
from notifhist.schemas.fields import is_path_id
from notifhist.schemas.history import HistoryItemSchema

EXAMPLES = Path(__file__).parent / "examples"
STARTED_NS = 1795727331357291500
CALLER = Caller("acme", "mon1", 24985, 103, STARTED_NS)
SCRIPT = "/etc/icinga2/scripts/mail-service-notification.sh"


def example(name: str) -> Any:
    return json.loads((EXAMPLES / name).read_text())


def started(arguments: Sequence[str], variables: Mapping[str, str]) -> records.Record:
    options = parse_options(arguments, variables)
    return records.started(CALLER, describe(options, variables, "mon1"), options.command, options.set)


def by_icinga2() -> records.Record:
    """The record of the examples: Icinga 2 set these variables."""
    return started(["--", SCRIPT, "-r", "ops@example.net", "…"], example("icinga2-env.json")["env"])


def test_a_started_run_is_as_published() -> None:
    assert by_icinga2() == example("run-spool-started.json")


def test_a_finished_run_is_as_published() -> None:
    ended = Ended(STARTED_NS, 212_000_000, 75, "mail: cannot connect\n")
    record = records.finished(records.with_attempt(by_icinga2(), ended), success=False)
    expected = example("run-spool-finished.json")
    assert record == expected
    assert json.dumps(record["item"]["notification_results"]) == json.dumps(expected["item"]["notification_results"])


def test_a_killed_run_is_as_published() -> None:
    record = records.without_result(by_icinga2(), "connecting to smtp.example.net:25 ...\n")
    assert record == example("run-spool-killed.json")


def of(record: records.Record) -> dict[str, Any]:
    """Return the ids, the members of the item and of its result, in one."""
    (result,) = record["item"]["notification_results"]
    ids = {name: record[name] for name in ("entity_id", "alarm_id", "check_id")}
    return {**ids, **record["item"], **result, **result["notification_details"], **record["item"]["source"]}


def test_the_scripts_of_icinga2_tell_by_their_arguments() -> None:
    words = ["-d", "now", "-e", "load", "-l", "db3", "-n", "Database", "-o", "high", "-r", "ops@example.net"]
    words += ["-s", "CRITICAL", "-t", "PROBLEM", "-u", "Load"]
    told = of(started(["--", SCRIPT, *words], {"HOSTNAME": "container"}))
    assert (
        told.items()
        >= {
            "preset": "icinga2",
            "entity_id": "db3",
            "alarm_id": "load",
            "check_id": "load",
            "state": "CRITICAL",
            "status": "high",
            "to": "ops@example.net",
            "notification": "PROBLEM",
            "transaction_id": "icinga2/db3!load/PROBLEM",
            "notification_id": "ops@example.net",
        }.items()
    )
    host = "/etc/icinga2/scripts/mail-host-notification.sh"
    told = of(started(["--", host, "-l", "db3", "-s", "DOWN", "-t", "PROBLEM"], {}))
    assert (told["alarm_id"], told["state"], told["transaction_id"]) == ("host", "DOWN", "icinga2/db3/PROBLEM")


def test_a_host_of_icinga2_is_the_alarm_host() -> None:
    variables = example("icinga2-env.json")["env"]
    variables |= {"SERVICENAME": "", "SERVICESTATE": "", "HOSTSTATE": "DOWN", "HOSTOUTPUT": "no answer"}
    told = of(started(["--", "mail"], variables))
    assert (told["alarm_id"], told["state"], told["previous_state"]) == ("host", "DOWN", "UP")
    assert (told["status"], told["transaction_id"]) == ("no answer", "icinga2/db3.example.net/PROBLEM")


NAGIOS = {
    "NAGIOS_NOTIFICATIONTYPE": "RECOVERY",
    "NAGIOS_HOSTNAME": "db3",
    "NAGIOS_SERVICEDESC": "disk /var",
    "NAGIOS_SERVICESTATE": "OK",
    "NAGIOS_LASTSERVICESTATE": "CRITICAL",
    "NAGIOS_SERVICEOUTPUT": "fine",
    "NAGIOS_CONTACTNAME": "ops",
    "NAGIOS_CONTACTEMAIL": "ops@example.net",
    "NAGIOS_SERVICEPROBLEMID": "0",
    "NAGIOS_LASTSERVICEPROBLEMID": "7",
    "NAGIOS_SERVICENOTIFICATIONNUMBER": "3",
    "NAGIOS_NOTIFICATIONISESCALATED": "0",
    "NAGIOS_HOSTSTATE": "UP",
}


def test_nagios_tells_by_its_macros() -> None:
    told = of(started(["--", "/usr/bin/mail", "-s", "x"], NAGIOS))
    assert (
        told.items()
        >= {
            "preset": "nagios",
            "entity_id": "db3",
            "alarm_id": "disk ∕var",
            "state": "OK",
            "previous_state": "CRITICAL",
            "status": "fine",
            "notification_plan_id": "ops",
            "notification_id": "ops",
            "notification_type": "mail",
            "to": "ops@example.net",
            "transaction_id": "nagios/7/RECOVERY",
            "notification": "RECOVERY",
            "number": "3",
            "escalated": "0",
        }.items()
    )


def test_monit_tells_by_its_variables() -> None:
    first = example("monit-env.json")[0]["env"]
    told = of(started(["--", "/usr/local/bin/tell"], first))
    assert (
        told.items()
        >= {
            "preset": "monit",
            "entity_id": "vm",
            "alarm_id": "disk_var",
            "state": "Status failed",
            "status": "status failed (2) -- state 2: /var is 97% full | used=97%",
            "notification_id": "tell",
            "program_status": "2",
        }.items()
    )
    assert "previous_state" not in told
    assert "notification_plan_id" not in told


def test_without_a_tool_the_command_and_the_host_are_all_that_is_known() -> None:
    told = of(started(["--", "/usr/local/bin/backup", "now"], {"HOSTNAME": "container", "PATH": "/bin"}))
    assert (told["preset"], told["entity_id"], told["alarm_id"], told["check_id"]) == (
        "none",
        "mon1",
        "backup",
        "backup",
    )
    assert (told["state"], told["notification_type"], told["argv"]) == (
        "UNKNOWN",
        "backup",
        ["/usr/local/bin/backup", "now"],
    )


@pytest.mark.parametrize("preset", [name for name in PRESET_NAMES if name != "auto"])
def test_a_preset_of_an_absent_tool_tells_nothing(preset: str) -> None:
    told = of(started(["--preset", preset, "--", "mail"], {}))
    assert (told["preset"], told["entity_id"], told["alarm_id"], told["state"]) == (preset, "mon1", "mail", "UNKNOWN")


OPTIONS = {
    "entity": "entity_id",
    "alarm": "alarm_id",
    "check": "check_id",
    "state": "state",
    "previous-state": "previous_state",
    "status": "status",
    "plan": "notification_plan_id",
    "recipient": "to",
    "transaction": "transaction_id",
    "type": "notification_type",
}
"""The options about the notification, and the member that each of them is."""


@settings(max_examples=50)
@given(
    given=st.dictionaries(st.sampled_from(list(OPTIONS)), st.text(min_size=1, max_size=300)),
    by_variable=st.sets(st.sampled_from(list(OPTIONS))),
    tool=st.sampled_from(["none", "nagios", "icinga2"]),
    is_equated=st.booleans(),
)
def test_an_option_beats_its_variable_which_beats_what_the_tool_tells(
    given: dict[str, str], by_variable: set[str], tool: str, is_equated: bool
) -> None:
    variables = {"none": {}, "nagios": dict(NAGIOS), "icinga2": example("icinga2-env.json")["env"]}[tool]
    plain = of(started(["--", "mail"], variables))
    arguments = []
    for name, text in given.items():
        variable = f"NOTIFHIST_{name.upper().replace('-', '_')}"
        variables[variable] = text if name in by_variable else "what the option beats"
        if name not in by_variable:
            arguments += [f"--{name}={text}"] if is_equated else [f"--{name}", text]
    record = started([*arguments, "--", "mail"], variables)
    told = of(record)
    for name, member in OPTIONS.items():
        if name in given:
            fits = is_path_id(given[name]) and given[name] not in (".", "..")
            assert told[member] == given[name] or (member.endswith("_id") and not fits)
        elif (name, "alarm" in given) != ("check", True):
            assert told.get(member) == plain.get(member)
    assert all(is_path_id(record[name]) for name in ("entity_id", "alarm_id", "check_id"))
    assert HistoryItemSchema().validate(record["item"]) == {}


@given(st.dictionaries(st.sampled_from([*NAGIOS, *example("icinga2-env.json")["env"], "MONIT_EVENT"]), st.text()))
def test_whatever_the_variables_say_the_item_is_valid(variables: dict[str, str]) -> None:
    record = started(["--", SCRIPT, "-l", "x"], variables)
    assert HistoryItemSchema().validate(record["item"]) == {}
    assert all(is_path_id(record[name]) for name in ("tenant", "entity_id", "alarm_id", "check_id"))


@given(st.lists(st.text(max_size=2000), max_size=20))
def test_arguments_are_kept_up_to_a_bound(argv: list[str]) -> None:
    kept = shorten(argv)
    assert sum(map(len, kept)) <= 4001
    assert kept == argv or "…" in "".join(kept)


def test_an_empty_macro_is_no_option() -> None:
    told = of(started(["--previous-state", "", "--state=", "--", "mail"], {}))
    assert told["state"] == "UNKNOWN"
    assert "previous_state" not in told


def test_set_adds_to_the_source_and_cannot_change_it() -> None:
    source = started(["--set", "site=north", "--set", "feed=x", "--", "mail"], {})["item"]["source"]
    assert source == {"feed": "run", "preset": "none", "host": "mon1", "pid": 24985, "uid": 103, "site": "north"}


def test_the_presets_are_those_that_the_help_names() -> None:
    assert set(PRESET_NAMES) == {"auto", *PRESETS}
