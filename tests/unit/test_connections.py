"""Which connections a worker gives up so that others are answered."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import pytest
from gunicorn.config import Config

from notifhist.server import connections as server_connections
from notifhist.server.connection import IN_MEMORY_BYTES, Connection, State
from notifhist.server.connections import NEW_S, Connections

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"

Connect = Callable[..., Connection]


@pytest.fixture
def connections() -> Connections:
    return Connections()


@pytest.fixture
def connect(connections: Connections) -> Iterator[Connect]:
    """Make a connection whose client has sent something, `ago_s` seconds ago."""
    clients, numbers = ExitStack(), count(1)

    def make(data: bytes = b"", *, ago_s: float = NEW_S + 1, state: State | None = None) -> Connection:
        client, server = socket.socketpair()
        clients.enter_context(client)
        connection = Connection(server, ("127.0.0.1", next(numbers)), ("127.0.0.1", 0), Config())
        connections.add(connection)
        client.sendall(data)
        if data:
            connection.receive()
            connection.take_request()
        if state is not None:
            connection.state = state
        connection.since -= ago_s
        connections.wait(connection)
        return connection

    with clients:
        yield make
        for each in connections.waiting():
            connections.close(each)


def open_ones(connections: Connections, *all_of_them: Connection) -> list[bool]:
    waiting = connections.waiting()
    return [each in waiting for each in all_of_them]


def test_the_one_that_has_waited_for_longest_makes_room(connections: Connections, connect: Connect) -> None:
    second, first, third = connect(ago_s=20), connect(b"GET", ago_s=30), connect(ago_s=10)
    assert connections.make_room()
    assert open_ones(connections, first, second, third) == [False, True, True]
    assert first.sock.fileno() == -1
    assert connections.make_room()
    assert open_ones(connections, first, second, third) == [False, False, True]
    assert len(connections) == 1


def test_who_takes_an_answer_goes_last(connections: Connections, connect: Connect) -> None:
    taking, idle = connect(ago_s=100, state=State.SENDING), connect(ago_s=1)
    assert connections.make_room()
    assert open_ones(connections, taking, idle) == [True, False]
    assert connections.make_room()
    assert not connections.make_room()


def test_nobody_who_has_just_connected_makes_room(connections: Connections, connect: Connect) -> None:
    new = connect(ago_s=0)
    assert not connections.make_room()
    assert open_ones(connections, new) == [True]


def test_one_that_a_thread_answers_makes_no_room(connections: Connections, connect: Connect) -> None:
    answered = connect(ago_s=100)
    answered.waits = False
    assert not connections.make_room()
    connections.limit_held()
    assert answered.sock.fileno() >= 0
    answered.waits = True


@pytest.mark.parametrize(
    ("limit", "held_by"), [("HELD_BYTES", Connection.held_bytes), ("SPOOLED_BYTES", Connection.spooled_bytes)]
)
def test_the_oldest_are_closed_until_no_more_is_held_than_may_be(
    connections: Connections,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    held_by: Callable[[Connection], int],
) -> None:
    holding = [connect(POST, ago_s=n) for n in (10, 40, 20, 30)]
    for each in holding:
        if limit == "HELD_BYTES":
            each.buffer += b"x" * 100
        else:
            each.passed = IN_MEMORY_BYTES + 100
    idle = connect(ago_s=100)
    a_third = held_by(holding[0])
    assert a_third >= 100
    monkeypatch.setattr(server_connections, limit, 2 * a_third)
    connections.limit_held()
    assert open_ones(connections, *holding, idle) == [True, False, True, False, True]


def test_who_has_waited_past_a_deadline_is_overdue(connections: Connections, connect: Connect) -> None:
    waiting = [connect(b"GET", ago_s=0), connect(b"GET", ago_s=0)]
    now = waiting[0].deadline + 0.01
    waiting[1].since = waiting[0].since + 1
    assert connections.overdue(now) == [waiting[0]]
    assert set(connections.overdue(now + 1)) == set(waiting)
