"""Whatever is broken about the wrapper or its spool, the command runs, and its caller sees its exit code."""

import os
import pty
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from notifhist.run.spool import Spool, SpoolRefused
from tests.full_disk import FullDisk
from tests.run.runs import PATIENCE_S, WRAPPER, Runs, sh

COMMAND = sh("echo sent; exit 42")


def assert_sent(done: subprocess.CompletedProcess[bytes]) -> None:
    """The command has run, and nothing was added to what it says."""
    assert (done.returncode, done.stdout, done.stderr) == (42, b"sent\n", b"")


def test_a_missing_spool(runs: Runs) -> None:
    runs.base.rmdir()
    assert_sent(runs.run(*COMMAND))
    assert not runs.base.exists()


def test_a_spool_that_is_no_folder(runs: Runs) -> None:
    runs.base.rmdir()
    runs.base.write_text("")
    assert_sent(runs.run(*COMMAND))


def test_a_folder_that_is_a_link(runs: Runs, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    runs.own.symlink_to(elsewhere)
    assert_sent(runs.run(*COMMAND))
    assert list(elsewhere.iterdir()) == []


def test_a_folder_of_somebody_else(runs: Runs) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a folder away")
    runs.own.mkdir()
    os.chown(runs.own, 12345, -1)
    assert_sent(runs.run(*COMMAND))
    assert list(runs.own.iterdir()) == []
    with pytest.raises(SpoolRefused):
        Spool.open(str(runs.base))


@pytest.fixture
def open_runs() -> Iterator[Runs]:
    """A spool where every user may enter, as none may enter pytest's folders."""
    with tempfile.TemporaryDirectory(prefix="notifhist-spool-") as name:
        Path(name).chmod(0o1733)
        yield Runs(Path(name))


def run_unprivileged(runs: Runs, processes: str) -> subprocess.CompletedProcess[bytes]:
    words = [sys.executable, "-m", "tests.run.unprivileged", processes, "--no-flush", *COMMAND]
    return subprocess.run(words, env=runs.environment(), capture_output=True)


def test_a_spool_in_which_the_user_may_not_write(open_runs: Runs) -> None:
    assert_sent(run_unprivileged(open_runs, "-"))
    assert len(list(open_runs.base.glob("*/*.ndjson"))) == 1
    for path in open_runs.base.iterdir():
        shutil.rmtree(path)
    open_runs.base.chmod(0o555)
    assert_sent(run_unprivileged(open_runs, "-"))
    assert list(open_runs.base.iterdir()) == []


def test_a_read_only_spool(full_spool: Runs, full_disk: FullDisk) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(full_disk.folder)], check=True)
    assert_sent(full_spool.run(*COMMAND))
    full_spool.own.stat()
    assert full_spool.names() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        ["--retries", "many"],
        ["--retries", "-1"],
        ["--timeout", "1e9"],
        ["--redact", "("],
        ["--preset", "zabbix"],
        ["--set", "x"],
        ["--success-codes", "0;1"],
        ["-x"],
        ["--tenant"],
        ["--retries", "many", "--entity", "a"],
    ],
)
def test_options_that_cannot_be_understood(runs: Runs, arguments: Sequence[str]) -> None:
    assert_sent(runs.run(*arguments, *COMMAND))
    assert runs.names() == []


def test_variables_that_cannot_be_understood(runs: Runs) -> None:
    assert_sent(runs.run(*COMMAND, variables={"NOTIFHIST_RETRIES": "x"}))


def test_no_tenant(runs: Runs) -> None:
    assert_sent(runs.run(*COMMAND, variables={"NOTIFHIST_TENANT": ""}))
    assert runs.names() == []


@pytest.mark.parametrize("text", ["tenant = ", "tenant = 5", "tenent = 'acme'", "\udcff"])
def test_a_broken_file_of_settings(runs: Runs, tmp_path: Path, text: str) -> None:
    file = tmp_path / "run.toml"
    file.write_text(text, errors="surrogateescape")
    assert_sent(runs.run(*COMMAND, variables={"NOTIFHIST_RUN_CONFIG": str(file)}))
    assert runs.names() == []


def test_settings_from_a_file(runs: Runs, tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(f"tenant = 'filed'\nspool = '{runs.base}'\n")
    none = {"NOTIFHIST_RUN_CONFIG": str(file), "NOTIFHIST_TENANT": "", "NOTIFHIST_SPOOL": ""}
    assert_sent(runs.run(*COMMAND, variables=none))
    assert runs.record()["tenant"] == "filed"


def test_no_files_left(runs: Runs) -> None:
    import resource

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (7, 7))

    assert_sent(runs.run(*COMMAND, preexec_fn=few))
    assert runs.names() == []


@pytest.fixture
def full_spool(full_disk: FullDisk) -> Runs:
    """A spool on a disk that can be filled."""
    base = full_disk.folder / "spool"
    base.mkdir()
    runs = Runs(base)
    runs.own.mkdir(0o700)
    return runs


def test_a_full_disk(full_spool: Runs, full_disk: FullDisk) -> None:
    full_disk.fill()
    assert_sent(full_spool.run(*COMMAND))
    assert full_spool.names() == []


def test_a_disk_that_gets_full_while_the_command_runs(full_spool: Runs, full_disk: FullDisk) -> None:
    """There is room for how it ended, since it was set aside."""
    script = "import os; input(); os.write(1, b'x' * 3_000_000); os.write(2, b'sorry\\n'); os._exit(42)"
    with full_spool.start("--", "python3", "-c", script, stdin=subprocess.PIPE) as process:
        while not full_spool.records():
            assert process.poll() is None
        full_disk.fill()
        out, err = process.communicate(b"\n", timeout=PATIENCE_S)
    assert (process.returncode, len(out), err) == (42, 3_000_000, b"sorry\n")
    attempt = full_spool.result()["attempts"][0]
    assert (attempt["exit_code"], attempt["message"]) == (42, "exit 42: sorry")


def test_without_a_command_the_usage_is_told(runs: Runs) -> None:
    for arguments in ([], ["--entity", "db3"], ["--entity"], ["--no-such-option"], ["--"]):
        done = runs.run(*arguments)
        assert done.returncode == 2
        assert b"usage: notifhist-run [options] -- CMD ARGS..." in done.stderr


def test_at_a_terminal_it_is_told_why_nothing_is_recorded(runs: Runs) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(WRAPPER[0], [*WRAPPER, "--retries", "many", *COMMAND], runs.environment())
    told = b""
    while b"sent" not in told:
        told += os.read(terminal, 1000)
    os.waitpid(pid, 0)
    os.close(terminal)
    assert b"notifhist-run: not recorded: --retries many is no number" in told


def test_a_command_without_a_separator_may_have_one_of_its_own(runs: Runs) -> None:
    words = ("/bin/sh", "-c", "echo sent; exit 42", "--", "echo")
    assert_sent(runs.run(*words))
    assert_sent(runs.run("--retries", "many", *words))
    assert len(runs.records()) == 1


def test_no_process_left_for_the_command(open_runs: Runs) -> None:
    """Then the wrapper becomes the command."""
    assert_sent(run_unprivileged(open_runs, "0"))
    assert list(open_runs.base.glob("*/*")) == []


@pytest.mark.parametrize("most", range(5, 20, 2))
def test_few_files_left(runs: Runs, most: int) -> None:
    import resource

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    assert_sent(runs.run("--retries", "1", "--success-codes", "42", *COMMAND, preexec_fn=few, given=b""))
    assert all(record["item"]["notification_results"][0]["in_progress"] is False for record in runs.records())
