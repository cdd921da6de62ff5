"""Answers that are streamed over real sockets, where the poller answers (SQLite) and where threads do (PostgreSQL)."""

import http.client
import re
import select
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from tests.unit.tiny_server import HOST, Running, started, wait_until

pytestmark = pytest.mark.processes

DATABASES = {"poller answers": "sqlite:///none.db", "threads answer": "postgresql://nobody@localhost/none"}
"""The tiny app opens neither; the worker goes by the kind."""
PIECE = 100_000
MEMORY_BYTES = 30 * 2**20


@pytest.fixture(scope="module", params=DATABASES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    url = DATABASES[request.param]
    folder = tmp_path_factory.mktemp("server")
    with started(folder, 1, NOTIFHIST_DATABASE_URL=url, HELD_BYTES="200000000", GRACEFUL_TIMEOUT="3") as running:
        yield running


def ask(server: Running, path: str, version: str = "1.1", method: str = "GET", more: bytes = b"") -> socket.socket:
    sock = server.connect()
    sock.sendall(f"{method} {path} HTTP/{version}\r\n".encode() + HOST + more + b"\r\n")
    return sock


def all_of(sock: socket.socket) -> bytes:
    with sock:
        return b"".join(iter(lambda: sock.recv(1 << 20), b""))


def memory_of(worker: int) -> int:
    """Return the most bytes that a process has had in memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{worker}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_a_stream_arrives_whole_and_in_order(server: Running) -> None:
    with closing(server.client()) as client:
        for _ in range(3):  # over one connection
            client.request("GET", f"/stream/50/{PIECE}")
            response = client.getresponse()
            assert (response.status, response.getheader("Transfer-Encoding")) == (200, "chunked")
            assert response.getheader("Content-Length") is None
            assert response.read() == (b"x" * (PIECE - 1) + b"\n") * 50
        client.request("GET", "/a")
        assert client.getresponse().read() == b"done"


def test_a_stream_takes_no_more_memory_however_long_it_is(server: Running) -> None:
    (worker,) = server.booted()
    server.get(f"/stream/10/{PIECE}")
    before = memory_of(worker)
    with ask(server, f"/stream/10000/{PIECE}", more=b"Connection: close\r\n") as sock:
        received = 0
        while data := sock.recv(1 << 20):
            received += len(data)
    assert received > 10_000 * PIECE
    assert memory_of(worker) - before < MEMORY_BYTES


def test_an_error_midway_breaks_the_transfer_off(server: Running) -> None:
    with closing(server.client()) as client:
        client.request("GET", f"/stream/20/{PIECE}?failing")
        response = client.getresponse()
        with pytest.raises(http.client.IncompleteRead):
            response.read()
    (line,) = [each for each in server.lines() if each.get("message") == "An answer broke off"]
    assert "RuntimeError: s3cret-free" in line["exception"]
    assert line["request_id"] == "r1"
    answer = all_of(ask(server, f"/stream/1/{PIECE}?failing"))
    assert answer.startswith(b"HTTP/1.1 200")
    assert not answer.endswith(b"0\r\n\r\n")
    assert server.get("/a")[0] == 200


def test_an_error_before_the_first_piece_is_an_error(server: Running) -> None:
    assert server.get("/stream/0/1?failing")[0] == 500


def test_http_1_0_gets_all_until_the_end_of_the_connection(server: Running) -> None:
    for more in (b"", b"Connection: keep-alive\r\n"):
        head, _, body = all_of(ask(server, f"/stream/30/{PIECE}", "1.0", more=more)).partition(b"\r\n\r\n")
        assert b"\r\nConnection: close" in head
        assert b"Transfer-Encoding" not in head
        assert body == (b"x" * (PIECE - 1) + b"\n") * 30


def test_who_has_closed_its_side_gets_all(server: Running) -> None:
    for version in ("1.0", "1.1"):
        sock = ask(server, f"/stream/30/{PIECE}", version, more=b"Connection: close\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert all_of(sock).count(b"\n" if version == "1.0" else b"x\n") >= 30


def test_http_1_0_sees_by_a_reset_that_an_answer_is_not_whole(server: Running) -> None:
    sock = ask(server, f"/stream/30/{PIECE}?failing", "1.0")
    with pytest.raises(ConnectionResetError):
        all_of(sock)


def test_head_has_no_body(server: Running) -> None:
    pipelined = b"\r\nGET /a HTTP/1.1\r\nConnection: close\r\n" + HOST
    answer = all_of(ask(server, f"/stream/1000/{PIECE}", method="HEAD", more=pipelined))
    first, second, body = answer.split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200")
    assert body == b"done"


def test_requests_that_were_sent_ahead_are_answered_after_a_stream(server: Running) -> None:
    stream = b"GET /stream/3/5 HTTP/1.1\r\n" + HOST + b"\r\n"
    last = b"GET /a HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"
    answer = server.send(stream * 20 + last)
    assert answer.count(b"\r\n\r\n5\r\nxxxx\n\r\n5\r\nxxxx\n\r\n5\r\nxxxx\n\r\n0\r\n\r\nHTTP/1.1 200") == 20
    assert answer.endswith(b"\r\n\r\ndone")


@pytest.mark.parametrize("resets", [True, False])
def test_a_client_that_goes_away_stops_its_stream(server: Running, resets: bool) -> None:
    name = f"gone-{resets}"
    with ask(server, f"/stream/1000000/{PIECE}?name={name}") as sock:
        sock.recv(1000)
        if resets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: server.messages(f"{name} closed"))
    (ended,) = server.messages(f"{name} ended after")
    assert int(ended.split()[-1]) < 1000
    assert server.messages("An answer was not taken to its end")


def test_others_are_answered_while_streams_go_on_and_clients_do_not_read(server: Running) -> None:
    stop = threading.Event()
    post = b"POST /read HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n" + HOST + b"\r\nabc"

    def take(_: int) -> None:
        with ask(server, f"/stream/1000000/{PIECE}?seconds=0.005") as sock:
            while not stop.is_set():
                assert sock.recv(1 << 20)

    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            stalled = stack.enter_context(ask(server, f"/stream/1000000/{PIECE}"))
            stalled.recv(1000)
        streams = [pool.submit(take, n) for n in range(4)]
        try:
            for _ in range(20):
                assert server.get("/healthz")[0] == 200
                assert server.get("/a")[0] == 200
                assert server.send(post).startswith(b"HTTP/1.1 200")
        finally:
            stop.set()
        for stream in streams:
            stream.result()


def test_a_stream_goes_on_while_another_answer_takes_long(server: Running) -> None:
    with ask(server, "/slow/3.0") as slow:
        stream = all_of(ask(server, f"/stream/100/{PIECE}", more=b"Connection: close\r\n"))
        assert stream.endswith(b"0\r\n\r\n")
        assert select.select([slow], [], [], 0)[0] == []
        assert slow.recv(12) == b"HTTP/1.1 200"


def test_little_is_made_for_a_client_that_does_not_read(server: Running) -> None:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(f"GET /stream/1000000/{PIECE}?name=little HTTP/1.1\r\n".encode() + HOST + b"\r\n")
        wait_until(lambda: server.messages("little closed"))
    (ended,) = server.messages("little ended after")
    assert int(ended.split()[-1]) < 10


def test_a_client_that_stops_reading_is_closed_after_a_while(server: Running) -> None:
    with ask(server, f"/stream/1000000/{PIECE}?name=unread") as sock:
        sock.recv(1000)
        wait_until(lambda: server.messages("unread closed"))
        answer = all_of(sock)
    assert not answer.endswith(b"0\r\n\r\n")


@pytest.mark.long
@pytest.mark.parametrize("kind", DATABASES)
def test_a_server_that_stops_ends_short_streams_and_breaks_off_long_ones(kind: str, tmp_path: Path) -> None:
    with started(tmp_path, 1, NOTIFHIST_DATABASE_URL=DATABASES[kind], GRACEFUL_TIMEOUT="5") as server:
        short, long, stalled = (
            ask(server, path)
            for path in (
                f"/stream/100/{PIECE}?seconds=0.002",
                f"/stream/1000000/{PIECE}?seconds=0.002",
                f"/stream/1000000/{PIECE}",
            )
        )
        for sock in (short, long, stalled):
            assert sock.recv(12) == b"HTTP/1.1 200"
        server.process.send_signal(signal.SIGTERM)
        with ThreadPoolExecutor(2) as pool:
            answers = [pool.submit(all_of, sock) for sock in (short, long)]
            assert answers[0].result().endswith(b"0\r\n\r\n")
            assert not answers[1].result().endswith(b"0\r\n\r\n")
        assert server.process.wait(20) == 0
        with suppress(ConnectionResetError):
            assert not all_of(stalled).endswith(b"0\r\n\r\n")
        assert len(server.messages("None closed")) == 3
        assert len(server.messages("An answer was not taken to its end")) == 2
