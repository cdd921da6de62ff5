"""Databases for contract tests: SQLite files in a folder that is gone afterwards."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from notifhist.auth import GRANTS, ApiKey, new_key
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.keys import add_key
from notifhist.store.machine import machine_directory, memory_place
from notifhist.store.migrating import migrate

TENANT = "123456"
"""The tenant, unless another one is asked for: that of the published examples."""
SETTINGS = {
    "RETENTION_DAYS": "0",
    "HISTORY_RATE_LIMIT": "",
    "RUNS_RATE_LIMIT": "",
    "FEED_RATE_LIMIT": "",
    "PAGES_RATE_LIMIT": "",
}
"""What contract tests want, unless they say otherwise: records of any age are shown, and nobody is refused."""
_PREFIX = "notifhist-scratch-"
_LOCK = "lock"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder, in memory if possible, since each commit waits for a disk; the process that made it removes it.

    A process that is killed leaves its folder behind, and the next one removes it: whoever uses a folder has its lock.
    A pid would not do, since containers may share that memory and have pids of their own.
    """
    place = memory_place()
    for left in place.glob(f"{_PREFIX}*-*"):
        _remove_if_left(left)
    owner = os.getpid()
    hidden = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}{owner}-", dir=place))  # until it is locked
    with (hidden / _LOCK).open("w") as lock:  # forked workers share the lock
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = hidden.rename(place / hidden.name.removeprefix("."))
        try:
            yield folder
        finally:
            if os.getpid() == owner:  # workers are forked, and end earlier
                _remove(folder)


def _remove_if_left(folder: Path) -> None:
    """Remove a folder that nobody uses; one of another user, or without a lock, is left alone."""
    with suppress(OSError), (folder / _LOCK).open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder)


def _remove(folder: Path) -> None:
    for path in folder.glob("*.db"):
        shutil.rmtree(machine_directory(url_of(path)), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def url_of(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{path}"


@contextmanager
def opened(url: str, *, create: bool = False) -> Iterator[Database]:
    """Open a database whose tables are up to date, and close it; `create` makes the file."""
    db = open_database(url, create=create)
    ensure_connected(db)
    try:
        if create:
            migrate(db)
        yield db
    finally:
        db.close()


def add_new_key(
    db: Database, name: str, tenant: str, roles: tuple[str, ...], now_ms: int, expires: int | None = None
) -> tuple[str, str]:
    """Store a new key and return it, and its id; no `roles` are all roles. Times in ms since the epoch, UTC."""
    key, key_id, secret_hash = new_key()
    add_key(db, ApiKey(key_id, name, tenant, roles or tuple(GRANTS), secret_hash, now_ms, expires))
    return key, key_id
