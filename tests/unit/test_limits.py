import logging
import multiprocessing
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import limits
import pytest

from notifhist.clock import Clock
from notifhist.store.request_counts import MachineCounter, RequestCounter, open_counter
from notifhist.web.rate_limits import RateLimiter, Usage

NOW_MS = 1_320_885_544_875
SQLITE_URL = "sqlite:////srv/notifhist.db"


class SettableClock(Clock):
    """Stands still wherever it is set."""

    at_ms = NOW_MS

    def __init__(self) -> None:
        """Set nothing: the time is `at_ms`."""

    def __getattribute__(self, name: str) -> object:
        return object.__getattribute__(self, "at_ms" if name == "frozen_ms" else name)


def charge(limiter: RateLimiter, account: str = "account") -> Usage:
    usage = limiter.charge(account)
    assert usage is not None
    return usage


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def counter(tmp_path: Path, clock: SettableClock) -> MachineCounter:
    return MachineCounter(tmp_path / "counts", clock)


@pytest.fixture
def shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("notifhist.store.request_counts.SHARED_MEMORY", tmp_path)
    return tmp_path


def test_it_counts_up_to_the_limit_and_refuses_what_is_beyond(counter: RequestCounter, clock: Clock) -> None:
    limiter = RateLimiter(limits.parse("2/minute"), counter, "runs")
    assert charge(limiter) == Usage(limit=2, used=1, window="1 minute", retry_after=60, exceeded=False)
    assert charge(limiter) == Usage(limit=2, used=2, window="1 minute", retry_after=60, exceeded=False)
    assert charge(limiter) == Usage(limit=2, used=2, window="1 minute", retry_after=60, exceeded=True)
    assert charge(limiter, "another").used == 1


def test_no_limit_counts_nothing(counter: MachineCounter, clock: Clock) -> None:
    assert RateLimiter(None, counter, "runs").charge("account") is None
    assert not counter.directory.exists()


@pytest.mark.parametrize(
    ("limit", "window"),
    [
        ("50000/day", "24 hours"),
        ("1/2 day", "48 hours"),
        ("1/hour", "1 hour"),
        ("1/3 hour", "3 hours"),
        ("1000/minute", "1 minute"),
        ("1/5 minute", "5 minutes"),
        ("1/60 minute", "1 hour"),
        ("1/90 minute", "90 minutes"),
        ("1/second", "1 second"),
        ("1/30 second", "30 seconds"),
        ("1/month", "720 hours"),
    ],
)
def test_the_window_is_told_in_words(limit: str, window: str, counter: RequestCounter, clock: Clock) -> None:
    assert charge(RateLimiter(limits.parse(limit), counter, "runs")).window == window


def test_a_window_starts_with_the_first_request_and_is_over_when_it_ends(
    counter: RequestCounter, clock: SettableClock
) -> None:
    limiter = RateLimiter(limits.parse("1/minute"), counter, "runs")
    assert charge(limiter).retry_after == 60
    clock.at_ms += 59_000
    assert charge(limiter).retry_after == 1
    clock.at_ms += 999
    late = charge(limiter)
    assert (late.exceeded, late.retry_after) == (True, 1)
    clock.at_ms += 1
    assert charge(limiter) == Usage(limit=1, used=1, window="1 minute", retry_after=60, exceeded=False)


@pytest.mark.parametrize(
    ("gone_ms", "retry_after"), [(1, 60), (999, 60), (1000, 59), (1001, 59), (58_999, 2)]
)
def test_retry_after_is_rounded_up(
    gone_ms: int, retry_after: int, counter: RequestCounter, clock: SettableClock
) -> None:
    limiter = RateLimiter(limits.parse("1/minute"), counter, "runs")
    charge(limiter)
    clock.at_ms += gone_ms
    assert charge(limiter).retry_after == retry_after


def test_a_window_of_a_clock_that_was_ahead_is_over(counter: RequestCounter, clock: SettableClock) -> None:
    limiter = RateLimiter(limits.parse("1/day"), counter, "history")
    charge(limiter)
    clock.at_ms -= 86_400_000
    usage = charge(limiter)
    assert (usage.exceeded, usage.retry_after) == (False, 86_400)


def test_a_frozen_clock_stands_still(tmp_path: Path) -> None:
    clock = Clock(NOW_MS)
    limiter = RateLimiter(limits.parse("1/second"), MachineCounter(tmp_path / "counts", clock), "runs")
    assert not charge(limiter).exceeded
    time.sleep(1.1)
    assert charge(limiter).exceeded


@pytest.mark.parametrize(
    ("namespaces", "accounts"),
    [
        (("runs", "runs"), ("a", "a/1/1/minute")),
        (("runs", "runs"), ("a:b", "a/b")),
        (("runs", "runs"), ("", "/")),
        (("runs", "runs"), ("é", "e\u0301")),
        (("runs", "runs"), ("\ud800", "?")),
        (("runs", "runs"), ("x" * 300, "x" * 301)),
        (("runs", "history"), ("a", "a")),
        (("runs", "runs/a"), ("a/b", "b")),
    ],
)
def test_no_two_accounts_share_a_count(
    namespaces: tuple[str, str], accounts: tuple[str, str], counter: RequestCounter, clock: Clock
) -> None:
    for namespace, account in zip(namespaces, accounts, strict=True):
        assert charge(RateLimiter(limits.parse("9/minute"), counter, clock, namespace), account).used == 1


def test_the_storage_is_a_whole_one(counter: MachineCounter, clock: SettableClock) -> None:
    assert (counter.get("a"), counter.get_expiry("a")) == (0, NOW_MS / 1000)
    assert counter.hit("a", 60, amount=3) == 3
    assert counter.hit("b", 60) == 1
    assert (counter.get("a"), counter.get_expiry("a")) == (3, NOW_MS / 1000 + 60)
    counter.clear("a")
    assert counter.get("a") == 0
    assert counter.reset() == 1
    assert counter.check()
    counter.hit("a", 60)
    clock.at_ms += 60_000
    assert counter.get("a") == 0


def windows(counter: MachineCounter) -> int:
    return len(counter._run("SELECT used FROM windows"))


def test_windows_that_are_over_are_deleted_now_and_then(
    counter: MachineCounter, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifhist.store.request_counts.SWEEP_EVERY_REQUESTS", 10)
    for number in range(9):
        counter.hit(str(number), 60)
    clock.at_ms += 60_000
    counter.hit("9", 60)
    assert windows(counter) == 1


def test_windows_that_are_over_are_deleted_at_the_start(
    counter: MachineCounter, clock: SettableClock
) -> None:
    counter.hit("a", 60)
    clock.at_ms += 60_000
    assert windows(MachineCounter(counter.directory, clock)) == 0


def charge_often(directory: Path, times: int, start: Any) -> list[bool]:
    """Return of each of so many requests whether it was exceeded; all processes wait for one start."""
    clock = Clock()
    limiter = RateLimiter(limits.parse("1500/day"), MachineCounter(directory, clock), "history")
    start.wait(timeout=60)
    return [charge(limiter).exceeded for _ in range(times)]


def test_it_counts_exactly_across_processes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(4) as pool:
        start = manager.Barrier(4)
        results = pool.starmap(charge_often, [(tmp_path / "counts", 500, start)] * 4, chunksize=1)
    exceeded = [each for result in results for each in result]
    assert (len(exceeded), exceeded.count(False)) == (2000, 1500)


def test_it_counts_exactly_across_threads(tmp_path: Path) -> None:
    directory, counts = tmp_path / "counts", list[int]()
    shared = MachineCounter(directory, Clock())

    def count(counter: MachineCounter) -> None:
        counts.extend(counter.hit("a", 3600) for _ in range(250))

    counters = [shared, shared, shared, MachineCounter(directory, Clock())]
    threads = [threading.Thread(target=count, args=(counter,)) for counter in counters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == list(range(1, 1001))


FORK = """
import os, sys, threading
from pathlib import Path
from notifhist.clock import Clock
from notifhist.store.request_counts import MachineCounter

counter = MachineCounter(Path(sys.argv[1]), Clock())
counter.hit("a", 3600)

def count():
    for _ in range(200):
        counter.hit("a", 3600)

threads = [threading.Thread(target=count) for _ in range(2)]
for thread in threads:
    thread.start()
children = []
for _ in range(10):
    pid = os.fork()
    if pid == 0:
        carried_over = counter._connection is not None
        count()
        os._exit(carried_over)
    children.append(pid)
for thread in threads:
    thread.join()
assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 10
print(counter.get("a"))
"""


def test_a_fork_carries_no_connection_over_and_loses_no_count(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(tmp_path / "counts")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (result.stdout, result.stderr) == (f"{1 + 2 * 200 + 10 * 200}\n", "")


def test_time_is_read_once_it_is_our_turn_to_write(tmp_path: Path) -> None:
    counter = MachineCounter(tmp_path / "counts", Clock())
    assert counter.check()
    blocker = sqlite3.connect(counter.directory / "limits.db", isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.5, blocker.execute, args=("COMMIT",))
    asked_at = time.time()
    release.start()
    counter.hit("a", 60)
    assert counter.get_expiry("a") >= asked_at + 0.5 + 60
    release.join()
    blocker.close()


def test_opening_touches_no_file(shared_memory: Path, clock: Clock) -> None:
    counter = open_counter("memory://", SQLITE_URL, clock)
    assert isinstance(counter, MachineCounter)
    assert counter.directory.parent == shared_memory
    assert list(shared_memory.iterdir()) == []
    counter.hit("a", 60)
    assert list(shared_memory.iterdir()) == [counter.directory]


@pytest.mark.usefixtures("shared_memory")
def test_the_directory_is_private(clock: Clock) -> None:
    counter = open_counter("memory://", SQLITE_URL, clock)
    assert isinstance(counter, MachineCounter)
    counter.hit("a", 60)
    assert stat.S_IMODE(counter.directory.stat().st_mode) == 0o700


def test_a_directory_that_others_may_enter_is_refused(counter: MachineCounter) -> None:
    counter.directory.mkdir(mode=0o755)
    with pytest.raises(PermissionError, match="must be a directory of our own"):
        counter.hit("a", 60)


def test_a_symlink_is_refused(counter: MachineCounter, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    counter.directory.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="must be a directory of our own"):
        counter.hit("a", 60)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_directory_of_another_user_is_refused(
    counter: MachineCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.hit("a", 60)
    counter._disconnect()
    monkeypatch.setattr("os.geteuid", lambda: counter.directory.stat().st_uid + 1)
    with pytest.raises(PermissionError, match="must be a directory of our own"):
        counter.hit("a", 60)


@pytest.mark.usefixtures("shared_memory")
def test_workers_share_a_count_and_services_do_not(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def count(database_url: str) -> int:
        return open_counter("memory://", database_url, clock).hit("a", 60)

    assert [count(SQLITE_URL), count(SQLITE_URL)] == [1, 2]
    assert count("sqlite:////srv/other.db") == 1
    assert count("postgresql://db/notifhist") == 1
    monkeypatch.chdir("/")
    assert count("sqlite:///srv/notifhist.db") == 3
    monkeypatch.chdir("/tmp")
    assert count("sqlite:///srv/notifhist.db") == 1
    monkeypatch.setattr("os.geteuid", lambda: -1)
    assert isinstance(other := open_counter("memory://", SQLITE_URL, clock), MachineCounter)
    monkeypatch.undo()
    assert isinstance(mine := open_counter("memory://", SQLITE_URL, clock), MachineCounter)
    assert other.directory.name != mine.directory.name


def test_without_shared_memory_the_directory_for_temporary_files_serves(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifhist.store.request_counts.SHARED_MEMORY", tmp_path / "none")
    counter = open_counter("memory://", SQLITE_URL, clock)
    assert isinstance(counter, MachineCounter)
    assert counter.directory.parent == Path(tempfile.gettempdir())


def test_a_storage_that_fails_lets_requests_through_and_says_so_once_a_minute(
    counter: MachineCounter, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = [1000.0]
    monkeypatch.setattr("notifhist.web.rate_limits.monotonic", lambda: seconds[0])
    limiter = RateLimiter(limits.parse("1/minute"), counter, "runs")
    counter.directory.mkdir(mode=0o700)
    file = counter.directory / "limits.db"
    file.write_text("no database, but text that is longer than the header of one " * 20)
    assert not counter.check()
    for now in (1000.0, 1001.0, 1059.0, 1060.0, 1061.0):
        seconds[0] = now
        assert limiter.charge("account") is None
    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("notifhist.web.rate_limits", logging.WARNING)
    ] * 2
    assert str(counter.directory) in caplog.text
    file.unlink()
    assert charge(limiter).used == 1
