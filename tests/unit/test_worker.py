"""What the server answers by itself, and how long its connections may keep others waiting."""

import io
import json
import logging
import select
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from notifhist.errors import BadRequest
from notifhist.server.refusals import refusal
from tests.unit.tiny_server import HOST, POST, Running, started, wait_until

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with started(tmp_path_factory.mktemp("server")) as running:
        yield running


def parts(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status_line, *fields = head.decode("latin-1").split("\r\n")
    return int(status_line.split()[1]), dict(field.split(": ", 1) for field in fields), body


MALFORMED = {
    "no request line": (400, b"BAD\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /\r\n\r\n"),
    "HTTP/2.0": (400, b"GET / HTTP/2.0\r\n" + HOST + b"\r\n"),
    "a method in small letters": (400, b"get / HTTP/1.1\r\n" + HOST + b"\r\n"),
    "bytes in the path": (400, b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n"),
    "bare line feeds": (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    "no host in an absolute target": (400, b"GET http:///a HTTP/1.1\r\n" + HOST + b"\r\n"),
    "no header": (400, b"GET / HTTP/1.1\r\ns3cret\r\n\r\n"),
    "NUL in a header": (400, b"GET / HTTP/1.1\r\nX-Auth-Token: s3cret\x00\r\n\r\n"),
    "a folded header": (400, b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n"),
    "two hosts": (400, b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n"),
    "no length": (400, POST + b"Content-Length: x\r\n\r\n"),
    "two lengths": (400, POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "half a head": (408, b"GET /?key=s3cret"),
    "half a body": (408, POST + b"Content-Length: 10\r\n\r\nabc"),
    "a long request line": (414, b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    "an endless request line": (414, b"GET /" + b"a" * 40_000),
    "an expectation": (417, POST + b"Expect: s3cret\r\nContent-Length: 0\r\n\r\n"),
    "200 headers": (431, b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n"),
    "a long head": (431, b"GET / HTTP/1.1\r\n" + (b"X: " + b"a" * 8000 + b"\r\n") * 9 + b"\r\n"),
    "an endless head": (431, b"GET / HTTP/1.1\r\n" + (b"X: " + b"a" * 8000 + b"\r\n") * 9),
    "a long header": (431, b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n"),
    "a failure outside the app": (500, b"GET /broken?key=s3cret HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a transfer coding": (501, POST + b"Transfer-Encoding: br\r\n\r\n"),
    "a transfer coding alone": (501, POST + b"Transfer-Encoding: gzip\r\n\r\n"),
    "a transfer coding that is none": (501, POST + b"Transfer-Encoding: identity\r\n\r\n"),
    "a transfer coding behind chunked": (501, POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    "a transfer coding before chunked": (501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "a bad chunk": (400, POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_no_page_of_gunicorns_own_leaves(server: Running, name: str) -> None:
    expected, request = MALFORMED[name]
    status, headers, body = parts(server.send(request))
    assert status == expected
    assert headers["Content-Type"] == "application/json"
    assert headers["Connection"] == "close"
    assert int(headers["Content-Length"]) == len(body)
    fault = json.loads(body)
    assert fault["code"] == str(expected)
    assert b"s3cret" not in body
    if "X-Response-Id" in headers:  # else the tiny app answered
        assert headers["X-Response-Id"] == fault["request_id"]
        assert headers["Vary"] == "Accept"
        assert headers["Date"].endswith("GMT")


def test_the_log_has_a_line_for_each_and_no_secret(server: Running) -> None:
    fault = parts(server.send(b"GET /a%20b?key=s3cret HTTP/1.1\r\ns3cret\r\n\r\n"))[2]
    request_id = json.loads(fault)["request_id"]
    (line,) = wait_until(lambda: [line for line in server.lines() if line.get("request_id") == request_id])
    assert (line["method"], line["path"], line["status"], line["bytes"]) == ("GET", "/a b", 400, len(fault))
    assert line["tenant"] is None
    assert b"s3cret\x00" not in server.log.read_bytes()
    assert "s3cret" not in server.log.read_text().replace("s3cret-free", "")


def test_the_unexpected_is_logged_with_its_trace(server: Running) -> None:
    request_id = json.loads(server.get("/broken")[1])["request_id"]
    found = [line for line in server.lines() if line.get("request_id") == request_id]
    assert "RuntimeError: s3cret-free" in found[0]["exception"]


def test_errors_are_of_the_api_and_in_the_format_asked_for(server: Running) -> None:
    broken = b"GET /api/v1/notifications HTTP/1.1\r\n"
    body = parts(server.send(broken + b"bad\r\n\r\n"))[2]
    assert json.loads(body)["httpStatus"] == 400
    status, headers, body = parts(server.send(broken + b"accept: application/xml\r\nbad\r\n\r\n"))
    assert (status, headers["Content-Type"]) == (400, "application/xml; charset=utf-8")
    assert b"<error>" in body
    assert b"<fault>" in parts(server.send(b"GET / HTTP/1.1\r\nAccept: application/xml\r\nbad\r\n\r\n"))[2]
    assert json.loads(parts(server.send(b"GET /api/" + b"a" * 40_000))[2])["httpStatus"] == 414


def test_below_the_path_of_pages_no_refusal_is_kept_and_without_pages_none_is_one(server: Running) -> None:
    status, headers, _ = parts(server.send(b"GET /ui/?q=" + b"a" * 40_000))
    assert (status, headers["Cache-Control"], headers["Content-Type"]) == (414, "no-store", "text/html; charset=utf-8")
    assert "Cache-Control" not in parts(server.send(b"GET /" + b"a" * 40_000))[1]
    without, head = io.BytesIO(), b"GET /ui/ HTTP/1.1\r\n"
    without.writelines(refusal(BadRequest(), head, 0.0, logging.getLogger(), pages=False))
    assert parts(without.getvalue())[1]["Content-Type"] == "application/json"


def test_head_is_answered_without_a_body(server: Running) -> None:
    status, headers, body = parts(server.send(b"HEAD / HTTP/1.1\r\nbad\r\n\r\n"))
    assert (status, body) == (400, b"")
    assert int(headers["Content-Length"]) > 0


def test_a_bad_chunk_that_nobody_reads_is_answered_once(server: Running) -> None:
    chunked = b"POST /unread HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n"
    answer = server.send(chunked)
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.startswith(b"HTTP/1.1 400")


def test_an_expected_body_is_invited(server: Running) -> None:
    request = POST + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    answer = server.send(request)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert answer.endswith(b"\r\n\r\n3")


def test_five_ids_of_the_longest_kind_fit_into_a_url(server: Running) -> None:
    assert server.get("/" + "/".join(["%F0%9F%98%80" * 255] * 5) + "?" + "q" * 12_000)[0] == 200


@pytest.mark.parametrize("name", ["X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Forwarded-Ssl", "Script-Name"])
def test_gunicorn_believes_no_proxy(server: Running, name: str) -> None:
    value = {"X-Forwarded-Ssl": "on", "X-Forwarded-Protocol": "ssl"}.get(name, "https")
    status, body = server.get("/about", {name: value, name.upper().replace("-", "_"): value})
    assert (status, json.loads(body)["scheme"]) == (200, "http")


def test_a_client_that_sends_all_before_it_reads_sees_the_413(server: Running) -> None:
    with closing(server.client()) as client:
        for _ in range(2):
            client.request("POST", "/read", body=b"x" * 8_000_000)
            response = client.getresponse()
            assert response.status == 413
            response.read()


def test_silent_clients_keep_nobody_waiting(server: Running) -> None:
    silent = [server.connect() for _ in range(8)]
    asked = time.monotonic()
    assert server.get("/a")[0] == 200
    assert time.monotonic() - asked < 1.5
    for sock in silent:
        sock.close()


def test_clients_that_do_not_close_keep_nobody_waiting(server: Running) -> None:
    lingering = [server.connect() for _ in range(8)]
    for sock in lingering:
        sock.sendall(b"GET /a HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"
    asked = time.monotonic()
    assert server.get("/a")[0] == 200
    assert time.monotonic() - asked < 1.5
    for sock in lingering:
        sock.close()


def test_clients_that_make_it_hold_too_much_are_closed_the_oldest_first(tmp_path: Path) -> None:
    with started(tmp_path, workers=1) as server, ExitStack() as held_open:
        held = [held_open.enter_context(server.connect()) for _ in range(4)]
        for sock in held:
            sock.sendall(b"GET / HTTP/1.1\r\n" + (b"X: " + b"a" * 8000 + b"\r\n") * 6)
            time.sleep(0.1)
        ended = wait_until(lambda: select.select(held, [], [], 0)[0], 1.5)
        assert held[0] in ended
        assert held[3] not in ended
        assert server.get("/a")[0] == 200


def test_more_connections_than_a_worker_has_leave_room_for_new_ones(tmp_path: Path) -> None:
    with started(tmp_path, workers=1) as server:
        held = [server.connect() for _ in range(100)]
        for sock in held:
            with suppress(OSError):
                sock.send(b"G")
        for _ in range(20):
            assert server.get("/a")[0] == 200
        for sock in held:
            sock.close()


def test_who_reads_for_long_keeps_nobody_waiting(tmp_path: Path) -> None:
    with started(tmp_path, workers=1) as alone, ExitStack() as stack:
        slow = [stack.enter_context(closing(alone.connect())) for _ in range(2)]
        for each in slow:
            each.sendall(b"GET /slow/3.0 HTTP/1.1\r\n" + HOST + b"\r\n")
        assert alone.get("/a") == (200, b"done")
        assert select.select(slow, [], [], 0)[0] == []
        assert [each.recv(12) for each in slow] == [b"HTTP/1.1 200"] * 2


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(b"https://dash.example.com", "https://dash.example.com"), (b"https://evil.example.com", None)],
)
def test_a_page_of_an_allowed_origin_may_read_what_the_app_never_saw(
    tmp_path: Path, origin: bytes, allowed: str | None
) -> None:
    with started(tmp_path, workers=1, NOTIFHIST_CORS_ORIGINS="https://dash.example.com") as server:
        without_host = b"GET /a HTTP/1.1\r\nOrigin: " + origin + b"\r\n\r\n"
        head = server.send(without_host).partition(b"\r\n\r\n")[0].decode().split("\r\n")
        fields = [(name, value) for name, _, value in (line.partition(": ") for line in head[1:])]
        assert head[0].split()[1] == "400"
        assert [value for name, value in fields if name == "Vary"] == ["Accept", "Origin"]
        assert dict(fields).get("Access-Control-Allow-Origin") == allowed
        assert ("Retry-After" in dict(fields).get("Access-Control-Expose-Headers", "")) == (allowed is not None)


def test_who_would_wait_too_long_is_refused_the_new_before_the_late(tmp_path: Path) -> None:
    with started(tmp_path, workers=1, NOTIFHIST_MAX_WAIT_MS="2000") as alone, ExitStack() as stack:
        busy = [stack.enter_context(closing(alone.connect())) for _ in range(3)]  # two threads, and who polls
        for each in busy:
            each.sendall(b"GET /slow/4.5 HTTP/1.1\r\n" + HOST + b"\r\n")
            time.sleep(0.05)
        first = stack.enter_context(closing(alone.connect()))
        first.sendall(b"GET /api/v1/first HTTP/1.1\r\n" + HOST + b"\r\n")
        time.sleep(1.5)  # longer than a burst, and than the first may wait before new ones are refused
        new = stack.enter_context(closing(alone.connect()))
        new.sendall(b"GET /v1.0/new HTTP/1.1\r\n" + HOST + b"Accept: application/xml\r\n\r\n")
        status, fields, body = parts(new.recv(65_536))
        assert (status, fields["Content-Type"].partition(";")[0]) == (503, "application/xml")
        assert int(fields["Retry-After"]) > 0
        assert select.select([first, *busy], [], [], 0)[0] == []
        status, fields, body = parts(first.recv(65_536))
        assert (status, "Retry-After" in fields) == (503, True)
        assert json.loads(body)
        assert select.select(busy, [], [], 0)[0] == []
        assert [each.recv(12) for each in busy] == [b"HTTP/1.1 200"] * 3


def test_who_writes_is_answered_beside_many_who_read(server: Running) -> None:
    stop = threading.Event()

    def read() -> set[int]:
        client, statuses = server.client(), set()
        while not stop.is_set():
            client.request("GET", "/a")
            response = client.getresponse()
            response.read()
            statuses.add(response.status)
        client.close()
        return statuses

    with ThreadPoolExecutor(32) as pool:
        readers = [pool.submit(read) for _ in range(32)]
        try:
            time.sleep(1.5)  # longer than the burst in which nobody is refused
            answers = [server.send(POST + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc") for _ in range(5)]
        finally:
            stop.set()
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
        assert set.union(*(reader.result() for reader in readers)) == {200}
