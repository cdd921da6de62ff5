"""A request as it arrives: gunicorn's, with deadlines, a longer request line, and a body that is read to its end."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ssl import SSLSocket
from typing import Any

from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.message import Request

from notifhist.errors import ApiError, BadRequest

REQUEST_LINE_BYTES = 32_768
"""Five ids of 255 characters, each of up to 12 bytes encoded, are 15.3 kB; as much again for the query."""
READ_TIMEOUT_S = 15.0
"""For a head to arrive whole, and for each next piece of a body."""
DRAIN_BYTES = 64 * 2**20
DRAIN_TIMEOUT_S = 10.0
"""How much of a body that the app has not read is read and dropped, and for how long."""


class LateRequest(BadRequest):
    """A request that does not arrive in time."""

    status = 408
    message = "The request did not arrive in time."


class Incoming(Request):  # type: ignore[misc]  # gunicorn ships no types
    """A request that has a deadline, and keeps its raw head: a bad one is answered in the format that it asks for."""

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
        """Parse the head. gunicorn's setting for the request line goes to 8190 bytes, or has no limit."""
        self.limit_request_line = REQUEST_LINE_BYTES
        return super().parse(unreader)

    def read_into(self, unreader: Any, buf: bytearray, stop: bool = False) -> None:
        """Read once, until the deadline. gunicorn has none: a client that sends half a head holds a thread for ever."""
        before = len(buf)
        if self.received or isinstance(unreader.sock, SSLSocket):
            with _within(self.started + READ_TIMEOUT_S - time.monotonic(), unreader.sock):
                super().read_into(unreader, buf, stop)
        else:  # the poller has seen the first bytes
            super().read_into(unreader, buf, stop)
        self.received += buf[before:]

    def method_path_accept(self) -> tuple[str, str, str | None]:
        """Return method, path and Accept of the raw head, valid or not; an empty text or None for what is missing."""
        head = bytes(self.received).lstrip().split(b"\r\n\r\n")[0].decode("latin-1")
        line = re.match(r"([A-Za-z]{1,20}) ([^\s?#]*)", head)
        accept = re.findall(r"(?im)^accept:[ \t]*([^\r\n]*)", head)
        method, path = line.groups() if line else ("", "")
        return method, path, ", ".join(accept) if accept else None

    def drain(self) -> bool:
        """Read what the app left of the body, and drop it; return whether that was all.

        If a connection is closed while its client still sends, many clients never read the answer (a 413, say).
        """
        self.body.reader.timeout_s = DRAIN_TIMEOUT_S
        deadline, left = time.monotonic() + DRAIN_TIMEOUT_S, DRAIN_BYTES
        with suppress(ApiError, OSError):
            while not self.body.failed and left > 0 and time.monotonic() < deadline:
                data = self.body.read(65_536)
                if not data:
                    return True
                left -= len(data)
        return False


class BodyReader:
    """Reads a body. gunicorn answers a bad one with HTML, or twice; here the app answers: 400, or 408 if it is late."""

    def __init__(self, request: Incoming) -> None:
        self._request, self._reader, self.timeout_s = request, request.body.reader, READ_TIMEOUT_S

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, empty at the end. Raises BadRequest and LateRequest."""
        if getattr(self._reader, "length", None) == 0:
            return b""
        try:
            with _within(self.timeout_s, self._request.unreader.sock):
                data: bytes = self._reader.read(size)
        except LateRequest:
            self._request.force_close()
            raise
        except (ParseException, NoMoreData) as error:
            self._request.force_close()
            raise BadRequest("The body is cut off, or its chunks are not valid.") from error
        return data


@contextmanager
def _within(seconds: float, sock: Any) -> Iterator[None]:
    """Wait for the socket no longer than `seconds`. Raises LateRequest."""
    sock.settimeout(max(seconds, 0.001))
    try:
        yield
    except TimeoutError as error:
        raise LateRequest from error
    finally:
        sock.settimeout(None)
