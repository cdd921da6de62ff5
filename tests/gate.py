"""Ways to a PostgreSQL server: one that a test may shut, as if there were none, and one to a server that follows."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict


class Gate:
    """A port that leads to the server of a database. While it is shut, connections are refused."""

    def __init__(self, database_url: str) -> None:
        self._address: dict[str, Any] = dict(conninfo_to_dict(database_url))
        with socket.create_server(("127.0.0.1", 0)) as unused:
            self.port: int = unused.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads: list[Thread] = []
        self.callers = 0
        """How many connections have come through it."""

    @property
    def url(self) -> str:
        """The URL of the database behind it."""
        known = self._address
        password = f":{known['password']}" if known.get("password") else ""
        return f"postgresql://{known.get('user', '')}{password}@127.0.0.1:{self.port}/{known['dbname']}"

    def open(self) -> None:
        """Let connections through."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self._sockets = [listener]
        self._go_on(self._let_through, listener)

    def cut(self) -> None:
        """End all connections that have come through."""
        for each in self._sockets[1:]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def shut(self) -> None:
        """Refuse connections, and end those that have come through."""
        if self._sockets:
            with suppress(OSError):
                self._sockets[0].shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self.cut()
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()
        self._sockets, self._threads = [], []

    def _go_on(self, do: Any, *arguments: Any) -> None:
        self._threads.append(Thread(target=do, args=arguments))
        self._threads[-1].start()

    def _let_through(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                caller = listener.accept()[0]
                self.callers += 1
                server = self._connected()
                self._sockets += [caller, server]
                self._go_on(_pass_on, caller, server)
                self._go_on(_pass_on, server, caller)

    def _connected(self) -> socket.socket:
        host, port = str(self._address.get("host") or "127.0.0.1"), int(self._address.get("port") or 5432)
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def gate(database_url: str) -> Iterator[Gate]:
    """Make a gate, which is open, and shut it in the end."""
    made = Gate(database_url)
    made.open()
    try:
        yield made
    finally:
        made.shut()


FOLLOWS = "options=-c%20search_path%3Dpublic,follower,pg_catalog"


@contextmanager
def following(url: str) -> Iterator[str]:
    """Yield a URL of the same database by which it says that it follows a primary."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA follower")
        connection.execute("CREATE FUNCTION follower.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'")
        yield f"{url}{'&' if '?' in url else '?'}{FOLLOWS}"
        connection.execute("DROP SCHEMA follower CASCADE")
