"""Signals that are sent to the wrapper are for the command."""

import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from tests.run.runs import PATIENCE_S, WRAPPER, Runs, sh

TRAPS = "trap 'echo got {0}; exit 5' {0}; echo ready; while :; do sleep 0.02; done"
NAMES = ("HUP", "INT", "QUIT", "USR1", "USR2", "TERM")


@pytest.mark.parametrize("name", NAMES)
def test_the_command_gets_the_signal_and_decides(runs: Runs, name: str) -> None:
    with runs.start(*sh(TRAPS.format(name))) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(getattr(signal, f"SIG{name}"))
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (5, f"got {name}\n".encode())
    assert runs.result()["attempts"][0]["exit_code"] == 5


def test_a_command_that_dies_of_the_signal_takes_the_wrapper_with_it(runs: Runs) -> None:
    with runs.start(*sh("echo ready; exec sleep 60")) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.wait(PATIENCE_S) == -signal.SIGTERM
    result = runs.result()
    assert (result["success"], result["message"]) == (False, "killed by SIGTERM: ready")


FATAL = ("ABRT", "ALRM", "VTALRM", "PROF", "XCPU", "IO", "PWR", "RTMIN", "RTMAX")


@pytest.mark.parametrize("name", FATAL)
def test_no_other_signal_leaves_the_command_behind(runs: Runs, name: str) -> None:
    number = getattr(signal, f"SIG{name}")
    with runs.start(*sh("ulimit -c 0; echo $$; exec sleep 60")) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == -number
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert runs.result()["attempts"][0]["exit_code"] is None


def test_an_alarm_of_the_caller_is_the_commands(runs: Runs) -> None:
    words = ["perl", "-e", "alarm 1; exec @ARGV", *WRAPPER, "--", "sleep", "60"]
    done = subprocess.run(words, env=runs.environment(), timeout=PATIENCE_S)
    assert done.returncode == -signal.SIGALRM
    assert runs.result()["attempts"][0]["signal"] == "SIGALRM"


@pytest.mark.parametrize("name", ["HUP", "USR1"])
def test_a_signal_that_the_command_handles_cancels_no_retry(runs: Runs, name: str) -> None:
    script = f"trap 'exit 4' {name}; [ -e again ] && exit 0; touch again; echo ready; while :; do sleep 0.02; done"
    options = ("--retries", "2", "--retry-delay", "0")
    with runs.start(*options, *sh(script), cwd=runs.base) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert process.wait(PATIENCE_S) == 0
    assert [each["exit_code"] for each in runs.result()["attempts"]] == [4, 0]


def test_a_later_signal_does_not_hide_the_one_that_asks_for_the_end(runs: Runs) -> None:
    script = "trap 'echo term' TERM; trap 'exit 4' USR1; echo ready; while :; do sleep 0.02; done"
    with runs.start("--retries", "2", "--retry-delay", "0", *sh(script)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.stdout.readline() == b"term\n"
        process.send_signal(signal.SIGUSR1)
        assert process.wait(PATIENCE_S) == 4
    assert len(runs.result()["attempts"]) == 1


def test_what_the_caller_ignores_the_command_ignores(runs: Runs) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with runs.start(*sh("echo ready; read line; exit 4"), stdin=subprocess.PIPE, preexec_fn=ignore) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        process.communicate(b"go\n", timeout=PATIENCE_S)
    assert process.returncode == 4


def test_a_killed_group_leaves_the_first_record(runs: Runs) -> None:
    """Nagios ends what takes too long in no other way."""
    with runs.start(*sh("echo connecting; exec sleep 60"), start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        runs.wait_for_output(b"connecting\n")
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(PATIENCE_S) == -signal.SIGKILL
    (record,) = runs.records()
    assert record["item"]["notification_results"][0]["in_progress"] is True
    assert (runs.own / f"{record['item']['id']}.out").read_bytes() == b"connecting\n"


def test_a_key_press_is_one_signal_to_the_command(runs: Runs, tmp_path: Path) -> None:
    counted = tmp_path / "counted"
    script = f"trap 'echo INT >> {counted}' INT; echo ready; sleep 0.5; sleep 0.5; exit 6"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(WRAPPER[0], [*WRAPPER, *sh(script)], runs.environment())
    told = b""
    while b"ready" not in told:
        told += os.read(terminal, 100)
    os.write(terminal, b"\x03")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 6
    os.close(terminal)
    assert counted.read_text() == "INT\n"
