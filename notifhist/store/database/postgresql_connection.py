"""Connections to PostgreSQL for which no thread waits longer than a deadline of ours, whatever the server does.

A server that is stopped, or vanishes without a word, is given up `LOOK_AFTER_S` and `ANSWERS_WITHIN_S` after it fell
silent; one that answers others, but not us, after `longest_wait_s`. Why: docs/adr/0029-deadlines-of-our-own.md.
"""

import math
import os
import re
import socket
import struct
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Lock
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg import capabilities
from psycopg.conninfo import conninfo_to_dict

from notifhist.store.database.addresses import Addresses
from notifhist.store.database.errors import ENDED

LOOK_AFTER_S = 2.0
"""After so long without an answer the server is asked whether it answers anybody; then again and again."""
ANSWERS_WITHIN_S = 3.0
"""How long a server may take to answer that it answers."""
# Any server answers with one byte, whether it encrypts by GSSAPI or not. Asked for TLS, one that has it would log each
# time that nobody went on.
_ASKS_FOR_GSSAPI = struct.pack("!ii", 8, 80877104)
_PROTOCOL = 3 << 16
_SERVER_SAYS = re.compile(r"connection failed: .* failed: \w+:  ")  # FATAL, in the server's language; then its words
_CODE = re.compile(rb"\0C(\w{5})\0")
_NOT_LET_IN = "28000"
_DROP = struct.pack("ii", 1, 0)  # wait 0 s for what has been sent to reach the host
CANCEL_S = 1.0
"""How long a thread waits for the server to take the cancellation of what it gave up."""
DEFAULTS: dict[str, Any] = {
    "client_encoding": "UTF8",
    "connect_timeout": 3,  # s, for each host
    "tcp_user_timeout": 5000,  # ms until what was sent and nobody acknowledged ends the connection
    "keepalives_idle": 3,  # s; these three end a connection that only listens after 6 s
    "keepalives_interval": 1,
    "keepalives_count": 3,
}
"""Parameters of a connection that its address does not have, by libpq's names."""
_FOR_WRITING = ("read-write", "primary")
# Which cluster it is, and how many promotions its primary is from the first: a former primary is fewer.
_TIMELINE = """SELECT system_identifier, CASE WHEN pg_is_in_recovery() THEN 0 ELSE
('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int END FROM pg_control_system()"""

_Value = TypeVar("_Value")
_Parameters = dict[str, Any]


class NoAnswer(psycopg.OperationalError):
    """The server answers others, but did not answer this connection in time; that is closed."""

    given_up_as = "late"


class SilentServer(psycopg.OperationalError):
    """The server answers nobody; the connection is closed."""

    given_up_as = "silent"


@dataclass
class Host:
    """A host that the address names, or all of them where the driver chooses; times by the monotonic clock, in s."""

    parameters: _Parameters
    silent_at: float = -math.inf
    """When the last look began that found that its server answers nobody."""


class Connection(psycopg.Connection[Any]):
    """A connection on which nobody waits longer than `longest_wait_s`, in s, for one answer."""

    host: Host
    longest_wait_s: float
    avoid: Callable[[], None]
    """Called once its server did not answer."""
    since: float
    """When it was there, by the monotonic clock, in s."""

    @property
    def is_abandoned(self) -> bool:
        """Whether its server has been found silent since it was made: then nobody need wait to find the same."""
        return self.host.silent_at > self.since

    def wait(self, gen: Generator[Any, Any, _Value], *args: Any, **options: Any) -> _Value:
        """Wait for what the driver does. Raises NoAnswer or SilentServer; then the connection is closed."""
        return super().wait(self._bounded(gen), *args, **options)

    def _bounded(self, gen: Generator[Any, Any, _Value]) -> Generator[Any, Any, _Value]:
        """Do as `gen` does; the driver resumes it with nothing after each 0.1 s in which nothing arrived."""
        since = look_at = math.inf
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    since = look_at = math.inf
                elif since == math.inf:
                    since = monotonic()
                    look_at = since + LOOK_AFTER_S
                elif monotonic() > min(look_at, since + self.longest_wait_s) or self.is_abandoned:
                    self._look(monotonic() - since)
                    look_at = monotonic() + LOOK_AFTER_S
                wanted = gen.send(ready)
        except StopIteration as ended:
            value: _Value = ended.value
            return value

    def _look(self, waited_s: float) -> None:
        """Raise NoAnswer if the answer has taken too long, SilentServer if the server answers nobody."""
        if waited_s > self.longest_wait_s:
            if capabilities.has_cancel_safe():  # an older libpq waits for the cancellation without a deadline
                with suppress(psycopg.Error):
                    self.cancel_safe(timeout=CANCEL_S)
            self._give_up()
            raise NoAnswer(f"no answer within {waited_s:.1f} s")
        if not self.is_abandoned and self._answers_others():
            return
        self._give_up()
        raise SilentServer(f"no answer within {waited_s:.1f} s, and the server answers nobody")

    def _answers_others(self) -> bool:
        """Ask the server, over a connection of its own, what it must answer at once to anybody; say whether it does."""
        begun = monotonic()
        try:
            with _socket_to(self.info) as asking:
                asking.sendall(_ASKS_FOR_GSSAPI)
                asking.recv(1)
        except OSError:  # too late, or no way to the host
            # Not now: the server may have come back since, and whoever connected then need not leave.
            self.host.silent_at = max(begun, self.host.silent_at)
            return False
        return True

    def _give_up(self) -> None:
        with suppress(OSError), socket.socket(fileno=os.dup(self.pgconn.socket)) as its:
            # What has not reached its host yet never shall: a server that is back would write it.
            its.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
        self.pgconn.finish()
        self.avoid()


class Connector:
    """Makes connections to the address `url`, which wait at most `longest_wait_s` for one answer.

    Of several hosts to write to, the one that answered last is tried first, and one that did not answer is tried last.
    None of them is taken that was the primary before a primary which this process has seen.
    """

    def __init__(self, url: str, longest_wait_s: float) -> None:
        self._longest_wait_s = longest_wait_s
        self._hosts = _hosts_of(DEFAULTS | conninfo_to_dict(url))
        self._first = 0
        self._lock = Lock()
        self._timelines: dict[int, int] = {}
        self._addresses = Addresses()

    def connect(self) -> Connection:
        """Return a new connection, in autocommit mode. Raises psycopg.OperationalError."""
        errors: list[psycopg.OperationalError] = []
        for n in range(self._first, self._first + len(self._hosts)):
            try:
                return self._connect_to(n % len(self._hosts))
            except psycopg.OperationalError as error:
                errors.append(error)
        failed = psycopg.OperationalError("; ".join(map(str, errors)))
        failed.sqlstate = next(filter(None, map(_refusal, errors)), None)
        raise failed

    def check(self, connection: Any) -> None:
        """Raise psycopg.OperationalError unless a connection still works, and leads to the newest primary seen."""
        if connection.is_abandoned:
            raise SilentServer("the server answered nobody since")
        if len(self._hosts) == 1:
            connection.execute("SELECT 1")
            return
        try:
            cluster, timeline = connection.execute(_TIMELINE).fetchone()
        except psycopg.ProgrammingError:
            return  # not every server that speaks as PostgreSQL does has these functions, or lets us call them
        with self._lock:  # threads connect side by side
            newest = self._timelines[cluster] = max(timeline, self._timelines.get(cluster, 0))
        if timeline < newest:
            raise psycopg.OperationalError(f"a former primary: its timeline is {timeline}, the newest {newest}")

    def _connect_to(self, n: int) -> Connection:
        parameters = self._addresses.resolved(self._hosts[n].parameters)
        connection = Connection.connect(**parameters, autocommit=True)
        connection.host, connection.since, connection.longest_wait_s = self._hosts[n], monotonic(), self._longest_wait_s
        connection.avoid = partial(self._begin_with, n + 1)
        if len(self._hosts) > 1:
            try:
                self.check(connection)
            except BaseException:
                connection.close()
                raise
            self._begin_with(n)
        return connection

    def _begin_with(self, n: int) -> None:
        self._first = n % len(self._hosts)


def _socket_to(info: psycopg.ConnectionInfo) -> socket.socket:
    """Return a socket that is connected to the server of a connection, and waits `ANSWERS_WITHIN_S` at most."""
    if not info.host.startswith("/"):
        return socket.create_connection((info.hostaddr or info.host, info.port), ANSWERS_WITHIN_S)
    local = socket.socket(socket.AF_UNIX)
    local.settimeout(ANSWERS_WITHIN_S)
    local.connect(f"{info.host}/.s.PGSQL.{info.port}")
    return local


def _refusal(error: psycopg.OperationalError) -> str | None:
    """Return the code by which a server that runs does not let us in; None if there is none, or it starts or stops.

    The driver has only the server's words, in any language. So the server is asked for the same login once more.
    """
    if error.pgconn is None or not (error.pgconn.needs_password or _SERVER_SAYS.match(str(error))):
        return None
    info = psycopg.ConnectionInfo(error.pgconn)
    login = f"user\0{info.user}\0database\0{info.dbname}\0\0".encode()
    try:
        with _socket_to(info) as asking:
            asking.sendall(struct.pack("!ii", 8 + len(login), _PROTOCOL) + login)
            answer = asking.recv(1 << 16)
    except OSError:
        return None
    found = _CODE.search(answer) if answer.startswith(b"E") else None
    code = found[1].decode() if found else _NOT_LET_IN if answer else None
    return None if code is None or code.startswith(ENDED) else code


def _hosts_of(parameters: _Parameters) -> list[Host]:
    """Return each host, if there are several to write to; else leave the choice to the driver."""
    lists = {name: str(parameters[name]).split(",") for name in ("host", "hostaddr", "port") if name in parameters}
    number = max(map(len, lists.values()), default=1)
    # One port may be that of all hosts. The driver refuses other lists that do not match.
    matches = all(len(each) == number or (name, len(each)) == ("port", 1) for name, each in lists.items())
    if number == 1 or not matches or parameters.get("target_session_attrs") not in _FOR_WRITING:
        return [Host(parameters)]
    return [Host(parameters | {name: each[n % len(each)] for name, each in lists.items()}) for n in range(number)]
