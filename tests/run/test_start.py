"""Nothing that the caller sets for Python, and no signal, makes the wrapper's start differ from the command's."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run.runs import PATIENCE_S, ROOT, Runs, sh

COMMAND = sh('echo "$PYTHONHOME$PYTHONPATH$PYTHONVERBOSE"; exit 42')


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script that an administrator installs, for the Python that runs the tests."""
    shipped = (ROOT / "deploy/bin/notifhist-run").read_text()
    assert shipped.startswith("#!/opt/notifhist/bin/python -I\n")
    path = tmp_path / "notifhist-run"
    path.write_text(shipped.replace("/opt/notifhist/bin/python", sys.executable, 1))
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("variable", ["PYTHONHOME", "PYTHONPATH", "PYTHONVERBOSE"])
def test_variables_for_python_are_the_commands_alone(runs: Runs, script: Path, tmp_path: Path, variable: str) -> None:
    for module in ("syslog", "signal", "os"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit(7)\n")
    value = {"PYTHONVERBOSE": "1", "PYTHONHOME": "/nonexistent"}.get(variable, str(tmp_path))
    environment = runs.environment()
    del environment["PYTHONPATH"]
    done = subprocess.run([script, *COMMAND], env=environment | {variable: value}, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (42, f"{value}\n".encode(), b"")
    assert runs.result()["attempts"][0]["exit_code"] == 42


def test_an_interrupt_while_the_wrapper_is_imported_ends_it_as_a_bare_command(runs: Runs, tmp_path: Path) -> None:
    """The module that stands for syslog waits in the midst of the imports."""
    (tmp_path / "syslog.py").write_text("import os, time\nos.write(1, b'importing\\n')\ntime.sleep(60)\n")
    with runs.start(*sh("exit 0"), variables={"PYTHONPATH": f"{tmp_path}:{ROOT}"}) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"importing\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == -signal.SIGINT
        assert process.stderr.read() == b""
