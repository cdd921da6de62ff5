"""What the processes of one machine that serve the same database share: a private directory in memory."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from notifhist.config import sqlite_file

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - what we put there is in a private directory
_PREFIX = "notifhist-"


def machine_directory(database_url: str) -> Path:
    """Return the directory that all workers on this database share, and no other service or user."""
    return memory_place() / directory_name(os.geteuid(), database_url)


def machine_directories(database_url: str) -> Iterator[Path]:
    """Yield those of all users' workers on this database that are there."""
    for directory in memory_place().glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it may be gone
            if is_name_of(directory.name, directory, database_url):
                yield directory


def is_name_of(name: str, directory: Path, database_url: str) -> bool:
    """Say whether that is the name for the workers on a database of whoever owns a directory. Raises OSError.

    Who that is, `lstat` alone knows: anybody may claim in a file to be somebody else, or make a link.
    """
    return name == directory_name(directory.lstat().st_uid, database_url)


def is_trusted(directory: Path, database_url: str) -> bool:
    """Say whether what a directory tells of a service on that database may be believed. Raises OSError.

    It has to be closed to others, and root's or ours; root believes the owner of a SQLite file, too, and of a
    PostgreSQL whoever knows the URL (`is_name_of`): everybody may make directories where this one lies.
    """
    found, user = directory.lstat(), os.geteuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
        return False
    if found.st_uid in (0, user):
        return True
    file = sqlite_file(database_url)
    return user == 0 and (file is None or found.st_uid == file.stat().st_uid)


def private(directory: Path) -> Path:
    """Make a directory, if it is missing; return it. Raises PermissionError unless it is ours and closed to others."""
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:  # as every symlink has
        raise PermissionError(f"{directory} must be a directory of our own, closed to others")
    return directory


def memory_places() -> set[Path]:
    """Return the places of which `memory_place` may be one, for this process or another."""
    return {SHARED_MEMORY, Path(tempfile.gettempdir())}


def memory_place() -> Path:
    """Return /dev/shm, or the temporary folder where that is missing or not writable."""
    writable = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK | os.X_OK)
    return SHARED_MEMORY if writable else Path(tempfile.gettempdir())


def directory_name(user: int, database_url: str) -> str:
    """Return the name of that directory for the workers of a user (id); it tells nothing of the URL."""
    file = sqlite_file(database_url)
    database = database_url if file is None else os.path.realpath(file)
    digest = hashlib.sha256(f"{user} {database}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_PREFIX}{digest[:32]}"
