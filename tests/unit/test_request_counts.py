import fcntl
import gc
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from notifhist.clock import Clock
from notifhist.store.request_counts import MachineCounter, open_counter
from tests.unit.conftest import NOW_MS, SettableClock

SQLITE_URL = "sqlite:////srv/notifhist.db"
LOCK = """
import fcntl, sys
file = open(sys.argv[1] + "/windows", "r+b")
try:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("locked")
else:
    print("free", flush=True)
    sys.stdin.read()
"""


@contextmanager
def lock_held(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Have another process hold the lock of the counts; a lock of our own would not keep us out."""
    command = [sys.executable, "-c", LOCK, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "free\n"
        yield process
        process.kill()


def try_to_lock(directory: Path) -> str:
    command = [sys.executable, "-c", LOCK, str(directory)]
    return subprocess.run(command, input="", capture_output=True, text=True, check=True).stdout


@pytest.fixture
def shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("notifhist.store.machine.SHARED_MEMORY", tmp_path)
    return tmp_path


def test_a_hit_returns_the_count_and_when_the_window_ends(counter: MachineCounter, clock: SettableClock) -> None:
    ends_s = NOW_MS / 1000 + 60
    assert counter.hit("a", 60) == (1, ends_s)
    clock.at_ms += 59_999
    assert counter.hit("a", 60) == (2, ends_s)
    assert counter.hit("b", 60) == (1, ends_s + 59.999)
    clock.at_ms += 1
    assert counter.hit("a", 60) == (1, ends_s + 60)


def test_it_counts_exactly_across_threads(tmp_path: Path) -> None:
    directory, counts = tmp_path / "counts", list[int]()
    shared = MachineCounter(directory, Clock())

    def count(counter: MachineCounter) -> None:
        counts.extend(counter.hit("a", 3600)[0] for _ in range(250))

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
        count()
        os._exit(0)
    children.append(pid)
for thread in threads:
    thread.join()
assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 10
print(counter.hit("a", 3600)[0])
"""


def test_a_fork_loses_no_count(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(tmp_path / "counts")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (result.stdout, result.stderr) == (f"{1 + 2 * 200 + 10 * 200 + 1}\n", "")


def test_time_is_read_once_it_is_our_turn_to_write(tmp_path: Path) -> None:
    counter = MachineCounter(tmp_path / "counts", Clock())
    counter.hit("a", 60)
    with lock_held(counter.directory) as holder:
        release = threading.Timer(0.5, holder.kill)
        asked_at = time.time()
        release.start()
        _, ends_s = counter.hit("b", 60)
        assert ends_s >= asked_at + 0.5 + 60
        release.join()


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


def test_a_directory_of_another_user_is_refused(counter: MachineCounter, monkeypatch: pytest.MonkeyPatch) -> None:
    counter.hit("a", 60)
    counter._close()
    monkeypatch.setattr("os.geteuid", lambda: counter.directory.stat().st_uid + 1)
    with pytest.raises(PermissionError, match="must be a directory of our own"):
        counter.hit("a", 60)


@pytest.mark.usefixtures("shared_memory")
def test_workers_share_a_count_and_services_do_not(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def count(database_url: str) -> int:
        return open_counter("memory://", database_url, clock).hit("a", 60)[0]

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
    monkeypatch.setattr("notifhist.store.machine.SHARED_MEMORY", tmp_path / "none")
    counter = open_counter("memory://", SQLITE_URL, clock)
    assert isinstance(counter, MachineCounter)
    assert counter.directory.parent == Path(tempfile.gettempdir())


def test_a_process_that_stands_still_with_the_lock_holds_nobody_up_for_long(counter: MachineCounter) -> None:
    counter.hit("a", 60)
    with lock_held(counter.directory) as holder:
        holder.send_signal(signal.SIGSTOP)
        for another in (counter, MachineCounter(counter.directory, counter.clock)):
            asked_s = time.monotonic()
            with pytest.raises(TimeoutError, match="another process holds the lock"):
                another.hit("a", 60)
            assert 0.9 < time.monotonic() - asked_s < 5
        holder.kill()  # and the kernel takes its lock away
        holder.wait()
        assert counter.hit("a", 60)[0] == 2


def test_threads_do_not_wait_one_after_the_other_for_a_file_that_stays_locked(counter: MachineCounter) -> None:
    counter.hit("a", 60)
    with lock_held(counter.directory), ThreadPoolExecutor(6) as pool:
        failed = list(pool.map(lambda _: failure(counter), range(6)))
    assert {str(error) for error in failed} == {
        "another process holds the lock of the counts",
        "another thread still waits to count",
    }
    assert counter.hit("a", 60)[0] == 2


def failure(counter: MachineCounter) -> Exception | None:
    try:
        counter.hit("a", 60)
    except counter.errors as error:
        return error
    return None


def test_a_counter_that_is_collected_lets_no_lock_go(counter: MachineCounter) -> None:
    counter.hit("a", 60)
    another = MachineCounter(counter.directory, counter.clock)
    another.hit("a", 60)
    assert counter._file is not None
    fcntl.lockf(counter._file, fcntl.LOCK_EX)
    del another
    gc.collect()
    assert try_to_lock(counter.directory) == "locked\n"
    fcntl.lockf(counter._file, fcntl.LOCK_UN)
    assert try_to_lock(counter.directory) == "free\n"


def test_counters_that_are_collected_leave_no_files_open(tmp_path: Path, clock: Clock) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    gc.collect()
    MachineCounter(tmp_path / "counts", clock).hit("a", 60)
    before = open_files()
    for number in range(20):
        MachineCounter(tmp_path / "counts", clock).hit(str(number), 60)
    assert open_files() <= before + 1


def test_a_file_that_was_deleted_is_counted_in_until_the_next_start(counter: MachineCounter) -> None:
    counter.hit("a", 60)
    shutil.rmtree(counter.directory)
    assert counter.hit("a", 60)[0] == 2
    assert MachineCounter(counter.directory, counter.clock).hit("a", 60)[0] == 1


KILLED = """
import os, sys
from pathlib import Path
from notifhist.clock import Clock
from notifhist.store.request_counts import MachineCounter

counter = MachineCounter(Path(sys.argv[1]), Clock())
while True:
    os.write(1, f"{counter.hit('a', 3600)[0]}\\n".encode())
"""


def test_processes_that_are_killed_lose_no_count_and_hold_nobody_up(tmp_path: Path) -> None:
    directory, told = tmp_path / "counts", list[int]()
    for _ in range(4):
        command = [sys.executable, "-c", KILLED, str(directory)]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        for process in processes:
            assert process.stdout is not None
            told.append(int(process.stdout.readline()))
        for process in processes:
            process.kill()
            told.extend(int(line) for line in process.communicate()[0].splitlines())
    assert len(set(told)) == len(told)
    last = MachineCounter(directory, Clock()).hit("a", 3600)[0]
    assert max(told) < last <= len(told) + 12 + 1  # each of the twelve may have died between counting and telling
