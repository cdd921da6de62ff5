"""A wrapped command gets what a bare one gets, and its caller gets what it writes."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.run.runs import PATIENCE_S, ROOT, WRAPPER, Runs, sh

PROBE = str(ROOT / "tests/run/probe.py")
BARE_PYTHON = (sys.executable, "-I", "-S")


def seen_by(command: list[str | bytes], told: Path, **popen: Any) -> Any:
    """Return what the probe tells when it is run by a command."""
    with subprocess.Popen(command, start_new_session=True, **popen) as process:
        process.wait(PATIENCE_S)
    seen = json.loads(told.read_text())
    for name in ("group", "session"):
        seen[name] = seen[name] == process.pid
    told.unlink()
    return seen


def ignore_child_and_hangup() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def block_user_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])


def close_input() -> None:
    os.close(0)


def close_all_three() -> None:
    os.closerange(0, 3)


def change_mask_and_niceness() -> None:
    os.umask(0o137)
    os.nice(3)


CALLERS: dict[str, Callable[[], object] | None] = {
    "plain": None,
    "ignores signals": ignore_child_and_hangup,
    "blocks signals": block_user_signals,
    "no input": close_input,
    "nothing open": close_all_three,
    "umask and nice": change_mask_and_niceness,
}


@pytest.mark.parametrize("caller", CALLERS)
def test_the_command_gets_all_that_its_caller_gives(runs: Runs, tmp_path: Path, caller: str) -> None:
    told = tmp_path / "told"
    words: list[str | bytes] = [*BARE_PYTHON, PROBE, str(told), "a b", "", b"\xff\xfe", "'\"$`"]
    options = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "cwd": tmp_path,
        "preexec_fn": CALLERS[caller],
        # A daemon's environment: without a locale, where Python would add one, and with what is no text.
        "env": runs.environment() | {"ODD": "\udcff", "EMPTY": ""},
    }
    bare = seen_by(words, told, **options)
    wrapped = seen_by([*WRAPPER, "--", *words], told, **options)
    assert wrapped == bare
    assert len(runs.records()) == 1


def test_a_caller_that_ignores_signals_itself_may_reset_them_for_the_command(runs: Runs) -> None:
    tell = ("grep", "SigIgn", "/proc/self/status")  # this process ignores SIGPIPE
    assert runs.run("--", *tell).stdout == subprocess.run(tell, capture_output=True).stdout


@pytest.mark.parametrize("trap", ["trap '' PIPE", "trap '' XFSZ HUP", "trap - PIPE", "trap '' TERM INT"])
@pytest.mark.parametrize("options", [(), ("--retries", "many")], ids=["recorded", "not recorded"])
def test_a_shell_that_calls_hands_down_what_it_ignores(runs: Runs, trap: str, options: tuple[str, ...]) -> None:
    """As Icinga 2 and Nagios do, which ignore SIGPIPE."""

    def ignored(*wrapper: str) -> str:
        tell = ("grep", "SigIgn", "/proc/self/status")
        words = ["/bin/sh", "-c", f'{trap}; "$@"; true', "sh", *wrapper, *tell]
        return subprocess.run(words, env=runs.environment(), capture_output=True, text=True).stdout

    assert ignored(*WRAPPER, *options, "--") == ignored()


def test_descriptors_that_the_caller_hands_down_are_there_and_no_others(runs: Runs, tmp_path: Path) -> None:
    told, own = tmp_path / "told", tmp_path / "own"
    with own.open("w") as file:
        options = {"env": runs.environment(), "pass_fds": [file.fileno()], "stdout": file, "stderr": file}
        words: list[str | bytes] = [*BARE_PYTHON, PROBE, str(told)]
        bare = seen_by(words, told, **options)
        assert seen_by([*WRAPPER, "--", *words], told, **options)["more"] == bare["more"]


def test_output_reaches_the_caller_byte_for_byte(runs: Runs) -> None:
    script = "import os; [os.write(1 + n % 2, bytes([n % 256]) * 7919) for n in range(600)]"
    bare = subprocess.run([sys.executable, "-c", script], capture_output=True)
    wrapped = runs.run("--", sys.executable, "-c", script)
    assert [hashlib.sha256(each).hexdigest() for each in (wrapped.stdout, wrapped.stderr)] == [
        hashlib.sha256(each).hexdigest() for each in (bare.stdout, bare.stderr)
    ]
    assert len(runs.result()["attempts"][0]["output_tail"].encode()) == 4096 + 1 + 4096


def test_both_streams_of_one_pipe_keep_their_order(runs: Runs) -> None:
    done = runs.run(*sh("for n in 1 2 3 4 5; do echo out$n; echo err$n >&2; done"), stderr=subprocess.STDOUT)
    expected = "".join(f"out{n}\nerr{n}\n" for n in range(1, 6))
    assert done.stdout.decode() == expected
    assert runs.result()["attempts"][0]["output_tail"] == expected


def test_output_comes_while_the_command_runs(runs: Runs) -> None:
    with runs.start(*sh("echo first; read line; echo then $line"), stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"first\n"
        process.stdin.write(b"second\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"then second\n"
        assert process.wait(PATIENCE_S) == 0


WRITES_64_KIB = "import os, time; os.write(1, b'ab'); time.sleep(0.2); os.write(1, b'x' * 65534)"


def test_a_caller_that_waits_before_it_reads_gets_all(runs: Runs) -> None:
    """The command had filled the caller's pipe exactly; two pieces of it need more room there than one."""
    with runs.start("--", *BARE_PYTHON, "-c", WRITES_64_KIB) as process:
        assert process.wait(PATIENCE_S) == 0
        assert process.stdout is not None
        assert process.stdout.read() == b"ab" + b"x" * 65534
    assert runs.result()["attempts"][0]["output_tail"] == "x" * 4096


def test_what_a_slow_caller_has_not_read_comes_before_the_next_attempt(runs: Runs) -> None:
    script = f"{WRITES_64_KIB}; os._exit(1)"
    options = ("--retries", "1", "--retry-delay", "0")
    with runs.start(*options, "--", *BARE_PYTHON, "-c", script) as process:
        assert process.stdout is not None
        out = process.stdout.read()
        assert process.wait(PATIENCE_S) == 1
    assert out == (b"ab" + b"x" * 65534) * 2


def test_input_passes_untouched(runs: Runs) -> None:
    given = bytes(range(256)) * 2000
    assert runs.run("--", "cat", given=given).stdout == given


def test_a_command_learns_that_nobody_reads_what_it_writes(runs: Runs) -> None:
    with runs.start("--", "yes") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert process.wait(PATIENCE_S) == -signal.SIGPIPE
    assert runs.result()["attempts"][0]["signal"] == "SIGPIPE"


def test_the_wrapper_ends_with_the_command_although_another_process_holds_its_output(runs: Runs) -> None:
    script = "(read line < /dev/null; while [ ! -e go ]; do sleep 0.02; done; echo late) & echo early"
    with runs.start(*sh(script), cwd=runs.base) as process:
        assert process.wait(PATIENCE_S) == 0
        assert runs.record()["item"]["notification_results"][0]["attempts"][0]["output_tail"] == "early\n"
        (runs.base / "go").touch()
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert out == b"early\nlate\n"


def test_a_script_without_an_interpreter_is_run_by_the_shell_as_execvp_does(runs: Runs, tmp_path: Path) -> None:
    script = tmp_path / "bare-script"
    script.write_text('echo "$1"; exit 9\n')
    script.chmod(0o755)
    done = runs.run("--", script.name, "word", variables={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (done.returncode, done.stdout) == (9, b"word\n")


def test_home_of_somebody_else_does_not_matter(runs: Runs) -> None:
    done = runs.run(*sh('echo "$HOME"'), variables={"HOME": "/root/none"})
    assert done.stdout == b"/root/none\n"
    assert runs.result()["success"] is True


def test_nothing_but_the_standard_library_is_imported_and_nothing_that_sends(runs: Runs) -> None:
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from notifhist.run.wrapper import run; run(sys.argv[1:])"
    # -S: what the environment of the tests imports at every start is no concern of the wrapper.
    command = [sys.executable, "-I", "-S", "-X", "importtime", "-c", start, *sh("exit 0")]
    done = subprocess.run(command, capture_output=True, text=True, env=runs.environment())
    modules = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert {"notifhist.run.wrapper", "notifhist.run.streams"} < modules
    foreign = {name for name in modules if name.split(".")[0] not in sys.stdlib_module_names}
    assert {name for name in foreign if name != "notifhist" and not name.startswith("notifhist.run")} == set()
    slow = ("urllib", "http", "ssl", "socket", "subprocess", "argparse", "dataclasses", "tomllib")
    assert {name for name in modules if name.split(".")[0] in slow} == set()
    assert len(runs.records()) == 1


def test_no_process_is_left_in_the_group(runs: Runs) -> None:
    sending = {"NOTIFHIST_URL": "http://127.0.0.1:9", "NOTIFHIST_KEY_FILE": "/nowhere"}
    for variables in ({}, sending):
        command = sh("echo out; echo err >&2")
        with runs.start(*command, start_new_session=True, variables=variables) as process:
            assert process.wait(PATIENCE_S) == 0
            with pytest.raises(ProcessLookupError):
                os.killpg(process.pid, 0)
