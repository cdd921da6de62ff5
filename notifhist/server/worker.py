"""What serves a connection: gunicorn's threaded worker, kept but for what went wrong on real sockets.

Each override says what that was. It answers what never reaches the app as the app would.
"""

import ctypes
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from ssl import SSLError, SSLSocket
from typing import Any
from urllib.parse import unquote

from gunicorn import util
from gunicorn.http import errors as http_errors
from gunicorn.http.errors import ParseException
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import ThreadWorker
from prometheus_client import values

from notifhist.errors import ApiError, BadRequest, InternalError
from notifhist.logs import log_request
from notifhist.web.responses import render_error

REQUEST_LINE_BYTES = 32_768
"""Five ids of 255 characters, each of up to 12 bytes encoded, are 15.3 kB; as much again for the query."""
READ_SECONDS = 15.0
"""For a head to arrive whole, and for each next piece of a body."""
STOP_SECONDS = 2.0
"""How long a stopping worker listens to silent clients; gunicorn's own value for idle connections."""
LINGER_SECONDS = 0.5
TAKEN_BY_ITSELF_BYTES, KEPT_BYTES = 8 * 2**20, 16 * 2**20
"""A buffer of so many bytes is given back at once; behind the last one in use each thread keeps so many at most."""
_MALLOPT = {"MALLOC_TRIM_THRESHOLD_": (-1, KEPT_BYTES), "MALLOC_MMAP_THRESHOLD_": (-3, TAKEN_BY_ITSELF_BYTES)}
"""The parameters of mallopt(3) by the variables of the environment that set them."""
DRAIN_BYTES, DRAIN_SECONDS = 64 * 2**20, 10.0


class Incoming(Request):  # type: ignore[misc]  # gunicorn ships no types
    """A request as it arrives: it has a deadline, and keeps its raw head to be answered by if it is bad."""

    def __init__(self, *args: Any) -> None:
        self.received = bytearray()
        self.answered = False
        self.started = time.monotonic()
        try:
            super().__init__(*args)
        except (ParseException, ApiError) as error:
            error.request = self  # type: ignore[union-attr]  # for Worker.handle_error
            raise
        self.body.reader = BodyReader(self)

    def parse(self, unreader: Any) -> Any:
        """Parse the head. gunicorn's setting for its first line knows 8190 bytes at most, or no limit."""
        self.limit_request_line = REQUEST_LINE_BYTES
        return super().parse(unreader)

    def read_into(self, unreader: Any, buf: bytearray, stop: bool = False) -> None:
        """Read once, until the deadline: half a head would hold a thread for ever."""
        before = len(buf)
        if self.received or isinstance(unreader.sock, SSLSocket):
            with _within(self.started + READ_SECONDS - time.monotonic(), unreader.sock):
                super().read_into(unreader, buf, stop)
        else:  # the poller has seen the first bytes
            super().read_into(unreader, buf, stop)
        self.received += buf[before:]

    def told(self) -> tuple[str, str, str | None]:
        """Return method, path and Accept, each if it arrived."""
        head = bytes(self.received).lstrip().split(b"\r\n\r\n")[0].decode("latin-1")
        line = re.match(r"([A-Za-z]{1,20}) ([^\s?#]*)", head)
        accept = re.findall(r"(?im)^accept:[ \t]*([^\r\n]*)", head)
        method, path = line.groups() if line else ("", "")
        return method, path, ", ".join(accept) if accept else None

    def drained(self) -> bool:
        """Return whether the body is at its end, once what the app left of it is read.

        Of a connection that is closed while the client still sends, many clients never read the answer (413).
        """
        self.body.reader.seconds = DRAIN_SECONDS
        deadline, left = time.monotonic() + DRAIN_SECONDS, DRAIN_BYTES
        with suppress(ApiError, OSError):
            while not self.body.failed and left > 0 and time.monotonic() < deadline:
                data = self.body.read(65_536)
                if not data:
                    return True
                left -= len(data)
        return False


class BodyReader:
    """Reads a body. What is wrong with it becomes the app's to answer: 400, or 408 where it stops coming."""

    def __init__(self, request: Incoming) -> None:
        self._request, self._reader, self.seconds = request, request.body.reader, READ_SECONDS

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, empty at the end."""
        if getattr(self._reader, "length", None) == 0:
            return b""
        try:
            with _within(self.seconds, self._request.unreader.sock):
                data: bytes = self._reader.read(size)
        except (ParseException, http_errors.NoMoreData, LateRequest) as error:
            self._request.force_close()
            if isinstance(error, LateRequest):
                raise
            raise BadRequest("The body is cut off, or its chunks are not valid.") from error
        return data


@contextmanager
def _within(seconds: float, sock: Any) -> Iterator[None]:
    """Wait for the socket no longer than some seconds. Raises LateRequest."""
    sock.settimeout(max(seconds, 0.001))
    try:
        yield
    except TimeoutError as error:
        raise LateRequest from error
    finally:
        sock.settimeout(None)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """The threaded worker, kept from waiting for silent clients, and from losing others when it stops."""

    def init_process(self) -> None:
        """Prepare this process, then run."""
        RequestParser.mesg_class = Incoming
        # Chosen when prometheus_client was imported, by the command line perhaps, and without the directory.
        values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]
        keep_memory()
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread once it has sent something; silent, it would hold that for 5 s."""
        if conn.initialized or conn.data_ready:
            super().enqueue_req(conn)
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + (READ_SECONDS if self.alive else STOP_SECONDS)
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def murder_pending(self) -> None:
        """Close the silent in time; a stopping worker would wait for them as long as for requests."""
        if not self.alive:
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, time.monotonic() + STOP_SECONDS)
        super().murder_pending()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop accepting. Before the end, take all whom the kernel let in: they would be reset."""
        super().set_accept_enabled(enabled)
        while not (enabled or self.alive) and self.sockets:
            listener, before = self.sockets.pop(), -1
            while before < self.nr_conns:
                before = self.nr_conns
                self.accept(listener)
            listener.close()

    def handle(self, conn: Any) -> Any:
        """Handle what was sent, and close here what ends: the main loop would stand still for 2 s over it."""
        conn.whole = False
        result = super().handle(conn)
        if result is False:
            with suppress(OSError):
                if conn.whole:  # closing on unread bytes would reset, and take the answer from the client
                    conn.sock.setblocking(False)
                    conn.sock.recv(65_536)
                else:
                    util.close_graceful(conn.sock, LINGER_SECONDS)
            conn.close()
        return result

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Take note that a thread is done with a connection; one that it closed is counted off only once."""
        if not fs.cancelled() and fs.exception() is None and fs.result() is False:
            self.nr_conns -= 1
        else:
            super().finish_request(conn, fs)

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Have the app answer; return whether the connection goes on."""
        keep = super().handle_request(req, conn)
        req.answered = True
        conn.whole = req.drained()
        return bool(keep and conn.whole)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what never reached the app, or what failed beyond its error handlers; and nothing twice."""
        request = req or getattr(exc, "request", None)
        if request is not None and request.answered:
            return
        error, request_id = _api_error(exc), uuid.uuid4().hex
        if isinstance(error, InternalError):
            self.log.exception("A request failed outside the app", extra={"request_id": request_id})
        method, path, accept = request.told() if request is not None else ("", "", None)
        body, content_type = render_error(error, path, accept, request_id)
        head = (
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\nDate: {util.http_date()}\r\n"
            f"Connection: close\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
            f"Vary: Accept\r\nX-Response-Id: {request_id}\r\n\r\n"
        )
        body = b"" if method == "HEAD" else body
        with suppress(OSError):
            util.write_nonblock(client, head.encode("latin-1") + body)
        log_request(
            method=method,
            path=unquote(path),
            status=error.status,
            ms=(time.monotonic() - request.started) * 1000 if request is not None else 0.0,
            size=len(body),
            tenant=None,
            request_id=request_id,
        )


def keep_memory() -> bool:
    """Have glibc keep what a long answer takes for the next one; return whether it does as told.

    By itself it learns from the longest what to keep, and until then gives all back: then the kernel takes longer to
    find and clear memory for each answer than all else takes. What the environment sets stays as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False  # another libc
    results = [mallopt(*given) for variable, given in _MALLOPT.items() if variable not in os.environ]
    return all(results)


class LateRequest(BadRequest):
    """A request that does not arrive in time."""

    status = 408
    message = "The request did not arrive in time."


class UnknownTransferCoding(ApiError):
    """A body sent in a way that we cannot undo."""

    status, fault_type = 501, "notImplementedError"
    message = "No transfer coding but chunked is known."


_REFUSALS: tuple[tuple[type[Exception], int, str], ...] = (
    (
        http_errors.LimitRequestLine,
        414,
        f"The request line is too long: {REQUEST_LINE_BYTES} bytes are taken.",
    ),
    (http_errors.ExpectationFailed, 417, "No expectation but 100-continue can be met."),
    (http_errors.LimitRequestHeaders, 431, "The header is too large: 100 fields of 8190 bytes are taken."),
    (ParseException, 400, "The request is not valid HTTP/1.1."),
    (SSLError, 400, "The connection is not valid TLS."),
)
# These are parse errors by name, and the app's or the operator's fault.
_OURS = (
    http_errors.InvalidResponseHeader,
    http_errors.InvalidResponseHeaderName,
    http_errors.ConfigurationProblem,
)


def _api_error(exc: BaseException) -> ApiError:
    """Return the error to answer. Nothing of the exception's text is in it: that may hold a key."""
    if isinstance(exc, ApiError):
        return exc
    if isinstance(exc, http_errors.UnsupportedTransferCoding):
        return UnknownTransferCoding()
    for kind, status, message in _REFUSALS:
        if isinstance(exc, kind) and not isinstance(exc, _OURS):
            error = BadRequest(message)
            error.status = status
            return error
    return InternalError()
