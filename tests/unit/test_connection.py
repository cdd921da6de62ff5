import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException

from notifhist.server import connection
from notifhist.server.connection import IN_MEMORY_BYTES, LARGEST_BODY_BYTES, Connection, State
from notifhist.server.incoming import HEAD_BYTES, end_of_head
from notifhist.server.streams import Stream
from tests.full_disk import mounted

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Connection]]:
    """A client's socket, and the server's connection with it."""
    client, server = socket.socketpair()
    client.settimeout(10)
    with client, server:
        conn = Connection(server, ("127.0.0.1", 1), ("127.0.0.1", 2), Config())
        yield client, conn
        conn.close()


def sent(pair: tuple[socket.socket, Connection], data: bytes) -> bool:
    """Return whether a request is complete once the client has sent `data`."""
    client, conn = pair
    client.sendall(data)
    assert conn.receive()
    return conn.take_request()


@pytest.mark.parametrize("cut", range(1, len(GET)))
def test_a_head_is_found_wherever_it_is_cut(pair: tuple[socket.socket, Connection], cut: int) -> None:
    assert not sent(pair, GET[:cut])
    assert pair[1].state is State.HEAD
    assert sent(pair, GET[cut:])


@pytest.mark.parametrize("size", [1, IN_MEMORY_BYTES, IN_MEMORY_BYTES + 1, 3 * IN_MEMORY_BYTES])
def test_a_body_is_taken_in_whole(pair: tuple[socket.socket, Connection], size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    wire = POST + b"Content-Length: %d\r\n\r\n" % size + body[:size]
    pieces = [wire[start : start + 50_000] for start in range(0, len(wire), 50_000)]
    assert [sent(pair, piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert read_body(pair[1]) == body[:size]
    assert not pair[1].closes


def read_body(conn: Connection) -> bytes:
    assert conn.request is not None
    data: bytes = conn.request.body.read()
    return data


def test_the_next_request_begins_where_a_body_ends(pair: tuple[socket.socket, Connection]) -> None:
    for body in (b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"):
        assert sent(pair, POST + body + GET)
        assert read_body(pair[1]) == b"abc"
        pair[1].reply([b"done"], closes=False)
        assert pair[1].state is State.IDLE
        assert pair[1].take_request()
        assert read_body(pair[1]) == b""
        pair[1].reply([b"done"], closes=False)
        assert pair[0].recv(100) == b"donedone"


def test_a_body_that_is_announced_too_long_goes_to_the_app_at_once(pair: tuple[socket.socket, Connection]) -> None:
    assert sent(pair, POST + b"Content-Length: %d\r\n\r\n" % (LARGEST_BODY_BYTES + 1))
    assert pair[1].closes
    pair[1].reply([b"refused"], closes=False)
    assert pair[1].state is State.DRAINING
    pair[0].sendall(b"x" * 1000)
    assert pair[1].receive()
    assert pair[0].recv(100) == b"refused"


def test_a_refused_body_is_dropped_up_to_a_size_and_for_a_while(
    pair: tuple[socket.socket, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, conn = pair
    monkeypatch.setattr(connection, "DRAIN_BYTES", 1000)
    assert sent(pair, POST + b"Content-Length: 99999999999\r\n\r\n")
    conn.reply([b"refused"], closes=False)
    begun = conn.deadline
    assert begun == conn.since + connection.DRAIN_TIMEOUT_S
    client.sendall(b"x" * 999)
    assert conn.receive()
    assert conn.deadline == begun  # however much arrives
    assert not conn.buffer
    client.sendall(b"x")
    assert not conn.receive()


def test_a_body_that_is_expected_is_invited_unless_it_is_too_long(pair: tuple[socket.socket, Connection]) -> None:
    assert not sent(pair, POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert pair[0].recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert sent(pair, b"abc")


def test_what_a_client_does_not_take_waits_and_arrives(pair: tuple[socket.socket, Connection]) -> None:
    client, conn = pair
    assert sent(pair, GET)
    parts = [bytes([n % 256]) * 10_000 for n in range(1000)]
    conn.reply(parts, closes=True)
    received = b""
    states = {conn.state}
    while len(received) < 10_000_000:
        received += client.recv(1 << 20)
        if conn.unsent:
            conn.flush()
        states.add(conn.state)
    assert received == b"".join(parts)
    assert states == {State.SENDING, State.LINGERING}


def test_a_body_and_an_answer_have_as_long_as_their_bytes_need(
    pair: tuple[socket.socket, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    conn = pair[1]
    monkeypatch.setattr(connection, "LEAST_BYTES_PER_S", 10)
    assert not sent(pair, POST + b"Content-Length: 1000\r\n\r\n")
    assert conn.deadline == conn.since + connection.READ_TIMEOUT_S
    sent(pair, b"x" * 50)
    assert conn.deadline == conn.since + connection.READ_TIMEOUT_S + 5
    sent(pair, b"x" * 950)
    conn.enter(State.ANSWER)
    assert conn.deadline == float("inf")
    conn.reply([b"x" * 10_000_000], closes=False)
    assert conn.deadline == conn.since + connection.SEND_TIMEOUT_S + conn.passed / 10


@pytest.mark.parametrize(
    "head",
    [b"GET / HTTP/1.1\nHost: a\n\n", b"a" * 40_000, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (HEAD_BYTES // 6 + 1)],
    ids=["bare line feeds", "an endless request line", "an endless head"],
)
def test_a_head_that_can_only_be_wrong_is_not_waited_for(head: bytes) -> None:
    assert end_of_head(bytearray(head), 0)


@pytest.mark.parametrize("data", [b"BAD\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", POST + b"Content-Length: -1\r\n\r\n"])
def test_what_is_not_http_raises(pair: tuple[socket.socket, Connection], data: bytes) -> None:
    with pytest.raises(ParseException):
        sent(pair, data)


def test_a_late_head_is_not_taken_for_the_request_before_it(pair: tuple[socket.socket, Connection]) -> None:
    conn = pair[1]
    assert sent(pair, b"HEAD /api/v1/x HTTP/1.1\r\nHost: a\r\n\r\n")
    conn.enter(State.ANSWER)
    conn.reply([b"done"], closes=False)
    assert not sent(pair, b"GET /v1.0/x HTT")
    assert (conn.head, conn.request) == (b"", None)


def test_a_body_for_which_there_is_no_space_closes_only_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path, 1) as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        client, server = socket.socketpair()
        conn = Connection(server, ("127.0.0.1", 1), ("127.0.0.1", 2), Config())
        client.sendall(POST + b"Content-Length: 1000000\r\n\r\n" + b"x" * 100_000)
        with client:
            for _ in range(2):
                conn.receive()
                conn.take_request()
            disk.fill()
            client.sendall(b"x" * 5_000)
            conn.receive()
            with suppress(OSError):  # what is buffered is written when that is full
                conn.take_request()
            conn.close()
            assert client.recv(1) == b""


def state_of(conn: Connection) -> State:
    return conn.state  # mypy would remember it


def stream_of(*pieces: bytes, in_chunks: bool = True) -> Stream:
    return Stream(iter(pieces), in_chunks=in_chunks, request_id=None)


def go_on(conn: Connection) -> None:
    """Do what a worker does in turn with a connection whose answer is streamed."""
    if conn.state is State.SENDING:
        conn.flush()
    else:
        assert conn.stream is not None
        conn.go_on(conn.stream.take())


def test_the_next_piece_is_made_once_the_client_has_taken_those_before(pair: tuple[socket.socket, Connection]) -> None:
    client, conn = pair
    assert sent(pair, GET + GET)
    piece, made = b"x" * 1_000_000, 0

    def pieces() -> Iterator[bytes]:
        nonlocal made
        for made in range(1, 11):  # noqa: B007 - it is looked at from outside
            yield piece

    conn.reply([b"head"], closes=False, stream=Stream(pieces(), in_chunks=False, request_id=None))
    assert state_of(conn) is State.ANSWER
    received = client.recv(4)
    while len(received) < 4 + 10 * len(piece):
        go_on(conn)
        assert conn.held_bytes() <= len(piece) + len(GET)
        assert made <= len(received) // len(piece) + 2
        while state_of(conn) is State.SENDING:
            received += client.recv(1 << 20)
            conn.flush()
        with suppress(BlockingIOError):
            received += client.recv(1 << 20, socket.MSG_DONTWAIT)
    while conn.stream is not None:
        go_on(conn)
    assert state_of(conn) is State.LINGERING  # where there are no chunks the connection ends with the answer
    assert client.recv(1) == b""


def test_the_next_request_is_answered_after_a_stream(pair: tuple[socket.socket, Connection]) -> None:
    client, conn = pair
    assert sent(pair, GET + GET)
    conn.reply([b"head"], closes=False, stream=stream_of(b"ab", b"", b"c"))
    while conn.stream is not None:
        go_on(conn)
    assert client.recv(100) == b"head2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    assert state_of(conn) is State.IDLE
    assert conn.take_request()


def test_each_piece_has_as_long_as_its_bytes_need(pair: tuple[socket.socket, Connection]) -> None:
    client, conn = pair
    assert sent(pair, GET)
    conn.reply([b"head"], closes=False, stream=stream_of(*[b"x" * 10_000_000] * 2))
    assert conn.deadline == float("inf")  # nobody waits for the client
    for _ in range(2):
        go_on(conn)
        assert state_of(conn) is State.SENDING
        assert conn.deadline == conn.since + connection.SEND_TIMEOUT_S + conn.passed / connection.LEAST_BYTES_PER_S
        since = conn.since
        while state_of(conn) is State.SENDING:
            assert conn.since == since
            client.recv(1 << 20)
            conn.flush()


def test_a_stream_that_fails_ends_without_an_end(pair: tuple[socket.socket, Connection]) -> None:
    client, conn = pair
    assert sent(pair, GET)

    def pieces() -> Iterator[bytes]:
        yield b"ab"
        raise OSError("gone")

    conn.reply([], closes=False, stream=Stream(pieces(), in_chunks=True, request_id=None))
    go_on(conn)
    go_on(conn)
    assert state_of(conn) is State.LINGERING
    assert client.recv(100) == b"2\r\nab\r\n"
    assert client.recv(100) == b""


def test_a_client_that_goes_away_while_there_is_nothing_to_send_is_noticed(
    pair: tuple[socket.socket, Connection],
) -> None:
    client, conn = pair
    assert sent(pair, GET)
    conn.reply([b"head"], closes=False, stream=stream_of(*[b""] * 5))
    go_on(conn)
    client.sendall(GET)  # it is there, and asks for more
    go_on(conn)
    assert conn.receive()
    client.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionAbortedError):
        go_on(conn)


def test_what_is_closed_closes_its_stream(pair: tuple[socket.socket, Connection]) -> None:
    closed = []

    def pieces() -> Iterator[bytes]:
        try:
            yield b"x" * 10_000_000
        finally:
            closed.append(True)

    assert sent(pair, GET)
    pair[1].reply([], closes=False, stream=Stream(pieces(), in_chunks=True, request_id=None))
    go_on(pair[1])
    assert closed == []
    pair[1].close()
    assert closed == [True]


def test_a_client_that_has_gone_is_noticed(pair: tuple[socket.socket, Any]) -> None:
    pair[0].close()
    assert not pair[1].receive()
