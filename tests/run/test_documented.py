"""What docs/feeds.md says of `notifhist-run` beside what the other files test."""

import os
import signal
from pathlib import Path

import pytest

from notifhist.run.settings import load_settings
from tests.run.runs import ROOT, Runs, sh


def test_one_line_of_syslog_says_why_nothing_was_recorded(runs: Runs, tmp_path: Path) -> None:
    """The module that stands for syslog writes into a file."""
    (tmp_path / "syslog.py").write_text(
        "LOG_PID = LOG_DAEMON = LOG_WARNING = 0\n"
        "def openlog(*arguments): pass\n"
        f"def syslog(priority, text): open({str(tmp_path / 'log')!r}, 'a').write(text + '\\n')\n"
    )
    runs.base.rmdir()
    done = runs.run(*sh("echo sent; exit 42"), variables={"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    assert (done.returncode, done.stdout, done.stderr) == (42, b"sent\n", b"")
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.startswith("not recorded: ")
    assert "No such file or directory" in line


def test_where_records_go_an_option_beats_the_variable_which_beats_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("url = 'file'\ntenant = 'file'\nspool = '/file'\n")
    environ = {"NOTIFHIST_RUN_CONFIG": str(file), "NOTIFHIST_URL": "variable", "NOTIFHIST_TENANT": "variable"}
    assert load_settings({"url": "option"}, environ) == ("option", "", "variable", "/file")
    assert load_settings({}, {"NOTIFHIST_RUN_CONFIG": str(tmp_path / "none")}).spool == "/var/spool/notifhist"


def test_several_patterns_hide_what_each_matches(runs: Runs) -> None:
    runs.run("--redact", "hunter[0-9]", "--redact", "swordfish", *sh("echo hunter2 swordfish; exit 1"))
    assert runs.result()["attempts"][0]["output_tail"] == "*** ***\n"


def test_a_timeout_ends_the_command_alone(runs: Runs) -> None:
    """A process that it has started goes on."""
    done = runs.run("--timeout", "0.2", *sh("sleep 60 >/dev/null 2>&1 & echo $!; wait"))
    started = int(done.stdout)
    assert done.returncode == 124
    os.kill(started, signal.SIGKILL)  # it is there


@pytest.mark.long
def test_a_command_that_ignores_the_end_of_its_time_is_killed_5_s_later(runs: Runs) -> None:
    done = runs.run("--timeout", "0.2", *sh("trap '' TERM; echo started; while :; do sleep 0.1; done"))
    assert (done.returncode, done.stdout) == (124, b"started\n")
    assert runs.result()["attempts"][0]["signal"] == "SIGKILL"


def test_the_shipped_timer_bounds_the_spool_of_a_user() -> None:
    assert "spool flush --limit-bytes 1000000000\n" in (ROOT / "deploy/systemd/notifhist-spool.service").read_text()
