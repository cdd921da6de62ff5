"""The files in which processes count, mapped into their memory: a full file system kills none of them.

To write to a mapped page for which there is no space is SIGBUS. So space is reserved before a file is mapped.
"""

import logging
import math
import mmap
import os
import struct
from time import monotonic
from typing import Any

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

_FIRST_BYTES = 1 << 16
_USED = struct.Struct("i")
"""A file begins with the number of bytes used."""
_RETRY_S, _WARN_EVERY_S = 1.0, 60.0

log = logging.getLogger(__name__)
_warned_s = -math.inf


class MetricFile(MmapedDict):
    """A process's values by key, in a file, or in its own memory while there is no space.

    Values in memory are missing from what other processes render; all of them are written once there is space.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        """Map the file, which is read if it is there; `read_mode` is prometheus_client's, which never uses it here."""
        self._fname, self._used, self._positions = filename, 8, {}
        self._f: Any = None
        self._retry_at: float | None = None
        self._capacity = _FIRST_BYTES
        try:
            _reserve(filename, _FIRST_BYTES)
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
        except OSError as error:
            self._f = None
            self._keep_in_memory(error)
            self._m[: _USED.size] = _USED.pack(self._used)

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Store a value; at most once a second, try to get back from memory to the file."""
        if self._retry_at is not None and monotonic() >= self._retry_at:
            self._map(self._capacity)
        super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def _init_value(self, key: str) -> None:
        """Make room for a key, twice as much if it is needed, before the value is written there."""
        needed = self._used + len(key.encode()) + 32
        while needed > self._capacity:
            self._map(2 * self._capacity)
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _map(self, size: int) -> None:
        """Have all values in `size` bytes of the file; in memory, if there is no space for them."""
        values_so_far = self._m[: self._used]
        self._capacity = size
        try:
            _reserve(self._fname, size)
            self._f = self._f or open(self._fname, "r+b")  # noqa: SIM115 - as long as the process lives
            mapped = mmap.mmap(self._f.fileno(), size)
        except OSError as error:
            self._keep_in_memory(error)
        else:
            self._m, self._retry_at = mapped, None
        self._m[8 : self._used] = values_so_far[8:]
        self._m[:8] = values_so_far[:8]  # last: it says how much a reader may read

    def _keep_in_memory(self, error: OSError) -> None:
        global _warned_s
        self._m, self._retry_at = mmap.mmap(-1, self._capacity), monotonic() + _RETRY_S
        if monotonic() >= _warned_s + _WARN_EVERY_S:
            _warned_s = monotonic()
            log.warning("what this process counts is missing in /metrics until there is space: %s", error)


def _reserve(filename: str, size: int) -> None:
    """Have the file system keep space for `size` bytes of a file. Raises OSError."""
    try:
        with open(filename, "ab") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            elif file.tell() < size:  # macOS
                file.truncate(size)
    except OSError as error:
        raise OSError(error.errno, error.strerror, filename) from None


values.MmapedDict = MetricFile  # type: ignore[attr-defined]  # the name by which it makes its files
