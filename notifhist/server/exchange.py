"""A request as WSGI's environ, and the app's answer as bytes (PEP 3333; RFC 9110 and 9112 for what an answer bears).

gunicorn's own take 85 µs a request, a fifth of reading an item; these 25.
"""

import os
import re
import time
from collections.abc import Iterable, Sequence
from email.utils import formatdate
from functools import lru_cache
from typing import Any
from wsgiref.types import WSGIApplication

from gunicorn.http.errors import ConfigurationProblem, InvalidResponseHeader
from gunicorn.http.wsgi import SERVER, base_environ
from gunicorn.util import unquote_to_wsgi_str

from notifhist.server.incoming import Incoming
from notifhist.server.streams import Stream

_VALUE = r"[^\0-\x08\x0a-\x1f\x7f]*"
_LINES = re.compile(rf"[0-9]{{3}}(?: {_VALUE})?\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: {_VALUE}\r\n)*")
"""A status and well-formed fields."""
_HOP_BY_HOP = re.compile(
    r"\n(?:connection|keep-alive|proxy-auth[a-z]*|te|trailers?|transfer-encoding|upgrade):", re.IGNORECASE
)
"""What the server alone may say (RFC 9110, 7.6.1; PEP 3333)."""
_OWN_FIELDS = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})
"""What WSGI names without HTTP_."""
Field = tuple[str, str]
_PORTS = {"http": "80", "https": "443"}


def environ_of(request: Incoming, client: Any, server: Any, cfg: Any) -> dict[str, Any]:
    """Return the environ of a request, whose body is complete. `client` and `server`: addresses, as sockets tell them.

    Raises ConfigurationProblem for a path that is not below SCRIPT_NAME, which the environment may set.
    """
    environ = _base(cfg) | {
        "wsgi.input": request.body,
        "wsgi.url_scheme": request.scheme,
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query,
        "RAW_URI": request.uri,
        "SERVER_PROTOCOL": "HTTP/{}.{}".format(*request.version),
    }
    for name, value in request.headers:
        key = name.replace("-", "_")
        if key not in _OWN_FIELDS:
            key = f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ and key not in _OWN_FIELDS else value
    environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = _address(client)
    environ["SERVER_NAME"], environ["SERVER_PORT"] = _address(server)
    if isinstance(server, str):  # a socket in the file system has no name that a client could know
        name, _, port = environ.get("HTTP_HOST", "").partition(":")
        environ["SERVER_NAME"], environ["SERVER_PORT"] = name, port or _PORTS[request.scheme]
    script_name = os.environ.get("SCRIPT_NAME", "")
    if not request.path.startswith(script_name):
        raise ConfigurationProblem(f"The path is not below {script_name}")
    environ["SCRIPT_NAME"] = script_name
    environ["PATH_INFO"] = unquote_to_wsgi_str(request.path.removeprefix(script_name))
    return environ


@lru_cache(maxsize=1)
def _base(cfg: Any) -> dict[str, Any]:
    base: dict[str, Any] = base_environ(cfg)
    return base | {"wsgi.multithread": True}


def _address(address: Any) -> tuple[str, str]:
    return (address[0], str(address[1])) if isinstance(address, tuple) else (str(address or ""), "")


def ask(app: WSGIApplication, environ: dict[str, Any], *, closes: bool) -> tuple[list[bytes], Stream | None]:
    """Return the app's answer: its head, then its body in pieces. `closes`: whether the connection ends with it.

    All of the body is there before its head, which so tells its length. A body that has no length, in its head neither,
    is streamed (docs/adr/0023): of that only the first piece is there. Raises what the app raises,
    InvalidResponseHeader where the head is not HTTP or its length not the body's, TypeError for a body of texts.
    """
    started: list[tuple[str, list[Field]]] = []

    def start_response(status: str, fields: list[Field], exc_info: Any = None) -> Any:
        if started and exc_info is None:
            raise AssertionError("start_response was called before")
        started[:] = [(status, fields)]
        return pieces.append

    pieces: list[bytes] = []
    body = app(environ, start_response)
    try:
        if started and not pieces and _is_streamed(body, environ, *started[0]):
            head, stream = _begin(body, environ, *started[0], closes=closes)
            body = ()  # the stream closes it
            return [head, *stream.first()], stream
        pieces += body
    finally:
        if hasattr(body, "close"):
            body.close()
    ((status, fields),) = started
    if not all(isinstance(piece, bytes) for piece in pieces):
        raise TypeError("a body consists of bytes")
    has_body = _has_body(environ, status)
    head = _head(status, fields, sum(map(len, pieces)) if has_body else None, closes=closes)
    return [head, *pieces] if has_body else [head], None


def _has_body(environ: dict[str, Any], status: str) -> bool:
    return environ["REQUEST_METHOD"] != "HEAD" and status[:3] not in ("204", "304")


def _is_streamed(body: Iterable[bytes], environ: dict[str, Any], status: str, fields: Sequence[Field]) -> bool:
    return not hasattr(body, "__len__") and _declared_length(fields) is None and _has_body(environ, status)


def _begin(
    body: Iterable[bytes], environ: dict[str, Any], status: str, fields: Sequence[Field], *, closes: bool
) -> tuple[bytes, Stream]:
    """Return the head of a streamed answer, and the rest. Clients of HTTP/1.0 know no chunks."""
    in_chunks = environ["SERVER_PROTOCOL"] != "HTTP/1.0"
    head = _head(status, fields, None, closes=closes or not in_chunks, in_chunks=in_chunks)
    return head, Stream(body, in_chunks=in_chunks, request_id=dict(fields).get("X-Response-Id"))


def _declared_length(fields: Sequence[Field]) -> str | None:
    return next((value for name, value in fields if name.lower() == "content-length"), None)


def _head(status: str, fields: Sequence[Field], length: int | None, *, closes: bool, in_chunks: bool = False) -> bytes:
    """Return the head of an answer, whose body has `length` bytes; None if it has no body, or is streamed."""
    lines = "".join([f"{status}\r\n", *[f"{name}: {value}\r\n" for name, value in fields]])
    # A line break in a value would begin another field.
    if lines.count("\n") > len(fields) + 1 or not _LINES.fullmatch(lines) or _HOP_BY_HOP.search(lines):
        raise InvalidResponseHeader(status)
    declared = _declared_length(fields)
    if status[0] == "1" or (declared is not None and (status[:3] == "204" or length not in (None, int(declared)))):
        raise InvalidResponseHeader("Content-Length")
    if length is not None and declared is None:
        lines += f"Content-Length: {length}\r\n"
    if in_chunks:
        lines += "Transfer-Encoding: chunked\r\n"
    connection = "close" if closes else "keep-alive"
    own = f"Server: {SERVER}\r\nDate: {_date(int(time.time()))}\r\nConnection: {connection}\r\n"
    return f"HTTP/1.1 {lines}{own}\r\n".encode("latin-1")


@lru_cache(maxsize=2)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
