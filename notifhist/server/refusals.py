"""Answers to requests that never reached the app: the documents that the app would send, not gunicorn's HTML."""

import time
import uuid
from contextlib import suppress
from http import HTTPStatus
from ssl import SSLError
from typing import Any
from urllib.parse import unquote

from gunicorn import util
from gunicorn.http import errors as http_errors

from notifhist.errors import ApiError, BadRequest, InternalError
from notifhist.logs import log_request
from notifhist.server.incoming import REQUEST_LINE_BYTES, Incoming
from notifhist.web.responses import render_error


class UnknownTransferCoding(ApiError):
    """A body sent in a way that we cannot undo."""

    status, fault_type = 501, "notImplementedError"
    message = "No transfer coding but chunked is known."


_REFUSALS: tuple[tuple[type[Exception], int, str], ...] = (
    (http_errors.LimitRequestLine, 414, f"The request line is too long: {REQUEST_LINE_BYTES} bytes are taken."),
    (http_errors.ExpectationFailed, 417, "No expectation but 100-continue can be met."),
    (http_errors.LimitRequestHeaders, 431, "The header is too large: 100 fields of 8190 bytes are taken."),
    (http_errors.ParseException, 400, "The request is not valid HTTP/1.1."),
    (SSLError, 400, "The connection is not valid TLS."),
)
# gunicorn derives these from ParseException too, but the app or the operator is at fault.
_OURS = (http_errors.InvalidResponseHeader, http_errors.InvalidResponseHeaderName, http_errors.ConfigurationProblem)


def refuse(sock: Any, request: Incoming | None, exc: BaseException, log: Any) -> None:
    """Answer on `sock` a request that failed before the app or beyond its error handlers, and log it as answered.

    The answer is in the format and of the API that the raw head of `request` asks for, if so much of it arrived.
    """
    error, request_id = api_error(exc), uuid.uuid4().hex
    if isinstance(error, InternalError):
        log.exception("A request failed outside the app", extra={"request_id": request_id})
    method, path, accept = request.method_path_accept() if request is not None else ("", "", None)
    body, content_type = render_error(error, path, accept, request_id)
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\nDate: {util.http_date()}\r\n"
        f"Connection: close\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"Vary: Accept\r\nX-Response-Id: {request_id}\r\n\r\n"
    )
    body = b"" if method == "HEAD" else body
    with suppress(OSError):
        util.write_nonblock(sock, head.encode("latin-1") + body)
    log_request(
        method=method,
        path=unquote(path),
        status=error.status,
        ms=(time.monotonic() - request.started) * 1000 if request is not None else 0.0,
        size=len(body),
        tenant=None,
        request_id=request_id,
    )


def api_error(exc: BaseException) -> ApiError:
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
