"""Standard input for a command that may be run several times."""

import os
import stat
from contextlib import suppress

_PIECE_BYTES = 1024 * 1024


class Stdin:
    """The input. It passes untouched, unless the command may be run again: then a pipe is read into memory first."""

    def __init__(self, is_repeated: bool) -> None:
        self._source: int | None = None
        self._begin: int | None = None
        if not is_repeated:
            return
        with suppress(OSError):  # it is closed, or cannot seek
            self._begin = os.lseek(0, 0, os.SEEK_CUR)
        kind = os.fstat(0).st_mode
        if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
            self._source, self._begin = os.memfd_create("stdin"), 0
            while data := os.read(0, _PIECE_BYTES):
                view = memoryview(data)
                while view:
                    view = view[os.write(self._source, view) :]

    def rewound(self) -> dict[int, int]:
        """Return which descriptor becomes the command's standard input, if it is not ours; at its beginning."""
        number = 0 if self._source is None else self._source
        if self._begin is not None:
            with suppress(OSError):
                os.lseek(number, self._begin, os.SEEK_SET)
        return {} if self._source is None else {0: self._source}
