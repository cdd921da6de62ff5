"""A client's connection. A request is taken in whole before a thread has it, and an answer leaves under a deadline.

The poller's thread owns a connection, but for the time in which a thread answers its request, or makes a piece of an
answer that is streamed.
"""

import math
import socket
import struct
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from enum import Enum
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import Any

from notifhist.errors import BadRequest
from notifhist.server.chunks import Chunks
from notifhist.server.incoming import Incoming, end_of_head
from notifhist.server.streams import Stream

KEEPALIVE_S = 75
"""Proxies keep an idle connection for a minute. So they close it, and not we while they send the next request."""
READ_TIMEOUT_S = 15.0
"""For the first byte of a new connection, and from the first byte of a head to its last."""
SEND_TIMEOUT_S = 15.0
LEAST_BYTES_PER_S = 1000
"""A body, or an answer, has its timeout, and a second more for so many bytes that have passed."""
DRAIN_BYTES = 64 * 2**20
DRAIN_TIMEOUT_S = 10.0
"""How much of a body that the app has not read is read and dropped, and for how long."""
LINGER_S = 0.5
"""How long to wait for a client to close its side of a connection that ends."""
LARGEST_BODY_BYTES = 16 * 2**20
"""A longer body is not taken in: the app refuses it by its length."""
IN_MEMORY_BYTES = 65_536
"""From this size on a body is kept in a temporary file."""
UNSENT_IN_KERNEL_BYTES = 131_072
"""So much of a stream the kernel takes ahead of what it can send; else it would keep up to 4 MB for each client."""
_RECEIVE_BYTES = 65_536
_PARTS_AT_ONCE = 512  # the kernel takes 1024
_RESET = struct.pack("ii", 1, 0)  # linger for 0 s


class LateRequest(BadRequest):
    """A request that does not arrive in time."""

    status = 408
    message = "The request did not arrive in time."


class State(Enum):
    """What a connection waits for."""

    IDLE = "the first byte of a request"
    HEAD = "the end of a request's head"
    BODY = "the end of a request's body"
    ANSWER = "the answer of the app, or more of it"
    SENDING = "the client, which is to receive the answer"
    DRAINING = "the end of a body that nobody reads"
    LINGERING = "the client, which is to close its side"


class Connection:
    """One client's connection, and the request that it sends or is answered."""

    def __init__(self, sock: socket.socket, client: Any, server: Any, cfg: Any) -> None:
        sock.setblocking(False)
        self.sock, self.client, self.server, self._cfg = sock, client, server, cfg
        self.buffer = bytearray()
        self.head = b""
        self.request: Incoming | None = None
        self.unsent: deque[memoryview] = deque()
        self.stream: Stream | None = None
        """The rest of an answer that is streamed."""
        self.closes = False
        self.waits = False
        """Whether it is the poller's; else a thread has it."""
        self.polled_for = 0
        """The selector's event that it is registered for."""
        self._answered = 0
        self.enter(State.IDLE)

    def enter(self, state: State) -> None:
        """Begin to wait for something else."""
        self.state, self.since, self.passed = state, time.monotonic(), 0

    @property
    def deadline(self) -> float:
        """Until when it waits, by the monotonic clock."""
        timeout_s = {
            State.IDLE: KEEPALIVE_S if self._answered else READ_TIMEOUT_S,
            State.HEAD: READ_TIMEOUT_S,
            State.BODY: READ_TIMEOUT_S + self.passed / LEAST_BYTES_PER_S,
            State.ANSWER: math.inf,
            State.SENDING: SEND_TIMEOUT_S + self.passed / LEAST_BYTES_PER_S,
            State.DRAINING: DRAIN_TIMEOUT_S,
            State.LINGERING: LINGER_S,
        }
        return self.since + timeout_s[self.state]

    @property
    def path(self) -> str:
        """The path of the request."""
        return self.request.path or "" if self.request is not None else ""

    @property
    def is_read(self) -> bool:
        """Whether the request changes nothing."""
        return self.request is not None and self.request.is_read

    def receive(self) -> bool:
        """Take in what has arrived; return whether the client may still send.

        Raises OSError where the connection is broken.
        """
        try:
            data = self.sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return True
        if not data:
            return False
        self.passed += len(data)
        if self.state in (State.DRAINING, State.LINGERING):
            return self.state is State.LINGERING or self.passed < DRAIN_BYTES
        self.buffer += data
        return True

    def take_request(self) -> bool:
        """Go on with the request that begins the buffer; return whether it is complete.

        Raises gunicorn's ParseException for one that is not HTTP.
        """
        if self.state is State.IDLE and self.buffer:
            self.enter(State.HEAD)
            self.head, self.request, self._seen = b"", None, 0
        if self.state is State.HEAD:
            end = end_of_head(self.buffer, self._seen)
            self._seen = len(self.buffer)
            if not end:
                return False
            self._take_head(end)
        return self.state is State.BODY and self._take_body()

    def _take_head(self, end: int) -> None:
        self.head = bytes(self.buffer[:end])
        del self.buffer[:end]
        self.request = None
        self.request = request = Incoming(self._cfg, self.head, self.client)
        self._left, self._chunks = request.length or 0, Chunks() if request.length is None else None
        is_short = request.length is not None and request.length <= IN_MEMORY_BYTES
        self._body = BytesIO() if is_short else SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - `_done` closes it
        self.closes = False
        self.enter(State.BODY)
        if request.expects_100 and not self._is_too_long():
            with suppress(OSError):
                self.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _is_too_long(self) -> bool:
        return self._left > LARGEST_BODY_BYTES

    def _take_body(self) -> bool:
        """Move what has arrived of the body; return whether that is all that the app will read."""
        if self._chunks is not None:
            self._body.write(self._chunks.feed(self.buffer))
            is_complete = self._chunks.done
            self.closes = not is_complete and self._body.tell() > LARGEST_BODY_BYTES
        elif self._is_too_long():
            is_complete, self.closes = False, True
        else:
            piece = self.buffer[: self._left]
            self._body.write(piece)
            del self.buffer[: len(piece)]
            self._left -= len(piece)
            is_complete = not self._left
        if not (is_complete or self.closes):
            return False
        self._body.seek(0)
        self.request.body = self._body  # type: ignore[union-attr]
        return True

    def reply(self, parts: Iterable[bytes], closes: bool, stream: Stream | None = None) -> None:
        """Send an answer, as much as the kernel takes now; `flush` sends the rest. OSError is raised there too.

        `stream` has the rest of it; `go_on` sends that, piece by piece.
        """
        self.stream = stream
        self.closes = closes or self.closes or (stream is not None and not stream.in_chunks)
        if stream is not None:
            with suppress(OSError):  # a socket in the file system has no such option
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_IN_KERNEL_BYTES)
        self.go_on(parts)

    def go_on(self, parts: Iterable[bytes]) -> None:
        """Send more of an answer, all of whose parts before are sent. OSError is raised as by `flush`.

        Where a piece of a stream is empty, a client that has closed its side counts as gone: no sending would tell.
        """
        self.unsent.extend(memoryview(part) for part in parts if part)
        self.passed = 0
        if not (self.unsent or self.stream is None or self.stream.done or self.stream.failed):
            with suppress(BlockingIOError):
                if not self.sock.recv(1, socket.MSG_PEEK):
                    raise ConnectionAbortedError
        self.flush()

    def flush(self) -> None:
        """Send what the kernel takes; once all is sent, wait for more of the answer, the next request or the end.

        Raises OSError where the connection is broken.
        """
        with suppress(BlockingIOError):
            while self.unsent:
                some = [self.unsent[n] for n in range(min(len(self.unsent), _PARTS_AT_ONCE))]
                self._forget(self.sock.sendmsg(some))
        if self.unsent:
            if self.state is not State.SENDING:
                self.enter(State.SENDING)
        elif self.stream is None or self.stream.done:
            self._done()
        elif self.stream.failed:
            self._break_off(self.stream)
        else:
            self.enter(State.ANSWER)

    def _break_off(self, stream: Stream) -> None:
        """End an answer so that its client sees that it is not whole: by no last chunk, else by a reset (`close`)."""
        if stream.in_chunks:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
        self.enter(State.LINGERING)

    def _forget(self, sent: int) -> None:
        self.passed += sent
        while sent:
            first = self.unsent.popleft()
            if len(first) > sent:
                self.unsent.appendleft(first[sent:])
                return
            sent -= len(first)

    def _done(self) -> None:
        """End a request that is answered."""
        self._answered += 1
        self.stream = None
        was_read_whole = self.request is not None and not self.closes
        if self.request is not None:
            self._close_body()
        if was_read_whole:
            self.enter(State.IDLE)
            return
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
        self.enter(State.DRAINING if self._has_unread() else State.LINGERING)

    def _has_unread(self) -> bool:
        """Say whether the client still sends: many never read an answer if the connection is closed before."""
        if self.request is None:
            return False
        return not self._chunks.done if self._chunks is not None else bool(self._left)

    def held_bytes(self) -> int:
        """Return how much memory its client makes it hold."""
        return len(self.buffer) + sum(map(len, self.unsent))

    def spooled_bytes(self) -> int:
        """Return how much of a body is in a temporary file."""
        return self.passed if self.state is State.BODY and self.passed > IN_MEMORY_BYTES else 0

    def close(self) -> None:
        """Close the connection, whatever it waits for."""
        if self.request is not None and self.state is not State.ANSWER:
            self._close_body()
        with suppress(OSError):
            if self.stream is not None:
                self.stream.close()
                if not self.stream.in_chunks:  # an orderly end would make a whole answer of what has arrived
                    self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.sock.close()

    def _close_body(self) -> None:
        with suppress(OSError):  # a temporary file writes what is left, for which there may be no space
            self._body.close()
