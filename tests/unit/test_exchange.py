"""A request as environ, and the app's answer as bytes."""

from collections.abc import Iterable
from io import BytesIO
from typing import Any
from wsgiref.types import StartResponse
from wsgiref.validate import validator

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ConfigurationProblem, InvalidResponseHeader

from notifhist.server.exchange import ask, environ_of
from notifhist.server.incoming import Incoming

CLIENT, SERVER = ("10.0.0.1", 4711), ("10.0.0.2", 80)
Field = tuple[str, str]


def environ(head: str = "GET /a%20b?c=%2F HTTP/1.1\r\nHost: h:81\r\n\r\n", server: Any = SERVER) -> dict[str, Any]:
    cfg = Config()
    request = Incoming(cfg, head.encode("latin-1"), CLIENT)
    request.body = BytesIO()
    return environ_of(request, CLIENT, server, cfg)


def answer(status: str, *fields: Field, body: Iterable[bytes] = (b"ab", b"c"), method: str = "GET") -> list[bytes]:
    def app(given: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, list(fields))
        return body

    return ask(app, environ() | {"REQUEST_METHOD": method}, closes=False)


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


def test_wsgi_is_kept() -> None:
    @validator
    def app(given: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"abc"]

    head, *pieces = ask(app, environ(), closes=True)
    assert b"".join(pieces) == b"abc"
    assert head.startswith(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nServer: gunicorn\r\nDate: "
    )
    assert head.endswith(b"GMT\r\nConnection: close\r\n\r\n")


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


def test_a_body_is_closed_even_if_it_fails() -> None:
    closed = []

    class Failing:
        def __iter__(self) -> Any:
            yield b"a"
            raise OSError("gone")

        def close(self) -> None:
            closed.append(True)

    with pytest.raises(OSError, match="gone"):
        answer("200 OK", body=Failing())
    assert closed == [True]
