"""`notifhist backup`: a copy of the database that is whole and checked before it has its name."""

import glob
import os
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from notifhist.store.database import Database, Report
from notifhist.store.processes import has_ended, name_of_ours

_PART = ".part"
_LEFT_BEHIND_S = 3600
"""How long a file has not been written that a process has left behind; to check a copy takes less."""
_VERSION = re.compile(r"\b(\d+)")


class CannotBackUp(Exception):
    """The backup was not made; the message says why, and what to do."""


def back_up(db: Database, path: Path, report: Report, *, replace: bool = False) -> None:
    """Back the database up to `path`, while others go on. The file has its name once it is whole, checked and synced.

    `replace`: also if there is a file of that name. Raises CannotBackUp, and BackupFailed if the copy is not sound.
    """
    _check_path(db, path, replace=replace)
    prefix = f".{path.name}."
    _remove_left_behind(path.parent, prefix)
    handle, name = tempfile.mkstemp(prefix=name_of_ours(prefix), suffix=_PART, dir=path.parent)  # for our own eyes
    os.close(handle)
    part = Path(name)
    try:
        db.back_up(part, report)
        _sync(part)
        _give_name(part, path, replace=replace)
    finally:
        part.unlink(missing_ok=True)
    _sync(path.parent)


def check_program(command: list[str], server_version: int | None) -> None:
    """Raise CannotBackUp unless the command's program is there, and as new as the server."""
    program = command[0]
    if shutil.which(program) is None:
        raise CannotBackUp(f"{program} is not there: install PostgreSQL's client programs (Debian: postgresql-client).")
    asked = [program, "--version"]
    found = _VERSION.search(subprocess.run(asked, capture_output=True, text=True).stdout)  # noqa: S603 - a known name
    if found and server_version and int(found[1]) < server_version:
        raise CannotBackUp(
            f"{program} is of version {found[1]}, and refuses a server of version {server_version}: install its "
            f"programs (Debian: postgresql-client-{server_version})."
        )


def _check_path(db: Database, path: Path, *, replace: bool) -> None:
    """Raise CannotBackUp where a file would be lost, or would be spoilt by what lies beside it."""
    _check_kind(path)
    file = db.condition().file
    if file is not None and path.exists() and path.samefile(file):
        raise CannotBackUp(f"{path} is the database itself: name another file.")
    if path.exists() and not replace:
        raise CannotBackUp(f"{path} is there already: name another file, or give --force to replace it.")
    for suffix in ("-wal", "-journal"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            raise CannotBackUp(f"{beside} is there, so {path.name} is a database in use: name another file.")


def _remove_left_behind(folder: Path, prefix: str) -> None:
    """Remove what backups to the same file have left that were killed: it is as large, and has the keys' hashes.

    In a folder of several hosts, their processes look as if they had ended; but they write, or have just written.
    """
    for part in folder.glob(f"{glob.escape(prefix)}*{_PART}"):
        with suppress(OSError):  # it is another user's, or just removed
            if has_ended(part.name, prefix) and time.time() - part.lstat().st_mtime > _LEFT_BEHIND_S:
                part.unlink()


def _check_kind(path: Path) -> None:
    """Raise CannotBackUp for what is there and no ordinary file: a device, a pipe or a link is nobody's old backup."""
    if path.is_dir():
        raise CannotBackUp(f"{path} is a folder: name a file.")
    if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
        raise CannotBackUp(f"{path} is no ordinary file: name another file.")


def _give_name(part: Path, path: Path, *, replace: bool) -> None:
    """Give the finished file its name. Raises CannotBackUp if another one has got it meanwhile."""
    if replace:
        _check_kind(path)
        part.replace(path)
        return
    made_meanwhile = CannotBackUp(f"{path} has been made meanwhile: name another file, or give --force.")
    try:
        os.link(part, path)  # unlike a rename, it never replaces
    except FileExistsError:
        raise made_meanwhile from None
    except OSError:
        # A file system without links. Python has no rename that never replaces, so a file that is made between these
        # two lines is lost.
        if os.path.lexists(path):
            raise made_meanwhile from None
        part.rename(path)


def _sync(path: Path) -> None:
    """Have a file, or the names in a folder, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
