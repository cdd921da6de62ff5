"""A request as environ, and the app's answer as bytes."""

import logging
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any
from wsgiref.types import StartResponse
from wsgiref.validate import validator

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ConfigurationProblem, InvalidResponseHeader

from notifhist.server.exchange import ask, environ_of
from notifhist.server.incoming import Incoming
from notifhist.server.streams import Stream

CLIENT, SERVER = ("10.0.0.1", 4711), ("10.0.0.2", 80)
Field = tuple[str, str]


def environ(head: str = "GET /a%20b?c=%2F HTTP/1.1\r\nHost: h:81\r\n\r\n", server: Any = SERVER) -> dict[str, Any]:
    cfg = Config()
    request = Incoming(cfg, head.encode("latin-1"), CLIENT)
    request.body = BytesIO()
    return environ_of(request, CLIENT, server, cfg)


def ask_app(
    status: str, *fields: Field, body: Iterable[bytes], method: str = "GET", protocol: str = "HTTP/1.1"
) -> tuple[list[bytes], Stream | None]:
    def app(given: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, list(fields))
        return body

    return ask(app, environ() | {"REQUEST_METHOD": method, "SERVER_PROTOCOL": protocol}, closes=False)


def answer(status: str, *fields: Field, body: Iterable[bytes] = (b"ab", b"c"), method: str = "GET") -> list[bytes]:
    parts, stream = ask_app(status, *fields, body=body, method=method)
    assert stream is None
    return parts


def rest(stream: Stream | None) -> bytes:
    """Return all that comes of a stream behind its first piece."""
    assert stream is not None
    sent = b""
    while not (stream.done or stream.failed):
        sent += b"".join(stream.take())
    return sent


class Body:
    """A body without a length, which notes that it was closed."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces, self.closed = pieces, 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def close(self) -> None:
        self.closed += 1


def test_the_environ_tells_the_request() -> None:
    found = environ("POST /a%20b?c=%2F HTTP/1.1\r\nHost: h:81\r\nContent-Type: a/b\r\nX-A: 1\r\nX-A: 2\r\n\r\n")
    expected = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/a b",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "c=%2F",
        "RAW_URI": "/a%20b?c=%2F",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "a/b",
        "HTTP_HOST": "h:81",
        "HTTP_X_A": "1,2",
        "REMOTE_ADDR": "10.0.0.1",
        "REMOTE_PORT": "4711",
        "SERVER_NAME": "10.0.0.2",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert "HTTP_CONTENT_TYPE" not in found


@pytest.mark.parametrize(("host", "name", "port"), [("h:81", "h", "81"), ("h", "h", "80")])
def test_a_socket_in_the_file_system_has_the_name_that_the_client_gives(host: str, name: str, port: str) -> None:
    found = environ(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n", server="/run/socket")
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == (name, port)


def test_the_app_may_be_below_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIPT_NAME", "/below")
    found = environ("GET /below/a HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("/below", "/a")
    with pytest.raises(ConfigurationProblem):
        environ("GET /a HTTP/1.1\r\nHost: h\r\n\r\n")


@pytest.mark.parametrize("declared", [True, False], ids=["at once", "streamed"])
def test_wsgi_is_kept(declared: bool) -> None:
    @validator
    def app(given: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        length = [("Content-Length", "3")] if declared else []
        start_response("200 OK", [("Content-Type", "text/plain"), *length])
        return [b"abc"]  # the validator hides that it has a length

    (head, *pieces), stream = ask(app, environ(), closes=True)
    told = b"Content-Length: 3" if declared else b"Transfer-Encoding: chunked"
    assert head.startswith(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + told + b"\r\nServer: gunicorn\r\nDate: "
    )
    assert head.endswith(b"GMT\r\nConnection: close\r\n\r\n")
    if declared:
        assert (b"".join(pieces), stream) == (b"abc", None)
    else:
        assert b"".join(pieces) + rest(stream) == b"3\r\nabc\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "fields", "method", "length", "body"),
    [
        ("200 OK", (), "GET", b"3", b"abc"),
        ("200 OK", (("content-length", "3"),), "GET", b"3", b"abc"),
        ("200 OK", (("Content-Length", "3"),), "HEAD", b"3", b""),
        ("304 Not Modified", (), "GET", None, b""),
        ("204 No Content", (), "GET", None, b""),
    ],
)
def test_the_length_is_told_where_there_may_be_a_body(
    status: str, fields: tuple[Field, ...], method: str, length: bytes | None, body: bytes
) -> None:
    head, *pieces = answer(status, *fields, method=method)
    lengths = [line.partition(b": ")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    assert (lengths, b"".join(pieces)) == ([] if length is None else [length], body)


@pytest.mark.parametrize(
    ("name", "value"),
    [("X", "a\r\nY: b"), ("X", "a\nb"), ("X", "\0"), ("X Y", "a"), ("X\r\nY", "a"), ("X: a\r\nY", "a"), ("", "")],
)
def test_a_header_that_would_begin_another_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidResponseHeader):
        answer("200 OK", ("A", "b"), (name, value))


@pytest.mark.parametrize(
    "fields",
    [
        [("Connection", "close")],
        [("transfer-encoding", "chunked")],
        [("Content-Length", "2")],
        [("Content-Length", "4")],
        [("X", "\x0b")],
    ],
)
def test_what_would_end_the_answer_elsewhere_is_refused(fields: list[Field]) -> None:
    with pytest.raises(InvalidResponseHeader):
        answer("200 OK", *fields)


def test_a_body_of_texts_is_refused() -> None:
    with pytest.raises(TypeError):
        answer("200 OK", body=["a"])  # type: ignore[list-item]


def test_a_status_that_would_begin_a_header_is_refused() -> None:
    with pytest.raises(InvalidResponseHeader):
        answer("200 OK\r\nX: a")


@pytest.mark.parametrize("fields", [(), (("Content-Length", "1"),)], ids=["streamed", "at once"])
def test_a_body_is_closed_even_if_it_fails(fields: tuple[Field, ...]) -> None:
    body = Body(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        ask_app("200 OK", *fields, body=body)
    assert body.closed == 1


def test_a_body_without_a_length_is_sent_piece_by_piece() -> None:
    body = Body(b"ab", b"", b"c" * 17)
    (head, *first), stream = ask_app("200 OK", body=body)
    assert b"\r\nTransfer-Encoding: chunked\r\n" in head
    assert b"\r\nConnection: keep-alive\r\n" in head
    assert b"Content-Length" not in head
    assert b"".join(first) == b"2\r\nab\r\n"
    assert body.closed == 0
    assert rest(stream) == b"11\r\n" + b"c" * 17 + b"\r\n0\r\n\r\n"
    assert body.closed == 1


def test_a_client_of_http_1_0_gets_no_chunks() -> None:
    (head, *first), stream = ask_app("200 OK", body=Body(b"ab", b"c"), protocol="HTTP/1.0")
    assert b"Transfer-Encoding" not in head
    assert b"\r\nConnection: close\r\n" in head
    assert b"".join(first) + rest(stream) == b"abc"


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified"), ("GET", "204 No Content")]
)
def test_where_there_is_no_body_none_is_streamed(method: str, status: str) -> None:
    body = Body(b"ab")
    (head,) = answer(status, body=body, method=method)
    assert b"Transfer-Encoding" not in head
    assert body.closed == 1


def test_a_stream_that_fails_has_no_end_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    body = Body(b"ab", OSError("gone"))
    _, stream = ask_app("200 OK", ("X-Response-Id", "r1"), body=body)
    assert rest(stream) == b""
    assert stream is not None
    assert (stream.failed, body.closed) == (True, 1)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert (str(record.exc_info[1]), record.__dict__["request_id"]) == ("gone", "r1")


def test_a_stream_is_closed_once_and_whatever_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Body):
        def close(self) -> None:
            super().close()
            raise ValueError("closed badly")

    body = Failing(b"ab", b"c")
    _, stream = ask_app("200 OK", body=body)
    assert stream is not None
    with caplog.at_level(logging.INFO):
        stream.close()
        stream.close()
    assert body.closed == 1
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR"]


def test_pieces_that_are_no_bytes_break_a_stream_off() -> None:
    _, stream = ask_app("200 OK", body=Body(b"ab", "c"))  # type: ignore[arg-type]
    assert rest(stream) == b""
