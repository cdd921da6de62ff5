"""Outputs that the command gets as its caller gave them: files, devices, terminals, and pipes that nobody reads.

What a write to them does (it fails on a full disk, or shows colours at a terminal) is the command's to see.
"""

import fcntl
import os
import re
import select
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from notifhist.run.texts import KEPT_BYTES, tail_text

_NULL_DEVICE = os.makedev(1, 3)


class HandedOn:
    """An output that is not copied, for the command's descriptors `targets`. Of a file the end is read afterwards."""

    def __init__(self, targets: Sequence[int], patterns: Sequence[re.Pattern[str]]) -> None:
        self.targets, self._patterns = targets, patterns
        self._begin = _place(targets[0])

    @property
    def tail(self) -> str:
        """Return the end of what was written to a file since now and then, if the caller may read the file."""
        begin, end = self._begin, _place(self.targets[0])
        if begin is None or end is None or end.position == begin.position:
            return ""
        start = max(begin.size if begin.appends else begin.position, end.position - KEPT_BYTES)
        return tail_text(_read(self.targets[0], start, end.position - start), self._patterns)


def is_copied(number: int) -> bool:
    """Say whether the command gets a pipe of ours instead of a descriptor, and would get the same answers from it."""
    found = os.fstat(number)
    if stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode):
        return not has_gone(number)
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == _NULL_DEVICE


def has_gone(number: int) -> bool:
    """Say whether nobody reads a pipe any more."""
    poller = select.poll()
    poller.register(number, 0)  # errors are always told
    return bool(poller.poll(0))


class _Place(NamedTuple):
    """Where the next write to a file goes, and how long the file is, in bytes."""

    position: int
    size: int
    appends: bool


def _place(number: int) -> _Place | None:
    """Return the place of a descriptor; None if it is not of a file. Whoever writes by it moves it for all."""
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            return None
        appends = bool(fcntl.fcntl(number, fcntl.F_GETFL) & os.O_APPEND)
        return _Place(os.lseek(number, 0, os.SEEK_CUR), found.st_size, appends)
    except OSError:
        return None


def _read(number: int, start: int, size: int) -> bytes:
    """Return a part of a file that may be open for writing alone; nothing if we may not read it."""
    if size <= 0:
        return b""
    with suppress(OSError):
        opened = os.open(f"/proc/self/fd/{number}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return os.pread(opened, size, start)
        finally:
            os.close(opened)
    return b""
