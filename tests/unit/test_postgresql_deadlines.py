"""What a thread waits for PostgreSQL at most, and which of several hosts it waits for."""

import math
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any

import peewee
import psycopg
import pytest

from notifhist.store.database import (
    PostgresqlDatabase,
    ensure_connected,
    exceeded_limits,
    given_up_as,
    is_unreachable,
    open_database,
    postgresql_connection,
)
from notifhist.store.database.postgresql_connection import DEFAULTS, Connector
from notifhist.store.database.sql import rows
from tests.unit.tenant_rows import connection_of, count, insert

DEADLINE_S = 0.3
WRITING = {"target_session_attrs": "read-write", "connect_timeout": "2"}
Slow = Callable[[PostgresqlDatabase], object]


@pytest.fixture
def db(postgres_database: str) -> Iterator[PostgresqlDatabase]:
    """A database for whose answers nobody waits longer than DEADLINE_S."""
    database = open_database(postgres_database)
    assert isinstance(database, PostgresqlDatabase)
    ensure_connected(database)
    connection_of(database).longest_wait_s = DEADLINE_S
    yield database
    database.close()


def copy_out(db: PostgresqlDatabase) -> None:
    with connection_of(db).cursor().copy("COPY (SELECT pg_sleep(30)) TO STDOUT") as copy:
        list(copy)


def sleep(db: PostgresqlDatabase) -> None:
    rows(db, "SELECT pg_sleep(30)")


def insert_and(slow: Slow) -> Slow:
    def do(db: PostgresqlDatabase) -> None:
        with db.writing():
            insert(db)
            slow(db)

    return do


WAYS: dict[str, Slow] = {
    "a statement": sleep,
    "several in a pipeline": lambda db: db.execute_many("SELECT pg_sleep(:s)", [{"s": 0}, {"s": 30}]),
    "a copy": copy_out,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("in_transaction", [False, True])
def test_an_answer_that_is_late_is_given_up_and_cancelled(
    way: str, in_transaction: bool, db: PostgresqlDatabase, postgres_database: str
) -> None:
    pid = connection_of(db).info.backend_pid
    do = insert_and(WAYS[way]) if in_transaction else WAYS[way]
    with pytest.raises((peewee.OperationalError, psycopg.OperationalError)) as raised:
        do(db)
    assert given_up_as(raised.value) == "late"
    assert not exceeded_limits(raised.value)
    assert not db.is_connection_usable()
    with psycopg.connect(postgres_database, autocommit=True) as other:
        for _ in range(500):
            row = other.execute(
                "SELECT count(*), pg_sleep(0.01) FROM pg_stat_activity WHERE pid = %s", (pid,)
            ).fetchone()
            if row is not None and row[0] == 0:
                break
        else:
            pytest.fail("the server goes on with what nobody waits for")
    ensure_connected(db)
    assert count(db) == 0


def test_what_is_given_up_is_unreachable(db: PostgresqlDatabase) -> None:
    with pytest.raises(peewee.OperationalError, match=r"no answer within 0\.\d s") as raised:
        sleep(db)
    assert is_unreachable(raised.value)


def test_an_answer_that_arrives_in_time_is_no_other(db: PostgresqlDatabase) -> None:
    connection_of(db).longest_wait_s = math.inf
    assert rows(db, "SELECT 1, pg_sleep(0.3)")[0][0] == 1
    assert count(db) == 0


def test_connections_have_times_of_ours_unless_the_address_has_its_own(postgres_database: str) -> None:
    address = f"{postgres_database}{'&' if '?' in postgres_database else '?'}connect_timeout=7&keepalives_idle=60"
    connection = Connector(address, math.inf).connect()
    assert {name: connection.info.get_parameters().get(name) for name in DEFAULTS} == {
        **{name: str(value) for name, value in DEFAULTS.items()},
        "connect_timeout": "7",
        "keepalives_idle": "60",
    }
    connection.close()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


def callers(server: socket.socket) -> int:
    """Return how many have connected since the last call."""
    number = 0
    with suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            number += 1
    return number


def with_host(url: str, server: socket.socket, *, after: bool = False) -> str:
    """Return the URL of a database with another host before its own, or after it."""
    known: dict[str, Any] = psycopg.conninfo.conninfo_to_dict(url)
    places = [("127.0.0.1", str(server.getsockname()[1])), (known["host"], str(known.get("port", 5432)))]
    if after:
        places.reverse()
    hosts, ports = (",".join(each) for each in zip(*places, strict=True))
    given = "&".join(f"{name}={value}" for name, value in {"host": hosts, "port": ports, **WRITING}.items())
    password = f":{known['password']}" if known.get("password") else ""
    return f"postgresql://{known.get('user', '')}{password}@/{known['dbname']}?{given}"


def test_of_several_hosts_the_one_that_answered_is_asked_first(postgres_database: str, silent: socket.socket) -> None:
    connector = Connector(with_host(postgres_database, silent), math.inf)
    connector.connect().close()
    assert callers(silent) == 1
    connector.connect().close()
    assert callers(silent) == 0


def test_a_host_that_answers_late_is_asked_last(postgres_database: str, silent: socket.socket) -> None:
    connector = Connector(with_host(postgres_database, silent, after=True), DEADLINE_S)
    connection = connector.connect()
    assert callers(silent) == 0
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT pg_sleep(30)")
    connector.connect().close()
    assert callers(silent) == 1


def test_a_server_that_was_found_silent_is_left_by_all_its_connections(postgres_database: str) -> None:
    database = open_database(postgres_database)
    assert isinstance(database, PostgresqlDatabase)
    ensure_connected(database)
    first = connection_of(database)
    first.host.silent_at = monotonic()
    with pytest.raises(peewee.OperationalError) as raised:
        sleep(database)
    assert given_up_as(raised.value) == "silent"
    ensure_connected(database)
    second = connection_of(database)
    assert second is not first
    second.host.silent_at = monotonic()
    database._thread.used_at = 0.0  # as if the connection had been idle for long
    ensure_connected(database)
    assert connection_of(database) is not second
    database.close()


def test_who_connects_during_a_look_that_fails_need_not_leave(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = Connector(postgres_database, math.inf)
    looking, others = connector.connect(), []

    def wait_in_vain(info: psycopg.ConnectionInfo) -> socket.socket:
        others.append(connector.connect())  # the server is back, but nobody answers what was asked before
        raise TimeoutError

    monkeypatch.setattr(postgresql_connection, "_socket_to", wait_in_vain)
    assert not looking._answers_others()
    assert looking.is_abandoned
    assert not others[0].is_abandoned
    for connection in (looking, *others):
        connection.close()


def test_a_former_primary_is_not_written_to(postgres_database: str, silent: socket.socket) -> None:
    database = open_database(with_host(postgres_database, silent, after=True))
    silent.close()
    assert isinstance(database, PostgresqlDatabase)
    ensure_connected(database)
    timelines = database.connector._timelines
    (cluster,) = timelines
    timelines[cluster] += 1  # another thread has seen a primary that was promoted later
    database._thread.used_at = 0.0
    with pytest.raises(peewee.OperationalError, match="former primary"):
        ensure_connected(database)
    assert database.is_closed()


@pytest.mark.parametrize("address", ["postgresql://a,b,c:1,d/n?port=1,2", "postgresql://a,b/n?hostaddr=127.0.0.1"])
def test_hosts_that_do_not_match_are_told_when_it_connects(address: str) -> None:
    with pytest.raises(peewee.OperationalError, match="could not match"):
        ensure_connected(open_database(f"{address}&target_session_attrs=read-write"))
