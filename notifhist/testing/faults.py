"""Faults on purpose: the answers that a client must survive."""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from time import sleep  # tests that replace `time.sleep` mean that of their client
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from notifhist import errors
from notifhist.errors import ApiError
from notifhist.testing.server import CUT_AFTER
from notifhist.web.responses import render_error

_DEFAULT_RETRY_AFTER = {429: "1", 503: errors.RETRY_AFTER_S}
"""What these always say, s; a real 429 tells when the window ends."""
_SECONDS = re.compile("[0-9]{1,15}")
"""What the body of an error may say of Retry-After; a header may be a date, or nonsense that a client must survive."""


def whole(body: Iterable[bytes]) -> list[bytes]:
    """Return a body in one piece, and close what it came from."""
    try:
        return [b"".join(body)]
    finally:
        if hasattr(body, "close"):
            body.close()


@dataclass
class Fault:
    """The next `times` answers but `after` have `status`, or are true ones where that is less than 400.

    `retry_after` in s, or any text for the header; `delay` in s before the answer; after `cut_after` bytes of its body
    the connection is closed.
    """

    status: int
    after: int
    times: int
    retry_after: float | str | None
    delay: float
    cut_after: int | None
    file: str
    line: int
    """Where a test asked for it."""
    was_met: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Raise ValueError for what can be no answer."""
        if self.status not in {each.value for each in HTTPStatus} or self.status < HTTPStatus.OK:
            raise ValueError(f"status: {self.status} is none of HTTP's.")
        if self.after < 0 or self.times < 1 or self.delay < 0 or (self.cut_after or 0) < 0:
            raise ValueError("Give after >= 0, times >= 1, delay >= 0 and cut_after >= 0.")
        if self.retry_after is None:
            return
        if not isinstance(self.retry_after, str) and not self.retry_after >= 0:
            raise ValueError(f"retry_after: {self.retry_after} is less than 0.")
        self.retry_after = str(self.retry_after)
        if not (self.retry_after.isascii() and self.retry_after.isprintable()):
            raise ValueError(f"retry_after: {self.retry_after!r} can be in no header.")

    def __str__(self) -> str:
        return f"no request has met this fail(), with status {self.status}"

    def answer(self, app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request with this fault; `app` gives true answers."""
        sleep(self.delay)
        if self.cut_after is not None:
            environ[CUT_AFTER] = self.cut_after
        if self.status >= HTTPStatus.BAD_REQUEST:
            return self._refuse(environ, start_response)
        body = app(environ, start_response)
        return body if self.cut_after is None else whole(body)

    def _refuse(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Answer the error as the API of the path writes it, in the caller's format; nothing is changed."""
        error, request_id = self._error(), uuid.uuid4().hex
        wanted = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        body, headers = render_error(error, path, environ.get("HTTP_ACCEPT"), request_id)
        headers |= {**error.headers, **wanted, "X-Response-Id": request_id, "Content-Length": str(len(body))}
        start_response(f"{self.status} {HTTPStatus(self.status).phrase}", list(headers.items()))
        return [body]

    def _error(self) -> ApiError:
        kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ApiError)]
        kind = next((each for each in kinds if each.status == self.status), ApiError)
        error = kind()
        error.status = self.status
        seconds = _DEFAULT_RETRY_AFTER.get(self.status)
        if self.retry_after is not None and _SECONDS.fullmatch(str(self.retry_after)):
            seconds = str(self.retry_after)
        if seconds is not None:
            error.headers = {**error.headers, "Retry-After": seconds}
        return error
