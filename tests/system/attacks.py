"""What hostile and unlucky clients do to a server, over real sockets, for as long as the block lasts."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

CLIENTS = 40
"""More than ten times the threads of a service with two workers."""


class Target:
    """Where to attack, and the sockets that do."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.address = host, int(port)
        self.over = threading.Event()
        self.sockets: list[socket.socket] = []

    def connect(self, receive_bytes: int | None = None) -> socket.socket:
        """Return a new connection; with `receive_bytes` the kernel keeps no more of an answer."""
        sock = socket.socket()
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.settimeout(10)
        sock.connect(self.address)
        self.sockets.append(sock)
        return sock


def half_heads(target: Target) -> None:
    """Send heads a byte at a time, and no end."""
    clients = _begin(target, b"GET /v1.0/1 HTTP/1.1\r\nX-Auth-Token: ")
    _trickle(target, clients, b"a")


def trickled_bodies(target: Target) -> None:
    """Announce a body, and send a byte of it now and then."""
    clients = _begin(
        target, b"POST /api/v1/notifications/logs/run HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
    )
    _trickle(target, clients, b"[")


def trickled_chunks(target: Target) -> None:
    """Send a body in chunks of one byte, and no last one."""
    clients = _begin(
        target, b"POST /api/v1/notifications/logs/run HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    _trickle(target, clients, b"1\r\n[\r\n")


def refused_bodies(target: Target) -> None:
    """Announce more than is ever taken, and go on sending whatever is answered."""
    clients = _begin(target, b"POST /v1.0/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n")
    _trickle(target, clients, b"x" * 1000)


def unread_answers(target: Target) -> None:
    """Ask for much at once, and read nothing."""
    clients = [target.connect(receive_bytes=4096) for _ in range(CLIENTS)]
    request = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 200
    for sock in clients:
        sock.settimeout(0.01)
        with suppress(OSError):
            sock.sendall(request)
    target.over.wait()


def long_heads(target: Target) -> None:
    """Send heads as long as they may be, and no end."""
    fields = b"".join(b"X-%d: %s\r\n" % (n, b"a" * 8000) for n in range(99))
    clients = _begin(target, b"GET / HTTP/1.1\r\n" + fields)
    _trickle(target, clients, b"a")


def silent_connections(target: Target) -> None:
    """Connect as often as can be, and send nothing."""
    while not target.over.is_set():
        try:
            target.connect()
        except OSError:
            target.over.wait(0.05)
        if len(target.sockets) > 900:
            target.sockets.pop(0).close()


def _begin(target: Target, data: bytes) -> list[socket.socket]:
    """Return clients that have sent `data`, each as far as the server lets it."""
    clients = [target.connect() for _ in range(CLIENTS)]
    for sock in clients:
        with suppress(OSError):
            sock.sendall(data)
    return clients


def _trickle(target: Target, clients: list[socket.socket], data: bytes) -> None:
    while not target.over.wait(0.2):
        for sock in clients:
            with suppress(OSError):
                sock.send(data)


ATTACKS: dict[str, Callable[[Target], None]] = {
    "half a head": half_heads,
    "a long head": long_heads,
    "a trickled body": trickled_bodies,
    "trickled chunks": trickled_chunks,
    "a refused body": refused_bodies,
    "unread answers": unread_answers,
    "silent connections": silent_connections,
}


@contextmanager
def attacked(url: str, attack: Callable[[Target], None]) -> Iterator[None]:
    """Attack a server while the block runs."""
    target = Target(url)
    thread = threading.Thread(target=attack, args=(target,), daemon=True)
    thread.start()
    time.sleep(1)  # by then a server that can be stopped has stopped
    try:
        yield
    finally:
        target.over.set()
        thread.join(20)
        for sock in target.sockets:
            sock.close()
