"""Whether a write-ahead log belongs to the SQLite file beside it.

SQLite applies whatever log lies there. The log of a former file turns a backup that was put in its place into a mixture
of two databases, without an error. Format: https://www.sqlite.org/fileformat2.html, 1.3.6 and 4.1.
"""

import os
import struct
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

_LOG_HEADER = struct.Struct(">IIIIII8x")
"""Magic number, version, page size, checkpoint, and the two salts that its frames repeat."""
_FRAME_HEADER = struct.Struct(">IIII8x")
"""Page number, pages of the database after a commit, and the two salts."""
_WAL_MODE = b"\x02\x02"
"""Bytes 18 and 19 of a file that is written and read by a write-ahead log (1.3.3)."""
_CHANGES = struct.Struct(">24xI")
"""The first page of a database: its counter of changes."""

FileId = tuple[int, int] | None
"""Device and inode of a file; None if there is none."""
_lock = threading.Lock()
_connections: Counter[FileId] = Counter()


def file_id(path: Path) -> FileId:
    """Return which file is at the path now."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def count_connection(path: Path) -> tuple[FileId, bool]:
    """Note that this process opens a connection; return which file that leads to, and whether its log is foreign.

    Only the first connection to a file looks: to close a file drops all locks that the process has on it (POSIX), and
    without them another process would take the log away from the connections that are open.
    """
    with _lock:
        file = file_id(path)
        is_foreign = not _connections[file] and has_foreign_log(path)
        _connections[file] += 1
        return file, is_foreign


def forget_connection(file: FileId) -> None:
    """Note that a connection of this process is closed."""
    with _lock:
        _connections[file] -= 1
        if not _connections[file]:
            del _connections[file]


def is_in_wal_mode(path: Path) -> bool:
    """Say whether a file is in WAL mode, or has no mode yet.

    Where this process has a connection it is: connecting sees to that, and the file is not opened, see above.
    """
    with _lock:
        if not _connections[file_id(path)]:
            with suppress(OSError), path.open("rb") as file:
                return file.read(20)[18:] in (_WAL_MODE, b"")
        return True


def log_of(path: Path) -> Path:
    """Return where SQLite keeps the log of the file at `path`: beside the file, not beside a link to it."""
    return Path(f"{os.path.realpath(path)}-wal")


def index_of(path: Path) -> Path:
    """Return where SQLite keeps the index of that log, which processes share."""
    return Path(f"{os.path.realpath(path)}-shm")


def has_foreign_log(path: Path) -> bool:
    """Say whether the log beside the file was certainly written for another one.

    A transaction that writes the first page takes its counter one further at most, and a log begins where the file
    ends. So the first copy of that page in the log is at most one ahead of the file. The log is read first: meanwhile
    the file's counter can only grow. A log without that page, which each growth of the database writes, tells nothing.
    """
    with suppress(OSError, struct.error):  # neither is there, or one is empty
        logged = _first_logged_changes(log_of(path))
        if logged is not None:
            with path.open("rb") as file:
                return bool(logged > _CHANGES.unpack(file.read(_CHANGES.size))[0] + 1)
    return False


def _first_logged_changes(log: Path) -> int | None:
    """Return the counter of changes in the log's first copy of the first page; None if it has none."""
    with log.open("rb") as file:
        _, _, page_size, _, *salts = _LOG_HEADER.unpack(file.read(_LOG_HEADER.size))
        while frame := file.read(_FRAME_HEADER.size):
            page, _, *own_salts = _FRAME_HEADER.unpack(frame)
            if own_salts != salts:  # left there from before the log began anew
                return None
            if page == 1:
                return int(_CHANGES.unpack(file.read(_CHANGES.size))[0])
            file.seek(page_size, os.SEEK_CUR)
    return None
