"""Read the lines that are appended to a file: across its rotation, and from where a former process stopped."""

import hashlib
import os
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO, NamedTuple

MAX_LINE_BYTES = 16 * 1024 * 1024
"""A longer line is left out: no feed takes it."""
_READ_BYTES = 1024 * 1024
_HEAD_BYTES = 256
_PACKED = (".gz", ".bz2", ".xz", ".zst")


class Place(NamedTuple):
    """Where reading goes on: in which file, and behind how many bytes.

    A number is given again to another file when a file is removed, so `head` tells them apart: a hash of the first
    bytes, as many as were read, up to _HEAD_BYTES.
    """

    device: int
    inode: int
    head: str
    offset: int


class Lines(NamedTuple):
    """Complete lines, without their ends, and the place behind them; `too_long` is how many were left out."""

    lines: list[bytes]
    place: Place
    too_long: int = 0


class Tail:
    """The lines of a file at a path, the former files of the path first, if they are still there."""

    def __init__(self, path: Path, place: Place | None) -> None:
        """Begin at `place`, or with the first line of the file that is there now. Opens nothing."""
        self._path = path
        self._later, self._offset = _since(path, place)
        self._file: BinaryIO | None = None

    def read(self) -> Lines | None:
        """Return the lines that are there now, about a MiB of them; None if there are none yet."""
        while self._is_open():
            if found := self._read_lines(is_last=False):
                return found
            if not self._is_left():
                return None
            # The writer has gone on to another file. Whatever it wrote before that is there now.
            if found := self._read_lines(is_last=False) or self._read_lines(is_last=True):
                return found
            self.close()
            self._offset = 0
        return None

    def place(self) -> Place | None:
        """Return where reading goes on; None if no file has been there yet."""
        return None if self._file is None else self._place(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _is_open(self) -> bool:
        """Open the next file, if none is open; say whether one is."""
        while self._file is None:
            path = self._later.pop(0) if self._later else self._path
            try:
                self._file = path.open("rb", buffering=0)
            except FileNotFoundError:
                if path == self._path:
                    return False
                self._offset = 0
        return True

    def _is_left(self) -> bool:
        """Say whether another file has taken the place of the open one; there may have been several since."""
        if self._later:
            return True
        descriptor = self._open_file.fileno()
        try:
            if os.path.samestat(self._path.stat(), os.fstat(descriptor)):
                return False
            is_there = True
        except FileNotFoundError:
            is_there = False
        self._later = _since(self._path, self._place(descriptor))[0][1:]
        return is_there or bool(self._later)

    @property
    def _open_file(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("No file is open.")
        return self._file

    def _read_lines(self, *, is_last: bool) -> Lines | None:
        """Return complete lines from the offset on; `is_last`: an incomplete one at the end is complete."""
        descriptor = self._open_file.fileno()
        if os.fstat(descriptor).st_size < self._offset:
            self._offset = 0  # somebody has cut the file off, as logrotate's `copytruncate` does
        data = self._pread(descriptor, _READ_BYTES)
        if len(data) == _READ_BYTES and b"\n" not in data:
            data = self._pread(descriptor, MAX_LINE_BYTES + 1)
        end = len(data) if is_last else data.rfind(b"\n") + 1
        too_long = 0
        if not end and len(data) > MAX_LINE_BYTES:
            end, too_long = self._end_of_line(descriptor), 1
            if not end:
                return None
            data = b""
        if not end:
            return None
        lines = [line for line in data[:end].splitlines() if line.strip()]
        self._offset += end
        return Lines(lines, self._place(descriptor), too_long)

    def _end_of_line(self, descriptor: int) -> int:
        """Return how many bytes a line has that is too long; 0 if its end is not there yet."""
        length = 0
        while data := os.pread(descriptor, _READ_BYTES, self._offset + length):
            found = data.find(b"\n")
            if found >= 0:
                return length + found + 1
            length += len(data)
        return 0

    def _pread(self, descriptor: int, size: int) -> bytes:
        return os.pread(descriptor, size, self._offset)

    def _place(self, descriptor: int) -> Place:
        status = os.fstat(descriptor)
        return Place(status.st_dev, status.st_ino, _head_of(descriptor, self._offset), self._offset)


def _since(path: Path, place: Place | None) -> tuple[list[Path], int]:
    """Return the files from that of `place` on, without the one that is at `path` now, and the offset in the first.

    The file of `place` is one of the same number, else a copy of it: rotation renames a file, or copies and cuts it.
    """
    if place is None:
        return [], 0
    if _is_at(path, place):
        return [], place.offset
    former = sorted(
        (each for each in path.parent.glob(f"{escape(path.name)}?*") if each.is_file() and each.suffix not in _PACKED),
        key=lambda each: each.stat().st_mtime_ns,
    )
    for may_be_copy in (False, True):
        for number, each in enumerate(former):
            if _is_at(each, place, may_be_copy=may_be_copy and place.offset > 0):
                return former[number:], place.offset
    return [], 0


def _is_at(path: Path, place: Place, *, may_be_copy: bool = False) -> bool:
    """Say whether the file at a path is that of a place, or a copy of it."""
    with suppress(OSError), path.open("rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        is_same = may_be_copy or (status.st_dev, status.st_ino) == (place.device, place.inode)
        return is_same and status.st_size >= place.offset and _head_of(file.fileno(), place.offset) == place.head
    return False


def _head_of(descriptor: int, offset: int) -> str:
    return hashlib.sha256(os.pread(descriptor, min(offset, _HEAD_BYTES), 0)).hexdigest()
