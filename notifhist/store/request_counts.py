"""The counts of requests behind the rate limits: exact on one machine, or across machines with Redis."""

import fcntl
import hashlib
import os
import sqlite3
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import IO, Protocol

from limits.errors import ConfigurationError
from limits.storage import RedisStorage

from notifhist.clock import Clock
from notifhist.config import PREFIX, ConfigError

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - what we put there is in a private directory
REDIS_TIMEOUT_S = 1
SWEEP_EVERY_REQUESTS = 1000  # then a process deletes the windows that are over
PATIENCE_S = 1.0
"""How long a request waits to be counted: for a thread, for a process, for the file. Some µs are usual."""

# A count changes one page: pages of 1 KiB cost 9 % less CPU a count than SQLite's own 4 KiB.
PRAGMAS = ("PRAGMA page_size = 1024", "PRAGMA journal_mode = wal", "PRAGMA synchronous = off")
TABLE = "CREATE TABLE IF NOT EXISTS windows (key TEXT PRIMARY KEY, used INTEGER, ends_ms INTEGER)"
SWEEP = "DELETE FROM windows WHERE ends_ms <= now_ms()"
# SQLite calls now_ms() once it holds the write lock, so no count is made with an older time than the one before it.
# A window that ends later than one that starts now was made by another clock (a frozen one): it counts as over.
COUNT = """
INSERT INTO windows VALUES (?1, 1, ?2 + now_ms())
ON CONFLICT (key) DO UPDATE SET
used = excluded.used + iif(ends_ms BETWEEN excluded.ends_ms - ?2 + 1 AND excluded.ends_ms, used, 0),
ends_ms = iif(ends_ms BETWEEN excluded.ends_ms - ?2 + 1 AND excluded.ends_ms, ends_ms, excluded.ends_ms)
RETURNING used, ends_ms"""

# Threads share one connection under this lock: SQLite admits one writer at a time anyway, and the others would sleep.
_lock = threading.Lock()
_open_counters: "weakref.WeakSet[MachineCounter]" = weakref.WeakSet()


class RequestCounter(Protocol):
    """Counts requests in windows of time."""

    @property
    def clock(self) -> Clock:
        """The clock by which the windows end."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """The exceptions that `hit` raises when it cannot count."""

    def hit(self, name: str, window_s: int) -> tuple[int, float]:
        """Count one request in the window of `name`, and start a window of `window_s` seconds if none is open.

        Returns how many requests the window has now, this one included, and its end in s since the epoch.
        """


class RedisCounter:
    """Counts across machines, by the clock of the Redis server."""

    def __init__(self, url: str) -> None:
        """Connect at the first hit. Raises ConfigurationError without the driver, ValueError for a bad URL."""
        self._storage = RedisStorage(url, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S)
        self.clock = Clock()
        base = self._storage.base_exceptions
        self.errors = base if isinstance(base, tuple) else (base,)

    def __repr__(self) -> str:
        return repr(self._storage)

    def hit(self, name: str, window_s: int) -> tuple[int, float]:
        """See RequestCounter."""
        return self._storage.incr(name, window_s), self._storage.get_expiry(name)


class MachineCounter:
    """Counts exactly across the processes and threads of one machine, in a small SQLite file.

    The counts outlive the service. A crash of the machine may lose them: nothing waits for a disk.
    """

    errors = (sqlite3.Error, OSError)

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory = directory
        self.clock = clock
        self._hits = 0
        self._connection: sqlite3.Connection | None = None
        with _lock:
            _open_counters.add(self)

    def __repr__(self) -> str:
        return f"MachineCounter({str(self.directory)!r})"

    def hit(self, name: str, window_s: int) -> tuple[int, float]:
        """See RequestCounter."""
        self._hits += 1
        if self._hits % SWEEP_EVERY_REQUESTS == 0:
            self._run(SWEEP)
        ((count, ends_ms),) = self._run(COUNT, name, window_s * 1000)
        return count, ends_ms / 1000

    def _run(self, sql: str, *values: object) -> list[tuple[int, ...]]:
        if not _lock.acquire(timeout=PATIENCE_S):
            raise TimeoutError("another thread still waits to count")
        try:
            return self._connected().execute(sql, values).fetchall()  # to the end, which commits
        except (sqlite3.Error, OSError):
            self._disconnect()  # whatever is wrong, the next call opens the file anew
            raise
        finally:
            _lock.release()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self.directory.mkdir(mode=0o700, exist_ok=True)
            found = self.directory.lstat()
            if found.st_uid != os.geteuid() or found.st_mode & 0o077:  # as every symlink has
                raise PermissionError(f"{self.directory} must be a directory of our own, closed to others")
            with open(self.directory / "lock", "w") as lock:
                _wait_for(lock)  # SQLite itself does not wait for a change to WAL
                file = self.directory / "limits.db"
                self._connection = sqlite3.connect(
                    file, timeout=PATIENCE_S, isolation_level=None, check_same_thread=False
                )
                self._connection.create_function("now_ms", 0, self.clock.now_ms)
                for sql in (*PRAGMAS, TABLE, SWEEP):
                    self._connection.execute(sql)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    __del__ = _disconnect


def _wait_for(lock: IO[str]) -> None:
    """Lock a file. Raises BlockingIOError after PATIENCE_S: a process that stands still may hold it for ever."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
        time.sleep(0.005)


def _before_fork() -> None:
    """Close every file: SQLite's locks belong to a process, and a child would take its parent's for its own."""
    _lock.acquire()
    for counter in _open_counters:
        counter._disconnect()


os.register_at_fork(before=_before_fork, after_in_parent=_lock.release, after_in_child=_lock.release)


def open_counter(url: str, database_url: str, clock: Clock) -> RequestCounter:
    """Return the counter of `memory://` or `redis://…`, not yet connected; else raise ConfigError."""
    if url == "memory://":
        return MachineCounter(machine_directory(database_url), clock)
    try:
        return RedisCounter(url)
    except (ConfigurationError, ValueError) as error:
        raise ConfigError(f"{PREFIX}RATE_LIMIT_STORAGE: {error} (`pip install notifhist[redis]`?)") from error


def machine_directory(database_url: str) -> Path:
    """Return the directory that all workers on this database share, and no other service or user."""
    path = database_url.removeprefix("sqlite:///")
    database = database_url if path == database_url else os.path.abspath(path)
    name = hashlib.sha256(f"{os.geteuid()} {database}".encode("utf-8", "surrogatepass")).hexdigest()
    writable = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK | os.X_OK)
    return (SHARED_MEMORY if writable else Path(tempfile.gettempdir())) / f"notifhist-{name[:32]}"
