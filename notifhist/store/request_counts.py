"""The counts of requests behind the rate limits: exact on one machine, or across machines with Redis."""

import fcntl
import hashlib
import os
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from notifhist.clock import Clock
from notifhist.config import PREFIX, ConfigError
from notifhist.store import window_slots
from notifhist.store.machine import machine_directory, private

FILE_NAME = "windows"
REDIS_TIMEOUT_S = 1
PATIENCE_S = 1.0
"""How long a request waits to be counted: for a thread, for a process, for the file. Some µs are usual."""

LOCK_AT_ONCE = fcntl.LOCK_EX | fcntl.LOCK_NB
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.000_05, 0.005  # between two attempts to lock the file

# A process has one lock of a file, whatever it opened it by. Its threads share that lock under this one.
_lock = threading.Lock()
# To close a file drops the lock that the process has of it, even one got by another descriptor. So a counter that is
# collected at any time leaves its file here, and it is closed when that lock cannot be held.
_left_open: list[int] = []


class RequestCounter(Protocol):
    """Counts requests in windows of time."""

    @property
    def clock(self) -> Clock:
        """The clock by which the windows end."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """The exceptions that `hit` raises when it cannot count."""

    def is_available(self) -> bool:
        """Say whether what keeps the counts is there."""

    def hit(self, name: str, window_s: int, by: int = 1) -> tuple[int, float]:
        """Count `by` requests in the window of `name`, and start a window of `window_s` seconds if none is open.

        -1 takes back a request that was counted before.
        Returns how many requests the window has now, this one included, and its end in s since the epoch.
        """


class RedisCounter:
    """Counts across machines, by the clock of the Redis server."""

    def __init__(self, url: str) -> None:
        """Connect at the first hit. Raises ValueError for a bad URL, or without the driver."""
        from limits.errors import ConfigurationError  # why here: config.parse_rate_limit
        from limits.storage import RedisStorage

        try:
            self._storage = RedisStorage(url, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S)
        except ConfigurationError as error:
            raise ValueError(error) from error
        self.clock = Clock()
        base = self._storage.base_exceptions
        self.errors = base if isinstance(base, tuple) else (base,)

    def __repr__(self) -> str:
        return repr(self._storage)

    def is_available(self) -> bool:
        """See RequestCounter."""
        return self._storage.check()

    def hit(self, name: str, window_s: int, by: int = 1) -> tuple[int, float]:
        """See RequestCounter."""
        return self._storage.incr(name, window_s, by), self._storage.get_expiry(name)


class MachineCounter:
    """Counts exactly across the processes and threads of one machine, in a small file (docs/adr/0005).

    The counts outlive the service. A crash of the machine may lose them: nothing waits for a disk.
    """

    errors = (OSError,)

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory = directory
        self.clock = clock
        self._file: int | None = None

    def __repr__(self) -> str:
        return f"MachineCounter({str(self.directory)!r})"

    def is_available(self) -> bool:
        """See RequestCounter; it makes its file whenever it is missing."""
        return True

    def hit(self, name: str, window_s: int, by: int = 1) -> tuple[int, float]:
        """See RequestCounter."""
        digest = _digest(name)
        if not _lock.acquire(timeout=PATIENCE_S):
            raise TimeoutError("another thread still waits to count")
        try:
            file = self._open() if self._file is None else self._file
            try:
                _wait_for(file)  # and only then read the time, so none is older than that of the count before
                used, ends_ms = window_slots.count(file, digest, window_s * 1000, self.clock.now_ms(), by)
            finally:
                fcntl.lockf(file, fcntl.LOCK_UN)
        except OSError:
            self._close()  # whatever is wrong, the next call opens the file anew
            raise
        finally:
            _lock.release()
        return used, ends_ms / 1000

    def _open(self) -> int:
        while _left_open:
            os.close(_left_open.pop())
        self._file = file = os.open(private(self.directory) / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _wait_for(file)
            window_slots.format_anew(file)
        except BaseException:
            self._close()  # so nothing counts in a file without form
            raise
        fcntl.lockf(file, fcntl.LOCK_UN)
        return file

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)

    def __del__(self) -> None:
        if self._file is not None:
            _left_open.append(self._file)


def _wait_for(file: int) -> None:
    """Lock a file. Raises TimeoutError after PATIENCE_S: a process that stands still may hold it for ever."""
    until, pause_s = time.monotonic() + PATIENCE_S, SHORTEST_PAUSE_S
    while True:
        try:
            fcntl.lockf(file, LOCK_AT_ONCE)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError("another process holds the lock of the counts") from None
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


@lru_cache(maxsize=4096)
def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=window_slots.DIGEST_BYTES).digest()


# A child has none of its parent's locks of files, and reads and writes by no shared position: the file stays open.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def open_counter(url: str, database_url: str, clock: Clock) -> RequestCounter:
    """Return the counter of `memory://` or `redis://…`, not yet connected; else raise ConfigError."""
    if url == "memory://":
        return MachineCounter(machine_directory(database_url), clock)
    try:
        return RedisCounter(url)
    except ValueError as error:
        raise ConfigError(f"{PREFIX}RATE_LIMIT_STORAGE: {error} (`pip install notifhist[redis]`?)") from error
