"""The load generator: it sends prepared requests over raw sockets, in a closed loop, and checks every answer."""

import re
import select
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection
from itertools import cycle
from typing import NamedTuple

import psutil

_SILENCE_S = 120
"""After so long without a byte, something hangs."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_END = b"\r\n\r\n"


class BadAnswer(Exception):
    """An answer that is not what must come back, or none."""


class Server(NamedTuple):
    """A server that runs; `pid` is that of the process that started its workers."""

    name: str
    port: int
    pid: int

    def get(self, uri: str, headers: Mapping[str, str]) -> bytes:
        """Return the body answered to one GET over a connection of its own. Raises BadAnswer unless it is 200."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=_SILENCE_S)) as connection:
            connection.request("GET", uri, headers=dict(headers))
            response = connection.getresponse()
            body = response.read()
        if response.status != 200:
            raise BadAnswer(f"{self.name}, {uri}: {response.status} {body[:500]!r}")
        return body

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


class Window(NamedTuple):
    """What was measured, in s: how long each answer took and how long all did, and processor time."""

    latencies: list[float]
    seconds: float
    client_cpu: float
    server_cpu: float


def measure(
    requests: Sequence[Request],
    server: Server,
    *,
    seconds: float,
    most: int = sys.maxsize,
    warm_up: float = 0.0,
    connections: int = 1,
) -> Window:
    """Ask for about `seconds` or until `most` are answered, after `warm_up` seconds that do not count.

    Each connection sends its next request when its answer is there. After `seconds` no more are sent, and those
    under way are waited for and counted: whatever a server has begun on is in its figures and in nobody
    else's, also if a request takes longer than `seconds`. Raises BadAnswer.
    """
    again = cycle(requests)
    lines = [Line(server.port) for _ in range(connections)]
    try:
        if warm_up:
            _ask(lines, again, warm_up, sys.maxsize)
        client_before, server_before = time.process_time(), server.cpu_seconds()
        latencies, elapsed = _ask(lines, again, seconds, most)
        client_after, server_after = time.process_time(), server.cpu_seconds()
    finally:
        for line in lines:
            line.socket.close()
    return Window(latencies, elapsed, client_after - client_before, server_after - server_before)


def _ask(
    lines: Sequence["Line"], requests: Iterator[Request], seconds: float, most: int
) -> tuple[list[float], float]:
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
                    if now - started < seconds and len(latencies) + waiting <= most:
                        line.send(next(requests))
                    else:
                        waiting -= 1
    return latencies, now - started


class Line:
    """A connection, with one request under way at most."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: Request) -> None:
        """Send a request."""
        self._request = request
        self._answer = bytearray()
        self._size = 0  # of the whole answer, once it is known
        self.sent = time.perf_counter()
        self.socket.sendall(request.data)

    def receive(self) -> bool:
        """Take what has arrived; return whether the answer is complete. Raises BadAnswer."""
        data = self.socket.recv(65_536)
        if not data:
            raise self._bad("the connection was closed")
        self._answer += data
        if not self._size:
            end = self._answer.find(_END)
            if end < 0:
                return False
            length = _LENGTH.search(self._answer, 0, end + len(_END))
            if length is None:
                raise self._bad("no Content-Length")
            self._size = end + len(_END) + int(length[1])
        if len(self._answer) < self._size:
            return False
        if not self._answer.startswith(b"HTTP/1.1 %d " % self._request.status):
            raise self._bad("not the status that was expected")
        if len(self._answer) > self._size:
            raise self._bad("more than Content-Length says")
        if self._request.body is not None and self._answer.partition(_END)[2] != self._request.body:
            raise self._bad("not the body that was expected")
        return True

    def _bad(self, what: str) -> BadAnswer:
        return BadAnswer(f"{self._request.data!r}: {what}: {bytes(self._answer[:500])!r}")
