"""The folders of all users below a spool, each read and written with the rights of its user alone.

A user could put links into a folder, to have root read or move other files. So root becomes that user first, in a
child, for good; only the key has been read before.
"""

import json
import os
import select
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from notifhist.run.aside import records_in
from notifhist.run.flushing import Flush
from notifhist.run.sending import Sender
from notifhist.run.spool import RECORD, REJECTED, Spool
from notifhist.run.texts import printable

_SENDING_S = 60.0
"""How long root sends for one user: who adds records all the time must not keep the others' from being sent."""
_PATIENCE_S = 90.0
"""How long root waits for the process of a user, who may stop it: a record may take 20 s after `_SENDING_S`."""


class Folder(NamedTuple):
    """A user's folder."""

    path: str
    uid: int
    gid: int


class Flushed(NamedTuple):
    """What became of a user's records. `problem`: why the rest was kept, empty if there is no rest."""

    uid: int
    sent: int
    rejected: int
    dropped: int
    problem: str
    messages: list[str]


class Waiting(NamedTuple):
    """What is in a user's folder. `oldest`: when the oldest record was written, in seconds since the epoch."""

    uid: int
    waiting: int
    running: int
    rejected: int
    bytes: int
    oldest: float


def folders(base: str) -> list[Folder]:
    """Return the folders that the caller may flush: all for root, else its own. Raises OSError: there is no spool."""
    me = os.geteuid()
    names = [name for name in os.listdir(base) if name.isdecimal()] if me == 0 else [str(me)]
    found = []
    for name in sorted(names, key=int):
        with suppress(OSError):
            entry = os.lstat(f"{base}/{name}")
            if entry.st_uid == int(name):
                found.append(Folder(f"{base}/{name}", entry.st_uid, entry.st_gid))
    return found


def squatted(base: str) -> list[str]:
    """Return what keeps users from recording: names of users, which are not their own folders. Raises OSError."""
    found = []
    for name in sorted(filter(str.isdecimal, os.listdir(base)), key=int):
        with suppress(OSError):
            entry = os.lstat(f"{base}/{name}")
            if entry.st_uid != int(name) or not stat.S_ISDIR(entry.st_mode):
                found.append(f"User {name}: nothing is recorded, {base}/{name} is of user {entry.st_uid}, or no folder")
    return found


def flush_folder(
    folder: Folder, sender: Sender, *, older_than_s: float | None = None, limit_bytes: int | None = None
) -> Flushed:
    """Send a user's records. Raises OSError."""

    def work(spool: Spool) -> tuple[Any, ...]:
        flush = Flush(spool, sender)
        try:
            flush.run(older_than_s=older_than_s, limit_bytes=limit_bytes, at_most_s=_SENDING_S)
        finally:
            sender.close()  # the child for the next user must not share it
        aside = flush.aside
        return folder.uid, flush.sent, aside.rejected, aside.dropped, flush.problem_text, aside.messages

    return Flushed(*_as_user(folder, work))


def look_into(folder: Folder) -> Waiting:
    """Return what is in a user's folder. Raises OSError."""

    def work(spool: Spool) -> tuple[Any, ...]:
        names = records_in(spool)
        running = sum(spool.runs(name) for name in names)
        stats = list(_stats(spool, names))
        rejected = 0
        with suppress(FileNotFoundError):
            rejected = sum(name.endswith(RECORD) for name in os.listdir(f"{folder.path}/{REJECTED}"))
        oldest = min((each.st_mtime for each in stats), default=0.0)
        return folder.uid, len(names) - running, running, rejected, sum(each.st_size for each in stats), oldest

    return Waiting(*_as_user(folder, work))


def _stats(spool: Spool, names: list[str]) -> Iterator[os.stat_result]:
    for name in names:
        with suppress(FileNotFoundError):  # it has been sent meanwhile
            yield spool.stat(name)


def _as_user(folder: Folder, work: Callable[[Spool], tuple[Any, ...]]) -> list[Any]:
    """Return what `work` does with a user's folder, with no rights but those of that user. Raises OSError."""
    if folder.uid == os.geteuid():
        return list(work(Spool.open_existing(folder.path)))
    result, its_result = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(folder.gid, folder.gid, folder.gid)
            os.setresuid(folder.uid, folder.uid, folder.uid)
            with os.fdopen(its_result, "w") as pipe:
                json.dump(work(Spool.open_existing(folder.path)), pipe)
        except OSError as error:
            os.write(2, f"{printable(f'{folder.path}: {error}')}\n".encode())
        finally:
            os._exit(0)
    os.close(its_result)
    with os.fdopen(result, "rb") as answered:
        answer = _read_in_time(answered.fileno(), _PATIENCE_S)
    with suppress(PermissionError):  # a root that may not kill leaves it to be reaped by init
        os.kill(pid, signal.SIGKILL)  # it has answered, or never will: its user may have stopped it
        os.waitpid(pid, 0)
    try:
        found: list[Any] = json.loads(answer)
    except ValueError:
        raise OSError(f"{folder.path} cannot be read as its user") from None
    return found


def _read_in_time(source: int, seconds: float) -> bytes:
    """Return all that comes through a pipe, or nothing if it does not end in time."""
    deadline, whole = time.monotonic() + seconds, b""
    while select.select([source], [], [], max(deadline - time.monotonic(), 0))[0]:
        piece = os.read(source, 65_536)
        if not piece:
            return whole
        whole += piece
    return b""
