"""Whatever the caller's outputs are, a wrapped command ends as a bare one, and as many bytes arrive."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.run.every_output import FILES
from tests.run.runs import PATIENCE_S, Runs, sh


def test_a_wrapped_command_ends_as_a_bare_one_and_writes_as_much(runs: Runs, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.run.every_output", str(tmp_path)]
    outcomes = json.loads(subprocess.run(words, env=runs.environment(), capture_output=True, check=True).stdout)
    assert {kinds: each for kinds, each in outcomes.items() if each[0] != each[1]} == {}
    assert len(runs.records()) == len(outcomes)


@pytest.mark.parametrize("kind", FILES)
def test_of_a_file_the_end_of_what_was_written_is_kept(runs: Runs, tmp_path: Path, kind: str) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    number = os.open(log, FILES[kind])
    done = runs.run(*sh("echo connecting; echo no route >&2; exit 75"), stdout=number, stderr=number)
    os.close(number)
    assert done.returncode == 75
    assert runs.result()["attempts"][0]["output_tail"] == "connecting\nno route\n"


def test_what_goes_nowhere_is_kept(runs: Runs) -> None:
    """As of monit, which runs commands with its own output."""
    assert runs.run(*sh("echo no route >&2; exit 75"), stderr=subprocess.DEVNULL).returncode == 75
    assert runs.result()["message"] == "exit 75: no route"


def test_of_a_file_no_other_lines_are_kept(runs: Runs, tmp_path: Path) -> None:
    """Each attempt has its own, and a file that was there before has many."""
    log = tmp_path / "log"
    log.write_text("of an earlier command\n")
    script = '[ -e again ] && echo second && exit 0; touch again; echo "first hunter2"; exit 1'
    options = ("--retries", "1", "--retry-delay", "0", "--redact", "hunter2")
    with log.open("ab") as file:
        assert runs.run(*options, *sh(script), stdout=file, cwd=tmp_path).returncode == 0
    assert [each["output_tail"] for each in runs.result()["attempts"]] == ["first ***\n", "second\n"]
    assert log.read_text() == "of an earlier command\nfirst hunter2\nsecond\n"


def test_a_command_learns_that_its_reader_has_gone_before_it_writes(runs: Runs) -> None:
    """It may have one line to write, and end by how that went."""
    script = "trap '' PIPE; echo $$; read line; echo second || exit 9"
    with runs.start(*sh(script), stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        command = int(process.stdout.readline())
        pipe = os.readlink(f"/proc/{command}/fd/1")
        assert pipe in open_files(process.pid)
        process.stdout.close()
        deadline = time.monotonic() + PATIENCE_S
        while pipe in open_files(process.pid):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 9


def open_files(pid: int) -> set[str]:
    """Return what a process has open; a pipe has the same name in each."""
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(os.readlink(path))
    return found
