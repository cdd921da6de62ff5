"""How often an account may ask: a fixed window from its first request on (docs/contract.md, "Rate limit")."""

import contextlib
import fcntl
import hashlib
import logging
import math
import os
import sqlite3
import tempfile
import threading
import weakref
from functools import cache, lru_cache
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from limits import RateLimitItem
from limits.errors import ConfigurationError
from limits.storage import RedisStorage, Storage

from notifhist.clock import Clock
from notifhist.config import PREFIX, ConfigError
from schemas.fields import TICKS_PER_MS

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - what we put there is in a private directory
REDIS_TIMEOUT_S, WARN_EVERY_S, SWEEP_EVERY_REQUESTS = 1, 60, 1000

# A count changes one page, and small pages are sooner copied.
PRAGMAS = ("PRAGMA page_size = 1024", "PRAGMA journal_mode = wal", "PRAGMA synchronous = off")
TABLE = "CREATE TABLE IF NOT EXISTS windows (key TEXT PRIMARY KEY, used INTEGER, ends_ms INTEGER)"
SWEEP = "DELETE FROM windows WHERE ends_ms <= now_ms()"
# The time is that of SQLite once it holds the write lock, so nobody counts with an older one than the one before;
# or the frozen one. now_ms() says the same, but to call Python takes SQLite longer than all else.
# A window that ends later than one starting now is of another clock (a frozen one, say): it is over too.
COUNT = """
INSERT INTO windows
VALUES (?1, ?2, ?3 + coalesce(?4, CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)))
ON CONFLICT (key) DO UPDATE SET
used = excluded.used + iif(ends_ms BETWEEN excluded.ends_ms - ?3 + 1 AND excluded.ends_ms, used, 0),
ends_ms = iif(ends_ms BETWEEN excluded.ends_ms - ?3 + 1 AND excluded.ends_ms, ends_ms, excluded.ends_ms)
RETURNING used, ends_ms"""

log = logging.getLogger(__name__)
# A process has one connection, used in turns: SQLite lets in one writer at a time anyway, and the rest sleep.
_lock = threading.Lock()
_storages: "weakref.WeakSet[MachineStorage]" = weakref.WeakSet()


class Usage(NamedTuple):
    """What an account has used of its limit, the request just counted included; `used` stops at `limit`."""

    limit: int
    used: int
    window: str  # its length in words: 24 hours
    retry_after: int  # seconds until the window ends, at least 1
    exceeded: bool


class RateLimiter:
    """Counts the requests of accounts against one limit; with no `item` it counts nothing."""

    def __init__(self, item: RateLimitItem | None, storage: Storage, clock: Clock, namespace: str) -> None:
        self._item = item
        self._storage = storage
        self._clock = clock if isinstance(storage, MachineStorage) else Clock()  # Redis has one of its own
        self._namespace = namespace
        self._warned_s = -math.inf

    def charge(self, account: str) -> Usage | None:
        """Count one request of `account` and return its usage; None with the limit switched off.

        None as well while the storage fails: that takes no request down, and is logged at most once a minute.
        """
        if self._item is None:
            return None
        limit, window_s = self._item.amount, self._item.get_expiry()
        try:
            count, ends_s = _hit(self._storage, _key(self._item, self._namespace, account), window_s)
        except self._storage.base_exceptions as error:
            if monotonic() >= self._warned_s + WARN_EVERY_S:
                self._warned_s = monotonic()
                log.warning("requests are let through uncounted, %r fails: %s", self._storage, error)
            return None
        left_s = ends_s - self._clock.now_ticks() / TICKS_PER_MS / 1000
        retry_after = max(1, math.ceil(round(left_s, 3)))
        return Usage(limit, min(count, limit), _in_words(window_s), retry_after, count > limit)


class MachineStorage(Storage):
    """Counts exactly across the processes and threads of one machine, in a small SQLite file.

    The file outlives the service, but perhaps no crash of the machine: the price of never waiting for a disk.
    """

    base_exceptions = (sqlite3.Error, OSError)

    def __init__(self, directory: Path, clock: Clock) -> None:
        super().__init__()
        self.directory = directory
        self._clock = clock
        self._counted = 0
        self._connection: sqlite3.Connection | None = None
        with _lock:
            _storages.add(self)

    def __repr__(self) -> str:
        return f"MachineStorage({str(self.directory)!r})"

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Return the count of the key's window, `amount` included; a window lasts `expiry` seconds."""
        return self.hit(key, expiry, amount)[0]

    def hit(self, key: str, expiry: int, amount: int = 1) -> tuple[int, float]:
        """Return what `incr` and `get_expiry` do, in one statement."""
        self._counted += 1
        if self._counted % SWEEP_EVERY_REQUESTS == 0:
            self._run(SWEEP)
        ((count, ends_ms),) = self._run(COUNT, key, amount, expiry * 1000, self._clock.frozen_ms)
        return count, ends_ms / 1000

    def get(self, key: str) -> int:
        """Return the count of the key's window, 0 without one."""
        sql = "SELECT coalesce(max(used), 0) FROM windows WHERE key = ?1 AND ends_ms > now_ms()"
        return self._run(sql, key)[0][0]

    def get_expiry(self, key: str) -> float:
        """Return when the key's window ends, now without one; seconds since the epoch, by the clock."""
        sql = "SELECT coalesce(max(ends_ms), now_ms()) FROM windows WHERE key = ?1"
        return self._run(sql, key)[0][0] / 1000

    def check(self) -> bool:
        """Return whether the file can be used."""
        with contextlib.suppress(*self.base_exceptions):
            return not self._run("SELECT 1 FROM windows LIMIT 0")
        return False

    def reset(self) -> int:
        """Forget every window; return how many there were."""
        return len(self._run("DELETE FROM windows RETURNING 1"))

    def clear(self, key: str) -> None:
        """Forget the key's window."""
        self._run("DELETE FROM windows WHERE key = ?1", key)

    def _run(self, sql: str, *values: object) -> list[tuple[int, ...]]:
        with _lock:
            try:
                return self._connected().execute(sql, values).fetchall()  # to the end, which commits
            except sqlite3.Error:
                self._disconnect()  # whatever is wrong, the next call opens the file anew
                raise

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self.directory.mkdir(mode=0o700, exist_ok=True)
            found = self.directory.lstat()
            if found.st_uid != os.geteuid() or found.st_mode & 0o077:  # as every symlink has
                raise PermissionError(f"{self.directory} must be a directory of our own, closed to others")
            with open(self.directory / "lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # SQLite itself does not wait for a change to WAL
                file = self.directory / "limits.db"
                self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
                self._connection.create_function("now_ms", 0, self._clock.now_ms)
                for sql in (*PRAGMAS, TABLE, SWEEP):
                    self._connection.execute(sql)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    __del__ = _disconnect


def _hit(storage: Storage, key: str, window_s: int) -> tuple[int, float]:
    """Return the count of the key's window, one more than before, and its end in seconds since the epoch."""
    if isinstance(storage, MachineStorage):
        return storage.hit(key, window_s)
    return storage.incr(key, window_s), storage.get_expiry(key)


def _before_fork() -> None:
    """Close every file: SQLite's locks are a process's, and a child would take its parent's for its own."""
    _lock.acquire()
    for storage in _storages:
        storage._disconnect()


os.register_at_fork(before=_before_fork, after_in_parent=_lock.release, after_in_child=_lock.release)


def open_storage(url: str, database_url: str, clock: Clock) -> Storage:
    """Return the storage of `memory://` or `redis://…`, not yet connected; else raise ConfigError."""
    if url == "memory://":
        return MachineStorage(_machine_directory(database_url), clock)
    try:
        return RedisStorage(url, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S)
    except (ConfigurationError, ValueError) as error:
        raise ConfigError(f"{PREFIX}RATE_LIMIT_STORAGE: {error} (`pip install notifhist[redis]`?)") from error


def _machine_directory(database_url: str) -> Path:
    """Return the directory that every worker on this database finds, and no other service or user."""
    path = database_url.removeprefix("sqlite:///")
    database = database_url if path == database_url else os.path.abspath(path)
    name = hashlib.sha256(f"{os.geteuid()} {database}".encode("utf-8", "surrogatepass")).hexdigest()
    writable = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK | os.X_OK)
    return (SHARED_MEMORY if writable else Path(tempfile.gettempdir())) / f"notifhist-{name[:32]}"


@lru_cache(maxsize=4096)
def _key(item: RateLimitItem, namespace: str, account: str) -> str:
    digest = hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()
    return item.key_for(namespace, digest)


@cache
def _in_words(seconds: int) -> str:
    length, unit = next(u for u in ((3600, "hour"), (60, "minute"), (1, "second")) if seconds % u[0] == 0)
    return f"{seconds // length} {unit}{'' if seconds == length else 's'}"
