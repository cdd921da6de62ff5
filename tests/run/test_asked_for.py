"""What is done only if it is asked for: retries, a timeout, redaction; and what is told by the help."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from notifhist.run.option_table import OPTIONS
from tests.run.runs import PATIENCE_S, Runs, sh

THIRD_TIME = 'echo x >> tries; [ "$(wc -l < tries)" = 3 ] && exit 0; echo "try failed" >&2; exit 4'


def test_a_failing_command_is_run_once(runs: Runs, tmp_path: Path) -> None:
    assert runs.run(*sh(THIRD_TIME), cwd=tmp_path).returncode == 4
    assert len(runs.result()["attempts"]) == 1


def test_each_retry_is_an_attempt(runs: Runs, tmp_path: Path) -> None:
    done = runs.run("--retries", "5", "--retry-delay", "0.01", *sh(THIRD_TIME), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"try failed\n" * 2)
    result = runs.result()
    assert [each["exit_code"] for each in result["attempts"]] == [4, 4, 0]
    assert [each["message"] for each in result["attempts"]] == ["exit 4: try failed"] * 2 + ["exit 0"]
    assert (result["success"], result["message"], result["in_progress"]) == (True, "exit 0", False)


def test_retries_end(runs: Runs) -> None:
    assert runs.run("--retries", "2", "--retry-delay", "0", *sh("exit 9")).returncode == 9
    result = runs.result()
    assert (result["success"], len(result["attempts"])) == (False, 3)


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_each_attempt_gets_the_whole_input(runs: Runs, tmp_path: Path, kind: str) -> None:
    """A pipeline that ends in a mail program has its text in a pipe."""
    script = f"cat >> copies; {THIRD_TIME}"
    options = ("--retries", "2", "--retry-delay", "0", *sh(script))
    text = b"subject\n" + b"x" * 200_000
    if kind == "pipe":
        assert runs.run(*options, given=text, cwd=tmp_path).returncode == 0
    else:
        (tmp_path / "text").write_bytes(b"skipped" + text)
        with (tmp_path / "text").open("rb", buffering=0) as file:
            file.read(len(b"skipped"))
            assert runs.run(*options, stdin=file, cwd=tmp_path).returncode == 0
    assert (tmp_path / "copies").read_bytes() == text * 3


def test_a_signal_ends_the_waiting_for_the_next_attempt(runs: Runs) -> None:
    with runs.start("--retries", "3", "--retry-delay", "60", *sh("echo failed; exit 9")) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while not any(record["item"]["notification_results"][0]["attempts"] for record in runs.records()):
            assert process.poll() is None
        process.terminate()
        assert process.wait(PATIENCE_S) == -signal.SIGTERM
    result = runs.result()
    assert (result["success"], len(result["attempts"])) == (False, 1)


def test_a_command_whose_time_is_up_is_ended(runs: Runs) -> None:
    done = runs.run("--timeout", "0.2", *sh("echo started; exec sleep 60"))
    assert (done.returncode, done.stdout) == (124, b"started\n")
    result = runs.result()
    assert (result["success"], result["message"]) == (False, "timed out after 0.2 s: started")
    assert result["attempts"][0]["signal"] == "SIGTERM"


def test_a_command_that_does_not_read_keeps_no_timeout_from_coming(runs: Runs) -> None:
    with runs.start("--timeout", "0.2", "--", "yes") as process:  # nobody reads what it writes
        assert process.wait(PATIENCE_S) == 124


SECRET = "hunter2-and-more"


def test_what_is_redacted_is_nowhere_in_the_spool(runs: Runs) -> None:
    script = f"import sys; print('password={SECRET}', flush=True); input(); print('x' * 4080 + 'password={SECRET}')"
    arguments = ("--redact", r"hunter2[\w-]*", "--", "python3", "-c", script)
    with runs.start(*arguments, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"password={SECRET}\n".encode()
        while b"***" not in b"".join(path.read_bytes() for path in runs.own.glob("*.out")):
            assert process.poll() is None
        assert b"hunter2" not in b"".join(path.read_bytes() for path in runs.own.iterdir())
        out, _ = process.communicate(b"\n", timeout=PATIENCE_S)
    assert out.endswith(f"password={SECRET}\n".encode())
    record = runs.record()
    assert "hunter2" not in str(record)
    assert "and-more" not in str(record)
    assert record["item"]["notification_results"][0]["attempts"][0]["output_tail"].endswith("xpassword=***\n")


def test_a_pattern_that_never_ends_holds_nothing_up_and_reveals_nothing(runs: Runs) -> None:
    script = f"echo {'a' * 31}!; read line; echo {'a' * 31}!; exit 5"
    with runs.start("--redact", "(a+)+$", *sh(script), stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"a" * 31 + b"!\n"
        process.communicate(b"\n", timeout=PATIENCE_S)
    assert process.returncode == 5
    assert "aaa" not in str(runs.record())
    assert runs.result()["attempts"][0]["output_tail"] == "***"


def test_arguments_may_be_left_out(runs: Runs) -> None:
    runs.run("--no-argv", *sh("exit 0"))
    assert runs.result()["notification_details"] == {}


def test_the_help_tells_each_option(runs: Runs) -> None:
    done = runs.run("--help")
    assert done.returncode == 0
    assert re.findall(r"^  --([\w-]+)", done.stdout.decode(), re.MULTILINE) == [option.name for option in OPTIONS]


def test_notifhist_run_is_the_same(runs: Runs) -> None:
    command = [sys.executable, "-m", "notifhist.cli", "run", "--entity", "db3", *sh("echo run; exit 75")]
    done = subprocess.run(command, env=runs.environment({"PATH": os.environ["PATH"]}), capture_output=True)
    assert (done.returncode, done.stdout) == (75, b"run\n")
    assert runs.record()["entity_id"] == "db3"
