"""What the processes of one machine that serve the same database share: a private directory in memory."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - what we put there is in a private directory
_PREFIX = "notifhist-"


def machine_directory(database_url: str) -> Path:
    """Return the directory that all workers on this database share, and no other service or user."""
    return memory_place() / directory_name(os.geteuid(), database_url)


def machine_directories(database_url: str) -> Iterator[Path]:
    """Yield those of all users' workers on this database that are there."""
    for directory in memory_place().glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it may be gone
            if directory.name == directory_name(directory.lstat().st_uid, database_url):
                yield directory


def private(directory: Path) -> Path:
    """Make a directory, if it is missing; return it. Raises PermissionError unless it is ours and closed to others."""
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:  # as every symlink has
        raise PermissionError(f"{directory} must be a directory of our own, closed to others")
    return directory


def memory_place() -> Path:
    """Return /dev/shm, or the temporary folder where that is missing or not writable."""
    writable = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK | os.X_OK)
    return SHARED_MEMORY if writable else Path(tempfile.gettempdir())


def directory_name(user: int, database_url: str) -> str:
    """Return the name of that directory for the workers of a user (id); it tells nothing of the URL."""
    path = database_url.removeprefix("sqlite:///")
    database = database_url if path == database_url else os.path.realpath(path)
    digest = hashlib.sha256(f"{user} {database}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_PREFIX}{digest[:32]}"
