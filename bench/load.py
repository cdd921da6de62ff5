"""The load generator: a process of its own that sends prepared requests over raw sockets, in a closed loop."""

import multiprocessing
import re
import select
import socket
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

SILENCE_SECONDS = 120
"""After so long without a byte from any connection, something hangs."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_END = b"\r\n\r\n"


class Request(NamedTuple):
    """Bytes to send, and what must come back."""

    data: bytes
    status: int = 200
    body: bytes | None = None
    """The very bytes of the answer's body; None: any."""


class Window(NamedTuple):
    """What was measured: a number of answers in some seconds, and the seconds that each one took."""

    answers: int
    seconds: float
    latencies: list[float]
    client_seconds: float
    """Processor time of the load generator itself."""
    connections: int

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds


class BadAnswer(Exception):
    """An answer that is not what must come back, or none."""


class Client:
    """A process that measures; what it has to ask for is given to it once, under a name."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def learn(self, name: str, requests: Sequence[Request]) -> None:
        """Hand over requests."""
        self._call("learn", name, list(requests))

    def measure(
        self,
        name: str,
        port: int,
        *,
        seconds: float,
        most: int = sys.maxsize,
        warm_up: float = 0.0,
        connections: int = 1,
    ) -> Window:
        """Ask for the requests of `name`, in turn, for about `seconds` or until `most` are answered.

        For `warm_up` seconds before that it asks without counting. Raises BadAnswer.
        """
        window: Window = self._call("measure", name, port, seconds, most, warm_up, connections)
        return window

    def take_turns(self, asked: Sequence[tuple[str, int]], *, most: int, seconds: float) -> list[list[float]]:
        """Ask for one request of each (name, port), then for the next of each, over one connection each.

        Returns of each the seconds of up to `most` answers; after `seconds` there are no more turns. What else
        the machine does then falls on all alike. Raises BadAnswer.
        """
        latencies: list[list[float]] = self._call("take_turns", list(asked), most, seconds)
        return latencies

    def _call(self, *message: Any) -> Any:
        self._pipe.send(message)
        kind, value = self._pipe.recv()
        if kind == "failed":
            raise BadAnswer(value)
        return value


@contextmanager
def client() -> Iterator[Client]:
    """Start a client; it ends with the block."""
    spawn = multiprocessing.get_context("spawn")  # a copy of this process would share its threads' locks
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_obey, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Client(ours)
    finally:
        ours.close()
        process.join()


def _obey(pipe: Connection) -> None:
    known: dict[str, Iterator[Request]] = {}
    while True:
        try:
            what, *arguments = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            pipe.send(("done", _do(known, what, arguments)))
        except KeyboardInterrupt:
            return
        except Exception:  # noqa: BLE001 - told to the other process, which raises it
            pipe.send(("failed", f"{what} {arguments[0]}: {traceback.format_exc()}"))


def _do(known: dict[str, Iterator[Request]], what: str, arguments: list[Any]) -> object:
    match what:
        case "learn":
            name, requests = arguments
            known[name] = cycle(requests)
            return None
        case "measure":
            name, *others = arguments
            return measure(known[name], *others)
        case _:
            asked, *others = arguments
            return take_turns([(known[name], port) for name, port in asked], *others)


def take_turns(
    asked: Sequence[tuple[Iterator[Request], int]], most: int, seconds: float
) -> list[list[float]]:
    """Return of each server the seconds of its answers, see `Client.take_turns`.

    The first request over each connection is not counted: with it the server accepts that. Each time another
    server comes first.
    """
    lines = [Line(port) for _, port in asked]
    latencies: list[list[float]] = [[] for _ in asked]
    try:
        for line, (requests, _) in zip(lines, asked, strict=True):
            line.ask(next(requests))
        deadline = time.perf_counter() + seconds
        for n in range(most):
            for turn in range(len(lines)):
                which = (n + turn) % len(lines)
                latencies[which].append(lines[which].ask(next(asked[which][0])))
            if time.perf_counter() > deadline:
                break
        return latencies
    finally:
        for line in lines:
            line.socket.close()


def measure(
    requests: Iterator[Request], port: int, seconds: float, most: int, warm_up: float, connections: int
) -> Window:
    """Return what was measured, see `Client.measure`.

    Each connection sends its next request when its answer is there. After `seconds` no more are sent, and those
    under way are waited for and counted: whatever a server has begun on is in its figures and in nobody
    else's, also if a request takes longer than `seconds`.
    """
    lines = [Line(port) for _ in range(connections)]
    try:
        if warm_up:
            _ask(lines, requests, warm_up, sys.maxsize)
        cpu = time.process_time()
        latencies, elapsed = _ask(lines, requests, seconds, most)
        return Window(len(latencies), elapsed, latencies, time.process_time() - cpu, connections)
    finally:
        for line in lines:
            line.socket.close()


def _ask(
    lines: list["Line"], requests: Iterator[Request], seconds: float, most: int
) -> tuple[list[float], float]:
    """Return how long each answer took and how long all did."""
    clock = time.perf_counter
    latencies: list[float] = []
    by_fd = {line.socket.fileno(): line for line in lines}
    with select.epoll() as poll:
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        started = clock()
        deadline = started + seconds
        for line in lines:
            line.send(next(requests))
        waiting = len(lines)
        while waiting:
            ready = poll.poll(SILENCE_SECONDS)
            if not ready:
                raise BadAnswer(f"no byte for {SILENCE_SECONDS} s")
            for fd, _ in ready:
                line = by_fd[fd]
                if line.receive():
                    now = clock()
                    latencies.append(now - line.sent)
                    if now < deadline and len(latencies) + waiting <= most:
                        line.send(next(requests))
                    else:
                        waiting -= 1
    return latencies, now - started


class Line:
    """A connection, with one request under way at most."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = 0.0
        self._buffer = bytearray(65_536)

    def send(self, request: Request) -> None:
        """Send a request."""
        self._request = request
        self._got = self._head = self._size = 0  # how much is there, and how much is to come once known
        self.sent = time.perf_counter()
        self.socket.sendall(request.data)

    def receive(self) -> bool:
        """Take what has arrived; return whether the answer is complete. Raises BadAnswer."""
        with memoryview(self._buffer) as view:
            got = self.socket.recv_into(view[self._got :])
        if not got:
            raise self._bad("the connection was closed")
        self._got += got
        if not self._size:
            self._read_head()
        if self._got < self._size or not self._size:
            return False
        self._check()
        return True

    def ask(self, request: Request) -> float:
        """Send a request and wait for its answer; return how many seconds that took. Raises BadAnswer."""
        self.send(request)
        while not self.receive():
            pass
        return time.perf_counter() - self.sent

    def _read_head(self) -> None:
        end = self._buffer.find(_END, 0, self._got)
        if end < 0:
            return
        self._head = end + len(_END)
        if not self._buffer.startswith(b"HTTP/1.1 %d " % self._request.status):
            raise self._bad("not the status that was expected")
        length = _LENGTH.search(self._buffer, 0, self._head)
        if length is None:
            raise self._bad("no Content-Length")
        self._size = self._head + int(length[1])
        if len(self._buffer) < self._size:
            self._buffer.extend(bytes(self._size - len(self._buffer)))

    def _check(self) -> None:
        body = self._request.body
        if self._got > self._size:
            raise self._bad("more than Content-Length says")
        if body is not None and not (
            self._size - self._head == len(body) and self._buffer.startswith(body, self._head)
        ):
            raise self._bad("not the body that was expected")

    def _bad(self, what: str) -> BadAnswer:
        return BadAnswer(f"{self._request.data!r}: {what}: {bytes(self._buffer[: min(self._got, 500)])!r}")
