"""The caller sees the exit code or the signal of the command, whatever it is; so does the record."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.run.runs import PATIENCE_S, Runs, sh
from tests.system.commands import run as command_line

FEW_CODES, ALL_CODES = (0, 1, 2, 75, 126, 127, 128, 143, 255), range(256)


@pytest.mark.parametrize("codes", [FEW_CODES, pytest.param(ALL_CODES, marks=pytest.mark.long)], ids=["few", "all"])
def test_exit_codes_and_every_signal_reach_the_caller_and_the_record(runs: Runs, codes: Sequence[int]) -> None:
    command = [sys.executable, "-m", "tests.run.every_status", *map(str, codes)]
    done = subprocess.run(command, env=runs.environment(), capture_output=True, text=True, timeout=PATIENCE_S)
    statuses = json.loads(done.stdout)
    assert len(statuses) > len(codes) + 40
    assert {end: pair for end, pair in statuses.items() if pair[0] != pair[1]} == {}

    told = [record["item"]["notification_results"][0] for record in runs.records()]
    recorded = [result["attempts"][0]["exit_code"] for result in told]
    assert sorted(code for code in recorded if code is not None) == list(codes)
    assert [result["success"] for result in told] == [code == 0 for code in recorded]
    names = {result["attempts"][0]["signal"] for result in told}
    assert {"SIGKILL", "SIGTERM", "SIGSEGV", "SIGPIPE", None} < names


@pytest.mark.parametrize(("words", "code"), [(["/nowhere/mail"], 127), (["no-such-command"], 127), (["/etc"], 126)])
def test_a_command_that_cannot_be_started_ends_as_in_a_shell(runs: Runs, words: list[str], code: int) -> None:
    done = runs.run("--", *words)
    assert done.returncode == code
    assert words[0].encode() in done.stderr
    result = runs.result()
    assert (result["success"], result["attempts"][0]["exit_code"]) == (False, code)
    assert result["message"].startswith(f"exit {code}: ")


def test_other_codes_may_mean_success(runs: Runs) -> None:
    assert runs.run("--success-codes", "0,75", *sh("exit 75")).returncode == 75
    assert runs.result()["success"] is True


def test_what_the_command_said_last_is_the_message(runs: Runs) -> None:
    runs.run(*sh("echo connecting; echo 'mail: cannot connect' >&2; exit 75"))
    result = runs.result()
    assert result["message"] == "exit 75: mail: cannot connect"
    attempt = result["attempts"][0]
    assert attempt["message"] == result["message"]
    assert attempt["output_tail"] == "connecting\nmail: cannot connect\n"
    assert (attempt["exit_code"], attempt["signal"]) == (75, None)


def test_output_that_is_no_text_is_kept_as_text(runs: Runs) -> None:
    runs.run(*sh(r"printf 'a\377\000b\n'"))
    assert runs.result()["attempts"][0]["output_tail"] == "a\ufffd\ufffdb\n"


def test_the_end_of_each_stream_is_kept_at_most_4_kib(runs: Runs) -> None:
    script = "import sys; print('x' * 9000 + 'out'); print('y' * 9000 + 'err', file=sys.stderr)"
    runs.run("--", sys.executable, "-c", script)
    out, err = runs.result()["attempts"][0]["output_tail"].splitlines()
    assert out == "x" * (4096 - 4) + "out"
    assert err == "y" * (4096 - 4) + "err"


def test_a_started_command_has_a_record_that_a_killed_wrapper_leaves(runs: Runs) -> None:
    with runs.start(*sh("echo connecting; read line"), stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        runs.wait_for_output(b"connecting\n")
        (record,) = runs.records()
        assert record["item"]["notification_results"][0]["in_progress"] is True
        assert record["item"]["source"]["pid"] == process.pid
        process.kill()
        assert process.wait(PATIENCE_S) == -signal.SIGKILL
    item_id = record["item"]["id"]
    assert runs.records() == [record]
    assert (runs.own / f"{item_id}.out").read_text() == "connecting\n"


def test_the_folder_and_its_files_are_the_users_alone(runs: Runs) -> None:
    runs.run(*sh("exit 0"))
    (file,) = runs.own.iterdir()
    assert (runs.own.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert runs.own.stat().st_uid == os.geteuid()


def test_the_record_is_a_line_that_load_reads(runs: Runs, sqlite_database: str) -> None:
    runs.run("--entity", "db3", "--alarm", "disk /var", *sh("exit 4"))
    (file,) = runs.own.iterdir()
    assert "Stored 1, there already 0, bad 0." in command_line(sqlite_database, "load", file).output
