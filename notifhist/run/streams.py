"""What a command writes goes on to its caller as it comes, and the end of it is kept.

Through pipes: were the command to write into files of the spool, a full disk would fail it. A process that the command
leaves behind may hold a pipe open for long; the wrapper then ends with the command, and a child of it goes on copying.
"""

import errno
import fcntl
import os
import re
import select
import struct
import termios
from collections.abc import Container, Sequence
from contextlib import suppress

from notifhist.run.handed_on import HandedOn, is_copied
from notifhist.run.process import close_descriptors
from notifhist.run.signals import give_signals_back
from notifhist.run.texts import KEPT_BYTES, join_tails, tail_text

_READ_BYTES = 64 * 1024
_WRITE_BYTES = 4096
"""A pipe that can be written to takes so many bytes at once (PIPE_BUF of Linux)."""


class Stream:
    """What the command writes to its descriptors `targets`, on its way to the first of ours.

    `store` is the file of its tail. Raises OSError: there are no more files.
    """

    def __init__(self, targets: Sequence[int], store: int, patterns: Sequence[re.Pattern[str]]) -> None:
        self.targets, self.target = targets, targets[0]
        self._store, self._patterns = store, patterns
        self.source, self.inner = os.pipe()
        """`inner` is the command's end."""
        os.ftruncate(store, 0)
        self.is_open = True
        self._pending = b""
        self._tail, self._is_kept = b"", True
        self._quota: int | None = None

    def close_inner(self) -> None:
        """Close the command's end, once it has it."""
        os.close(self.inner)

    @property
    def tail(self) -> str:
        """Return the end of what was written."""
        return tail_text(self._tail, self._patterns)

    @property
    def waits(self) -> bool:
        """Say whether something is yet to be copied: until `limit` is called, whatever may come."""
        if self._quota is None:
            return self.is_open or bool(self._pending)
        return bool(self._pending) or (self.is_open and self._quota > 0)

    def limit(self) -> None:
        """Copy from now on only what has been written already: the command has ended."""
        size = fcntl.ioctl(self.source, termios.FIONREAD, bytes(4)) if self.is_open else bytes(4)
        (self._quota,) = struct.unpack("i", size)

    def take_all(self) -> None:
        """Read what `limit` has counted, whether or not the caller takes it; it is no more than a pipe holds."""
        while self.is_open and self._quota:
            self._read()

    def go_on_after(self, former: "Stream") -> None:
        """Write first what is left of a former run, so that the caller gets all in order."""
        self._pending, former._pending = former._pending, b""

    def notice_end(self) -> None:
        """Close the stream, if no process can write to it any more."""
        if self.is_open:
            poller = select.poll()
            poller.register(self.source, select.POLLIN)
            if [events for _, events in poller.poll(0)] == [select.POLLHUP]:
                self._close()

    def unlimit(self) -> None:
        """Copy whatever may come again."""
        self._quota = None

    def register(self, poller: select.poll) -> None:
        """Ask to be told when copying can go on."""
        if self._pending:
            poller.register(self.target, select.POLLOUT)
        elif self.waits:
            poller.register(self.source, select.POLLIN)
            poller.register(self.target, 0)  # errors are always told: the command learns at once that nobody reads

    def copy(self, ready: int) -> None:
        """Copy a piece, if `ready` is the descriptor that this waits for."""
        if self._pending and ready == self.target:
            self._write()
        elif self.is_open and ready == self.source:
            self._read()
        elif ready == self.target:
            self._close()

    def _read(self) -> None:
        size = _READ_BYTES if self._quota is None else min(_READ_BYTES, self._quota)
        data = os.read(self.source, size)
        if not data:
            self._close()
            return
        if self._quota is not None:
            self._quota -= len(data)
        self._pending += data
        self._tail = (self._tail + data)[-KEPT_BYTES:]
        self._is_kept = False

    def keep(self) -> None:
        """Store the tail, once the caller has what was read: neither a slow disk nor `--redact` holds that up."""
        if self._is_kept or self._pending:
            return
        self._is_kept = True
        kept = self.tail.encode()
        with suppress(OSError):  # a full disk: then what is kept is in memory alone
            os.pwrite(self._store, kept, 0)
            os.ftruncate(self._store, len(kept))

    def _write(self) -> None:
        try:
            done = os.write(self.target, self._pending[:_WRITE_BYTES])
        except BlockingIOError:
            return
        except OSError as error:
            self._pending = b""
            if error.errno == errno.EPIPE:  # nobody reads: the command is to learn it
                self._close()
            return
        self._pending = self._pending[done:]

    def _close(self) -> None:
        if self.is_open:
            os.close(self.source)
        self.is_open = False


class Outputs:
    """The outputs of a command: one for both descriptors if they are the same file, since that keeps their order.

    A descriptor that is `closed` has none. Raises OSError.
    """

    def __init__(self, closed: Container[int], stores: tuple[int, int], patterns: Sequence[re.Pattern[str]]) -> None:
        targets = [[number] for number in (1, 2) if number not in closed]
        if len(targets) == 2 and os.path.sameopenfile(1, 2):
            targets = [[1, 2]]
        self.copied: list[Stream] = []
        """Those that are copied."""
        self._all: list[Stream | HandedOn] = []
        for each, store in zip(targets, stores, strict=False):
            if is_copied(each[0]):
                self.copied.append(Stream(each, store, patterns))
                self._all.append(self.copied[-1])
            else:
                self._all.append(HandedOn(each, patterns))

    @property
    def files(self) -> dict[int, int]:
        """Return the descriptors that the command gets for its own; it inherits the others."""
        return {target: stream.inner for stream in self.copied for target in stream.targets}

    @property
    def tail(self) -> str:
        """Return the end of what was written to each."""
        return join_tails([each.tail for each in self._all])

    def go_on_after(self, former: "Outputs") -> None:
        """Write first what is left of a former run. A reader that has gone meanwhile misses nothing."""
        of_target = {stream.target: stream for stream in former.copied}
        for stream in self.copied:
            if stream.target in of_target:
                stream.go_on_after(of_target[stream.target])


def copy_some(streams: Sequence[Stream], timeout_s: float | None, wakeup: int = -1) -> bool:
    """Copy a piece of each stream that has one; say whether there was anything, or `wakeup` was readable.

    Wait for it until the timeout; None: as long as it takes.
    """
    poller = select.poll()
    if wakeup >= 0:
        poller.register(wakeup, select.POLLIN)
    for stream in streams:
        stream.register(poller)
    ready = [number for number, _ in poller.poll(None if timeout_s is None else max(timeout_s, 0) * 1000)]
    for stream in streams:
        for number in ready:
            stream.copy(number)
        stream.keep()
    return bool(ready)


def copy_rest(streams: Sequence[Stream]) -> None:
    """Copy, in a child, what processes that outlive the command will write. Return at once."""
    for stream in streams:
        stream.notice_end()
    streams = [stream for stream in streams if stream.is_open or stream.waits]
    for stream in streams:
        stream.unlimit()
    if not streams or os.fork():
        return
    try:
        give_signals_back()
        close_descriptors(keep={each for stream in streams for each in (stream.source, stream.target)})
        while any(stream.waits for stream in streams):
            copy_some(streams, None)
    finally:
        os._exit(0)
