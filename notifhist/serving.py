"""The server: gunicorn, its settings, and a worker that answers what never reaches the app as the app would.

gunicorn's threaded worker is kept but for what went wrong on real sockets; each override says what that was.
"""

import atexit
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from ssl import SSLError
from typing import Any
from urllib.parse import unquote
from wsgiref.types import WSGIApplication

from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.http import errors as http_errors
from gunicorn.http.errors import ParseException
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import ThreadWorker
from prometheus_client import values
from prometheus_client.multiprocess import mark_process_dead

from notifhist.errors import ApiError, BadRequest, InternalError
from notifhist.logs import configure_logging, log_request
from notifhist.metrics import MULTIPROCESS_DIR
from notifhist.responses import render_error

THREADS = 2
REQUEST_LINE_BYTES = 32_768
"""Five ids of 255 characters, each of up to 12 bytes encoded, are 15.3 kB; as much again for the query."""
KEEPALIVE_SECONDS = 75
"""Longer than the minute for which proxies keep an idle connection: they close it, and nothing is lost."""
READ_SECONDS = 15.0
"""For a head to arrive whole, and for each next piece of a body."""
STOP_SECONDS = 2.0
"""How long a stopping worker listens to silent clients; gunicorn's own value for idle connections."""
LINGER_SECONDS = 0.5
DRAIN_BYTES, DRAIN_SECONDS = 64 * 2**20, 10.0


def cpu_count() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def options(workers: int | None = None, threads: int = THREADS) -> dict[str, Any]:
    """Return gunicorn's settings. One worker for each CPU, unless told.

    Two threads: one computes while the other waits for the database. More in one worker would only queue at
    the interpreter lock.
    """
    return {
        "workers": workers or cpu_count(),
        "threads": threads,
        "worker_class": Worker,
        "worker_tmp_dir": _memory_dir(),
        "preload_app": False,  # each worker opens its own connections
        "keepalive": KEEPALIVE_SECONDS,
        "timeout": 60,  # of a worker whose main loop hangs; a slow request is not ended by it
        "graceful_timeout": 30,
        "http_parser": "python",  # the one that Incoming extends
        # gunicorn believes no proxy, not even from 127.0.0.1 or a socket: the app does, as it is told.
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        "secure_scheme_headers": {},
        "logger_class": JsonLogger,
        "accesslog": None,  # the app writes it: it knows the tenant
        "capture_output": False,
        "control_socket_disable": True,
        "on_starting": _on_starting,
        "child_exit": _child_exit,
    }


def serve(bind: str, workers: int, threads: int) -> None:
    """Serve the service's app at `bind` (HOST:PORT) until a signal ends it; leaves by SystemExit."""

    def load() -> WSGIApplication:
        from notifhist.factory import create_app  # in the worker, which a reload starts anew

        return create_app()

    Server(load, options(workers, threads) | {"bind": bind}).run()


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn with the settings given; each worker calls `load` for its own app."""

    def __init__(self, load: Callable[[], WSGIApplication], settings: Mapping[str, Any]) -> None:
        self._load, self._settings = load, settings
        super().__init__()

    def load_config(self) -> None:
        """Take the settings; once more at each reload."""
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        """Return the app."""
        return self._load()


class JsonLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's log as our JSON lines."""

    def setup(self, cfg: Any) -> None:
        """Set up our handlers; once more at each reload."""
        super().setup(cfg)
        configure_logging()

    def _set_handler(self, *args: Any, **kwargs: Any) -> None:
        """Add no handler of gunicorn's own."""


def _memory_dir() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - only mkdtemp and mkstemp there


def _on_starting(server: Any) -> None:
    """Make the directory in which the workers count; the process that made it removes it."""
    directory = tempfile.mkdtemp(prefix="notifhist-metrics-", dir=_memory_dir())
    os.chown(directory, server.cfg.uid, server.cfg.gid)
    os.environ[MULTIPROCESS_DIR] = directory
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # workers inherit this, and end earlier
            shutil.rmtree(directory, ignore_errors=True)

    atexit.register(remove)


def _child_exit(server: Any, worker: Any) -> None:
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


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
        unreader.sock.settimeout(max(self.started + READ_SECONDS - time.monotonic(), 0.001))
        try:
            super().read_into(unreader, buf, stop)
        except TimeoutError as error:
            raise LateRequest from error
        finally:
            unreader.sock.settimeout(None)
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
        sock = self._request.unreader.sock
        sock.settimeout(self.seconds)
        try:
            data: bytes = self._reader.read(size)
        except (ParseException, http_errors.NoMoreData, TimeoutError) as error:
            self._request.force_close()
            if isinstance(error, TimeoutError):
                raise LateRequest from error
            raise BadRequest("The body is cut off, or its chunks are not valid.") from error
        finally:
            sock.settimeout(None)
        return data


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """The threaded worker, kept from waiting for silent clients, and from losing others when it stops."""

    def init_process(self) -> None:
        """Prepare this process, then run."""
        RequestParser.mesg_class = Incoming
        # Chosen when prometheus_client was imported, by the command line perhaps, and without the directory.
        values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]
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
