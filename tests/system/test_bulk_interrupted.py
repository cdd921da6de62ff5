"""Bulk commands that are watched, interrupted, killed or large."""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from notifhist.schemas.query import CheckPath
from notifhist.store.staging import BATCH_RECORDS
from tests.conftest import NOW, NOW_MS, TENANT
from tests.http.helpers import item_at
from tests.records import count_items, record_items
from tests.system.commands import (
    FIXTURES,
    FIXTURES_COUNTS,
    FIXTURES_RECORDS,
    finish,
    item_line,
    run,
    start,
    write_lines,
)
from tests.system.service import NOTIFHIST, PATIENCE_S, environment, opened, wait_until

MANY = 20_000


pytestmark = [pytest.mark.usefixtures("sigint_is_heard"), pytest.mark.long]


@pytest.fixture
def many_lines(tmp_path: Path) -> Path:
    """An export of MANY items, all expired."""
    return write_lines(tmp_path / "many.ndjson", [item_line(item_at(1_000_000_000_000 + n)) for n in range(MANY)])


def count(database_url: str) -> int:
    with opened(database_url) as db:
        return count_items(db)


def store_many(database_url: str) -> None:
    """Store what many_lines holds, without a process."""
    items = [item_at(1_000_000_000_000 + n) for n in range(MANY)]
    with opened(database_url) as db:
        record_items(db, CheckPath(TENANT, "enOne", "alOne", "chOne"), items)


class OnTerminal:
    """A command with a terminal for its standard error."""

    def __init__(self, database_url: str, *arguments: str | Path) -> None:
        ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*NOTIFHIST, *map(str, arguments)],
            env=environment({"DATABASE_URL": database_url, "NOW": NOW}) | {"TERM": "xterm", "COLUMNS": "100"},
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        self._text = b""
        self._reader = threading.Thread(target=self._read, args=(ours,))
        self._reader.start()

    def _read(self, terminal: int) -> None:
        try:
            while data := os.read(terminal, 65_536):
                self._text += data
        except OSError:  # so a terminal ends on Linux
            pass
        finally:
            os.close(terminal)

    def text(self) -> str:
        """Return what it has shown so far, without colours and cursor movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._text.decode(errors="replace"))

    def reported(self) -> tuple[int, int]:
        """Return how many records it has shown as done, and of how many."""
        shown = re.findall(r"(\d+)/(\d+)", self.text())
        return (int(shown[-1][0]), int(shown[-1][1])) if shown else (0, 0)

    def wait(self) -> int:
        """Return the exit code, once all that was shown is read."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join()
        return code


@contextmanager
def on_terminal(database_url: str, *arguments: str | Path) -> Iterator[OnTerminal]:
    """Run a command on a terminal, and end it if it has not ended by itself."""
    shown = OnTerminal(database_url, *arguments)
    try:
        yield shown
    finally:
        shown.process.kill()
        shown.wait()


def test_progress_is_shown_on_a_terminal_and_not_in_a_pipe(sqlite_database: str) -> None:
    with on_terminal(sqlite_database, "load", FIXTURES) as shown:
        assert shown.wait() == 0
        assert shown.reported() == (FIXTURES_RECORDS + 3,) * 2
        assert re.search(rf"Loading ━+ {FIXTURES_RECORDS + 3}/{FIXTURES_RECORDS + 3}", shown.text())
        assert FIXTURES_COUNTS in shown.text()
    piped = run(sqlite_database, "export")
    assert piped.stderr == ""
    assert len(piped.stdout.splitlines()) == FIXTURES_RECORDS
    with on_terminal(sqlite_database, "export") as shown:
        assert shown.wait() == 0
        assert re.search(rf"Exporting ━+ {FIXTURES_RECORDS}/{FIXTURES_RECORDS}", shown.text())


def test_what_was_reported_survives_a_kill_and_loading_again_completes_it(database_url: str, many_lines: Path) -> None:
    with on_terminal(database_url, "load", many_lines) as shown:
        wait_until(lambda: shown.reported()[0] >= 2 * BATCH_RECORDS)
        shown.process.kill()
        assert shown.wait() == -signal.SIGKILL
        reported, expected = shown.reported()
    there = count(database_url)
    assert 2 * BATCH_RECORDS <= reported <= there < MANY == expected
    again = run(database_url, "load", many_lines).stderr
    assert again == f"Stored {MANY - there}, there already {there}, bad 0.\n"
    assert count(database_url) == MANY


def test_ctrl_c_stops_a_load_and_says_how_far_it_came(database_url: str, many_lines: Path) -> None:
    loading = start(database_url, "load", many_lines)
    wait_until(lambda: count(database_url) >= BATCH_RECORDS)
    loading.send_signal(signal.SIGINT)
    counts, interrupted = finish(loading, code=1).stderr.splitlines()
    there = count(database_url)
    assert BATCH_RECORDS <= there < MANY
    assert there % BATCH_RECORDS == 0
    assert counts == f"Stored {there}, there already 0, bad 0."
    done = f"Loading was interrupted after {there} of {MANY} records; what is done stays done."
    assert interrupted == f"Error: {done}"


def test_ctrl_c_stops_a_purge_and_says_how_far_it_came(database_url: str) -> None:
    store_many(database_url)
    purging = start(database_url, "purge", "--batch", "10")
    wait_until(lambda: count(database_url) < MANY)
    purging.send_signal(signal.SIGINT)
    interrupted = finish(purging, code=1)
    deleted = MANY - count(database_url)
    assert 0 < deleted < MANY
    assert interrupted.stderr == (
        f"Error: Purging was interrupted after {deleted} of {MANY} records; what is done stays done.\n"
    )
    assert interrupted.stdout == ""


def test_ctrl_c_stops_an_export_and_says_how_far_it_came(database_url: str) -> None:
    store_many(database_url)
    exporting = start(database_url, "export")
    assert exporting.stdout is not None
    exporting.stdout.readline()  # it is on its way, and has to wait while nobody reads on
    exporting.send_signal(signal.SIGINT)
    stderr = finish(exporting, code=1).stderr
    assert re.fullmatch(rf"Error: Exporting was interrupted after \d+ of {MANY} records; .*\n", stderr)


def test_a_reader_that_has_seen_enough_ends_an_export_without_a_word(database_url: str) -> None:
    store_many(database_url)
    exporting = start(database_url, "export")
    assert exporting.stdout is not None
    assert exporting.stdout.readline().startswith('{"tenant":')
    exporting.stdout.close()
    exporting.stdout = None
    assert finish(exporting, code=1).stderr == ""


MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def peak_memory(database_url: str, *arguments: str | Path) -> int:
    """Return the greatest resident size, in bytes, that a command has until it ends well."""
    # Started by a small process: a child counts what its parent had when it forked.
    command = [sys.executable, "-c", MEASURE, *NOTIFHIST, *map(str, arguments)]
    env = environment({"DATABASE_URL": database_url, "NOW": NOW})
    return int(subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True).stdout)


def test_memory_stays_flat_however_large_the_file(database_url: str, tmp_path: Path) -> None:
    text = "x" * 2500
    lines = [item_line(item_at(NOW_MS - n, status=text)) for n in range(10_000)]
    small = write_lines(tmp_path / "small.ndjson", lines[:BATCH_RECORDS])
    large = write_lines(tmp_path / "large.ndjson", lines)
    del lines
    assert large.stat().st_size > 24_000_000
    with_small = peak_memory(database_url, "load", small)
    assert peak_memory(database_url, "load", large) - with_small < 10_000_000
    assert peak_memory(database_url, "export") - with_small < 10_000_000
