"""Prepared requests over one connection, one after the other; every answer is checked."""

import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, takewhile
from typing import NamedTuple

import psutil

_SILENCE_S = 120  # after so long without a byte, something hangs
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class BadAnswer(Exception):
    """An answer that is not what must come back, or none."""


class Request(NamedTuple):
    """Bytes to send, and what must come back."""

    data: bytes
    status: int = 200
    body: bytes | None = None
    """The very bytes of the answer's body; None: any."""
    asked: tuple[str, str] = ("", "")  # URI and format, of a GET


class Server(NamedTuple):
    """A server that runs; `pid` is that of the process that started its workers."""

    name: str
    port: int
    pid: int

    def ask(self, request: Request) -> bytes:
        """Return the body of the answer, over a connection of its own. Raises BadAnswer."""
        with _connected(self) as ask:
            return ask(request)

    def cpu_seconds(self) -> float:
        """Return the user and system time of its processes until now, also of those that have ended."""
        process = psutil.Process(self.pid)
        return sum(sum(each.cpu_times()[:4]) for each in (process, *process.children(recursive=True)))


def latencies(requests: Sequence[Request], server: Server, seconds: float, most: int = sys.maxsize) -> list[float]:
    """Return how long each answer took, in s, to requests sent in turn for so long, `most` at most. Raises BadAnswer.

    One request more, with which the server accepts the connection, does not count.
    """
    again, clock = cycle(requests), time.perf_counter
    found: list[float] = []
    with _connected(server) as ask:
        ask(next(again))
        started = now = clock()
        while now - started < seconds and len(found) < most:
            sent = clock()
            ask(next(again))
            now = clock()
            found.append(now - sent)
    return found


@contextmanager
def _connected(server: Server) -> Iterator[Callable[[Request], bytes]]:
    """Yield what sends a request over one connection and returns the body of the answer. Raises BadAnswer."""
    address = ("127.0.0.1", server.port)
    with socket.create_connection(address, _SILENCE_S) as connection, connection.makefile("rb") as answers:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def ask(request: Request) -> bytes:
            connection.sendall(request.data)
            head = b"".join(takewhile(b"\r\n".__ne__, answers))
            length = _LENGTH.search(head)
            body = answers.read(int(length[1])) if length else b""
            if wrong := _wrong(request, head, body):
                raise BadAnswer(f"{server.name}, {request.data!r}: {wrong}: {head + body[:500]!r}")
            return body

        yield ask


def _wrong(request: Request, head: bytes, body: bytes) -> str:
    """Return what is wrong with an answer, "" for a good one."""
    length = _LENGTH.search(head)
    if not head or (length and len(body) < int(length[1])):
        return "the connection was closed"
    if not head.startswith(b"HTTP/1.1 %d " % request.status):
        return "not the status that was expected"
    if not length:
        return "no Content-Length"
    return "" if request.body in (None, body) else "not the body that was expected"
