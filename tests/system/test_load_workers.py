"""The processes that check a large file: they change nothing in what is said and stored, and none stays behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NOW, NOW_MS, TENANT
from tests.http.helpers import item_at, run_of
from tests.system.commands import finish, item_line, run, write_lines
from tests.system.service import environment, opened, wait_until

MANY = 20_000
WITH_CPUS = """
import os, sys
os.sched_getaffinity = lambda pid: set(range({}))
sys.argv[0] = "notifhist"
from notifhist.cli import main
main()
"""


pytestmark = [pytest.mark.usefixtures("sigint_is_heard"), pytest.mark.long]


@pytest.fixture
def many_lines(tmp_path: Path) -> Path:
    """An export of MANY items, several MB."""
    return write_lines(tmp_path / "many.ndjson", [item_line(item_at(NOW_MS - n)) for n in range(MANY)])


def load(database_url: str, *arguments: str | Path, cpus: int = 2) -> subprocess.Popen[str]:
    """Start to load on a machine of so many CPUs, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", WITH_CPUS.format(cpus), "load", *map(str, arguments)],
        env=environment({"DATABASE_URL": database_url, "NOW": NOW}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stat(pid: int | str) -> list[str]:
    """Return the state, the parent and so on of a process; nothing if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def children(parent: int) -> list[int]:
    found = [path.name for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [int(pid) for pid in found if stat(pid)[1:2] == [str(parent)]]


def have_ended(pids: list[int]) -> bool:
    return all(stat(pid)[:1] in ([], ["Z"]) for pid in pids)  # a zombie waits for nobody but who reaps it


def cpu_s(pid: int) -> float:
    """Return how much CPU time a process has used, in s."""
    return sum(map(int, stat(pid)[11:13])) / os.sysconf("SC_CLK_TCK")


def workers_of(loading: subprocess.Popen[str]) -> list[int]:
    """Return the pids of the two workers, once they are there."""
    wait_until(lambda: len(children(loading.pid)) == 2)
    return children(loading.pid)


def test_workers_change_nothing_in_what_is_said_and_stored(database_url: str, tmp_path: Path) -> None:
    items = [item_line(item_at(NOW_MS - n, status="é" * (n % 997)), f"ch{n % 3}") for n in range(3000)]
    runs = [{"tenant": TENANT, "run": run_of(id=n, dateCreated="2011-11-01T00:00:00Z")} for n in range(300)]
    lines = [json.dumps(line, ensure_ascii=n % 2 == 0) for n, line in enumerate([*items, *runs])]
    lines[1000:1000] = ["", "{", json.dumps({**items[0], "item": {**items[0]["item"], "state": "OTHER"}}), "\r"]
    lines[2000:2000] = [json.dumps({**items[7], "item": {"state": 5}}), lines[0], '{"tenant": "t", "run": {}}']
    file = tmp_path / "mixed.ndjson"
    file.write_text("\n".join(lines))
    assert file.stat().st_size > 8 * 256 * 1024  # many chunks
    alone = f"sqlite:///{tmp_path}/alone.db"
    said = [
        finish(load(url, *options, file, cpus=cpus), code=code).stderr
        for url, cpus in ((alone, 1), (database_url, 2))
        for options, code in (((), 1), (("--skip-bad",), 0))
    ]
    assert said[:2] == said[2:]
    problems = said[0].splitlines()
    assert [line.split(":")[1] for line in problems[:-1]] == ["1002", "1003", "2001", "2003"]
    assert problems[-1] == "Stored 0, there already 0, bad 4."
    assert said[1].splitlines() == [*problems[:-1], "Stored 3300, there already 1, bad 4."]
    there, here = (sorted(run(url, "export").stdout.splitlines()) for url in (alone, database_url))
    assert len(here) == 3300
    assert here == there


def test_no_worker_stays_behind_when_all_is_loaded(sqlite_database: str, many_lines: Path) -> None:
    loading = load(sqlite_database, many_lines)
    workers = workers_of(loading)
    assert finish(loading).stderr == f"Stored {MANY}, there already 0, bad 0.\n"
    assert have_ended(workers)


def test_a_file_that_is_small_is_checked_without_workers(sqlite_database: str, tmp_path: Path) -> None:
    small = write_lines(tmp_path / "small.ndjson", [item_line(item_at(NOW_MS))])
    loading = load(sqlite_database, small)
    seen: list[int] = []
    while loading.poll() is None:
        seen += children(loading.pid)
    assert finish(loading).stderr == "Stored 1, there already 0, bad 0.\n"
    assert seen == []


def test_a_worker_that_is_killed_is_told_and_nothing_of_its_file_is_stored(database_url: str, many_lines: Path) -> None:
    loading = load(database_url, many_lines)
    workers = workers_of(loading)
    os.kill(workers[0], signal.SIGKILL)
    assert finish(loading, code=1).stderr.splitlines() == [
        "Stored 0, there already 0, bad 0.",
        "Error: A process that checked the file has been killed: out of memory?",
    ]
    wait_until(lambda: have_ended(workers))
    again = finish(load(database_url, many_lines))
    assert again.stderr == f"Stored {MANY}, there already 0, bad 0.\n"


def test_ctrl_c_while_the_file_is_checked_ends_all_processes_in_good_order(
    sqlite_database: str, many_lines: Path
) -> None:
    loading = load(sqlite_database, many_lines)
    workers = workers_of(loading)
    wait_until(lambda: max(map(cpu_s, workers)) > 0.05)  # so the file is being checked
    os.killpg(loading.pid, signal.SIGINT)  # as a terminal does
    counts, interrupted = finish(loading, code=1).stderr.splitlines()
    assert counts == "Stored 0, there already 0, bad 0."
    assert interrupted.startswith("Error: Loading was interrupted after 0 of ")
    assert have_ended(workers)
    with opened(sqlite_database) as db:
        assert db.execute_sql("SELECT count(*) FROM history_item").fetchone() == (0,)


def test_ctrl_c_before_the_file_is_checked_ends_all_processes_too(sqlite_database: str, many_lines: Path) -> None:
    loading = load(sqlite_database, many_lines)
    workers = workers_of(loading)
    os.killpg(loading.pid, signal.SIGINT)
    finish(loading, code=1)
    assert have_ended(workers)


def test_no_worker_outlives_a_command_that_is_killed(sqlite_database: str, many_lines: Path) -> None:
    loading = load(sqlite_database, many_lines)
    workers = workers_of(loading)
    loading.kill()
    finish(loading, code=-signal.SIGKILL)
    wait_until(lambda: have_ended(workers), seconds=20)
