"""The spool: a folder of files for each user, one file for each record, until the service has it.

    /var/spool/notifhist/         mode 1733, made by whoever installs
        998/                      of the user 998, mode 0700, made when it is first needed
            <id>.ndjson           a record: one line of the export format
            <id>.out, <id>.err    the end of what a command wrote so far; locked while its wrapper lives
            rejected/             what the service will never take

A record is written under another name and renamed, so no reader sees a half of one. It is not synced, since a
notification does not wait for a disk: after a power cut the newest records may be missing.
"""

import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

RECORD, OUTPUT, ERRORS, TEMPORARY = ".ndjson", ".out", ".err", ".tmp"
REJECTED = "rejected"
LOCK = "lock"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_MAX_BYTES = 16 * 1024 * 1024
"""No service takes a record that is larger."""
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class SpoolRefused(OSError):
    """What is there is a link, or somebody else's: it could be read or changed by others, or lead elsewhere."""


class Spool:
    """The folder of one user, held open: it stays the same folder, whatever is renamed or linked meanwhile."""

    def __init__(self, folder: int) -> None:
        self.folder = folder

    @classmethod
    def open(cls, base: str) -> "Spool":
        """Open the caller's own folder below `base`, and make it if it is missing. Raises OSError."""
        path = f"{base}/{os.geteuid()}"
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
        return cls.open_existing(path)

    @classmethod
    def open_existing(cls, path: str) -> "Spool":
        """Open a folder that is the caller's. Raises OSError: it is missing, a link, or somebody else's."""
        folder = os.open(path, _FOLDER_FLAGS)
        if os.fstat(folder).st_uid != os.geteuid():
            os.close(folder)
            raise SpoolRefused(f"{path} belongs to somebody else")
        return cls(folder)

    def write(self, name: str, line: bytes) -> None:
        """Write a file whole, or not at all. Raises OSError."""
        Reservation(self, name, f".{name}.new{TEMPORARY}").fill(line)

    def write_plain(self, name: str, text: bytes) -> None:
        """Write a file that nobody reads but people. Raises OSError."""
        with os.fdopen(self.open_file(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
            file.write(text)

    def reserve(self, name: str, size: int) -> "Reservation":
        """Return a file that is yet to be filled, with `size` bytes of the disk set aside. Raises OSError."""
        reservation = Reservation(self, name, f".{name}{TEMPORARY}")
        reservation.allocate(size)
        return reservation

    def open_file(self, name: str, flags: int) -> int:
        """Return a descriptor, which no command inherits. Raises OSError."""
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600, dir_fd=self.folder)

    def read(self, name: str) -> bytes:
        """Return what is in a file. Raises OSError; SpoolRefused if it is a link or another thing that is no file."""
        try:
            opened = self.open_file(name, os.O_RDONLY)
        except OSError as error:
            raise SpoolRefused(f"{name} is a link") if error.errno == errno.ELOOP else error from None
        with os.fdopen(opened, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_BYTES:
                raise SpoolRefused(f"{name} is not a regular file of at most {_MAX_BYTES} bytes")
            return file.read()

    def remove(self, *names: str) -> None:
        """Remove files; one that is missing does not matter."""
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self.folder)

    def remove_run(self, item_id: str) -> None:
        """Remove all that a run has left here, its record too if that is still there."""
        record = item_id + RECORD
        self.remove(record, item_id + OUTPUT, item_id + ERRORS, f".{record}{TEMPORARY}", f".{record}.new{TEMPORARY}")

    def rename(self, name: str, new_name: str) -> None:
        """Give a file another name, perhaps in `rejected/`. Raises OSError."""
        os.rename(name, new_name, src_dir_fd=self.folder, dst_dir_fd=self.folder)

    def names(self, ending: str) -> list[str]:
        """Return the names of the files that end so."""
        return [name for name in os.listdir(self.folder) if name.endswith(ending)]

    def stat(self, name: str) -> os.stat_result:
        """Return a file's size, times and kind. Raises OSError."""
        return os.stat(name, dir_fd=self.folder, follow_symlinks=False)

    def is_running(self, item_id: str) -> bool:
        """Say whether the wrapper that made a record lives: it holds a lock, which ends with it, however it ends."""
        try:
            output = self.open_file(item_id + OUTPUT, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(output)
        return False

    def open_output(self, name: str) -> int:
        """Return a new file for the end of what a command writes. Raises OSError."""
        return self.open_file(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def runs(self, name: str) -> bool:
        """Say whether the wrapper lives that made the record of a name."""
        return self.is_running(name.removesuffix(RECORD))

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the lock of those that send, or yield False if another holds it."""
        lock = self.open_file(LOCK, os.O_RDWR | os.O_CREAT)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(lock)


class Reservation:
    """A file that is filled later, and for which there is room even if the disk is full by then."""

    def __init__(self, spool: Spool, name: str, temporary: str) -> None:
        self._spool, self._name, self._temporary = spool, name, temporary
        self._file = spool.open_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def allocate(self, size: int) -> None:
        """Set bytes of the disk aside, if the file system can. Raises OSError: there is no room."""
        try:
            os.posix_fallocate(self._file, 0, size)
        except OSError as error:
            if error.errno in _NO_ROOM:
                self.give_up()
                raise

    def fill(self, line: bytes) -> None:
        """Write the file, and give it its name. Raises OSError: then there is no file of that name by this."""
        try:
            view, at = memoryview(line), 0
            while at < len(line):
                at += os.pwrite(self._file, view[at:], at)
            os.ftruncate(self._file, len(line))
            self._spool.rename(self._temporary, self._name)
        except OSError:
            self.give_up()
            raise
        os.close(self._file)

    def give_up(self) -> None:
        """Remove it."""
        os.close(self._file)
        self._spool.remove(self._temporary)


def line_of(record: Mapping[str, Any]) -> bytes:
    """Return a record as a line of the export format."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"


def spool_record(base: str, record: Mapping[str, Any]) -> None:
    """Put a finished record ({tenant, entity_id, alarm_id, check_id, item}) into the caller's spool below `base`.

    Raises OSError: the spool is missing, full, or not the caller's.
    """
    spool = Spool.open(base)
    try:
        spool.write(record["item"]["id"] + RECORD, line_of(record))
    finally:
        os.close(spool.folder)
