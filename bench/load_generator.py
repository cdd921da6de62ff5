"""The load generator: it sends prepared requests over raw sockets, in a closed loop, and checks every answer."""

import re
import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import NamedTuple

import psutil

_SILENCE_S = 120  # after so long without a byte, something hangs
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_END = b"\r\n\r\n"


class BadAnswer(Exception):
    """An answer that is not what must come back, or none."""


class Server(NamedTuple):
    """A server that runs; `pid` is that of the process that started its workers."""

    name: str
    port: int
    pid: int

    def ask(self, request: "Request") -> bytes:
        """Return the body of the answer, over a connection of its own. Raises BadAnswer."""
        line = Line(self.port)
        line.send(request)
        while not line.receive():
            pass
        line.socket.close()
        return bytes(line.buffer[line.head : line.size])

    def cpu_seconds(self) -> float:
        """Return the user and system time of its processes until now, also of those that have ended."""
        process = psutil.Process(self.pid)
        return sum(sum(each.cpu_times()[:4]) for each in (process, *process.children(recursive=True)))


class Request(NamedTuple):
    """Bytes to send, and what must come back."""

    data: bytes
    status: int = 200
    body: bytes | None = None
    """The very bytes of the answer's body; None: any."""
    asked: tuple[str, str] = ("", "")  # URI and format, of a GET


class Window(NamedTuple):
    """What was measured, in s: how long each answer took and how long all did, and processor time."""

    latencies: list[float]
    seconds: float
    client_cpu: float
    server_cpu: float


class How(NamedTuple):
    """How to measure: for how many seconds, after how many others that do not count, and so on."""

    seconds: float
    warm_up: float = 0.0
    connections: int = 1
    most: int = sys.maxsize
    """Answers that end it before the time is over."""


def measure(requests: Sequence[Request], server: Server, how: How) -> Window:
    """Return what it takes to answer the requests, which are sent in turn.

    Each connection sends its next request when its answer is there. When the window is over no request is sent; those
    under way are waited for and counted, so that no server works in another server's window. Raises BadAnswer.
    """
    again = cycle(requests)
    lines = [Line(server.port) for _ in range(how.connections)]
    try:
        if how.warm_up:
            _ask(lines, again, How(how.warm_up))
        client_before, server_before = time.process_time(), server.cpu_seconds()
        latencies, elapsed = _ask(lines, again, how)
        client_after, server_after = time.process_time(), server.cpu_seconds()
    finally:
        for line in lines:
            line.socket.close()
    return Window(latencies, elapsed, client_after - client_before, server_after - server_before)


def _ask(lines: Sequence["Line"], requests: Iterator[Request], how: How) -> tuple[list[float], float]:
    """Return how long each answer took and how long all did."""
    clock = time.perf_counter
    latencies: list[float] = []
    by_fd = {line.socket.fileno(): line for line in lines}
    with select.epoll() as poll:
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        started = now = clock()
        for line in lines:
            line.send(next(requests))
        waiting = len(lines)
        while waiting:
            ready = poll.poll(_SILENCE_S)
            if not ready:
                raise BadAnswer(f"no byte for {_SILENCE_S} s")
            for fd, _ in ready:
                line = by_fd[fd]
                if line.receive():
                    now = clock()
                    latencies.append(now - line.sent)
                    if now - started < how.seconds and len(latencies) + waiting <= how.most:
                        line.send(next(requests))
                    else:
                        waiting -= 1
    return latencies, now - started


class Line:
    """A connection, with one request under way at most."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(65_536)  # answers are compared where they lie: to copy 2 MB takes half a CPU

    def send(self, request: Request) -> None:
        """Send a request."""
        self._request = request
        self._got = self.head = self.size = 0  # bytes that are there, and of the head and the whole once known
        self.sent = time.perf_counter()
        self.socket.sendall(request.data)

    def receive(self) -> bool:
        """Take what has arrived; return whether the answer is complete. Raises BadAnswer."""
        with memoryview(self.buffer) as view:
            got = self.socket.recv_into(view[self._got :])
        if not got:
            raise self._bad("the connection was closed")
        self._got += got
        if not self.size:
            self._read_head()
        if not self.size or self._got < self.size:
            return False
        if self._got > self.size:
            raise self._bad("more than Content-Length says")
        body, length = self._request.body, self.size - self.head
        if body is not None and not (len(body) == length and self.buffer.startswith(body, self.head)):
            raise self._bad("not the body that was expected")
        return True

    def _read_head(self) -> None:
        end = self.buffer.find(_END, 0, self._got)
        if end < 0:
            return
        self.head = end + len(_END)
        if not self.buffer.startswith(b"HTTP/1.1 %d " % self._request.status):
            raise self._bad("not the status that was expected")
        length = _LENGTH.search(self.buffer, 0, self.head)
        if length is None:
            raise self._bad("no Content-Length")
        self.size = self.head + int(length[1])
        self.buffer.extend(bytes(max(0, self.size - len(self.buffer))))

    def _bad(self, what: str) -> BadAnswer:
        return BadAnswer(f"{self._request.data!r}: {what}: {bytes(self.buffer[: min(self._got, 500)])!r}")
