"""Answers to requests that never reached the app: the documents that the app would send, not gunicorn's HTML."""

import time
import uuid
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from gunicorn import util
from gunicorn.http import errors as http_errors

from notifhist.errors import ApiError, BadRequest, InternalError, Unavailable
from notifhist.logs import log_request
from notifhist.server.incoming import HEAD_BYTES, REQUEST_LINE_BYTES, told_by
from notifhist.web import cors
from notifhist.web.responses import render_error


class UnknownTransferCoding(ApiError):
    """A body sent in a way that we cannot undo."""

    status, fault_type = 501, "notImplementedError"
    message = "No transfer coding but chunked is known."


class Overloaded(Unavailable):
    """More requests than can be answered in time."""

    message = "The service has more requests than it can answer in time; try again later."


_BAD_CHUNKS = http_errors.InvalidChunkSize, http_errors.InvalidChunkExtension, http_errors.ChunkMissingTerminator
_REFUSALS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], int, str], ...] = (
    (http_errors.LimitRequestLine, 414, f"The request line is too long: {REQUEST_LINE_BYTES} bytes are taken."),
    (http_errors.ExpectationFailed, 417, "No expectation but 100-continue can be met."),
    (
        http_errors.LimitRequestHeaders,
        431,
        f"The header is too large: 100 fields, each of 8190 bytes, are taken, and {HEAD_BYTES} bytes in all.",
    ),
    (_BAD_CHUNKS, 400, "The body is cut off, or its chunks are not valid."),
    (http_errors.ParseException, 400, "The request is not valid HTTP/1.1."),
)
# gunicorn derives these from ParseException too, but the app or the operator is at fault.
_OURS = (http_errors.InvalidResponseHeader, http_errors.InvalidResponseHeaderName, http_errors.ConfigurationProblem)


def refusal(
    exc: BaseException,
    head: bytes,
    started: float,
    log: Any,
    origins: frozenset[str] = frozenset(),
    *,
    closes: bool = True,
    pages: bool = True,
) -> list[bytes]:
    """Return the answer to a request that failed before the app or beyond its error handlers; log it as answered.

    The answer is in the format and of the API that the raw `head` asks for, if so much of it arrived. `started`: since
    when it is answered, by the monotonic clock. `origins`: whose pages may read it. `closes`: whether the connection
    ends with it. `pages`: whether these are switched on.
    """
    error, request_id = api_error(exc), uuid.uuid4().hex
    if isinstance(error, InternalError) or isinstance(exc, OSError):
        log.error("A request failed outside the app", exc_info=exc, extra={"request_id": request_id})
    method, path, accept, origin = told_by(head)
    body, always = render_error(error, path, accept, request_id, pages=pages)
    headers = [
        *(("Date", util.http_date()), ("Connection", "close" if closes else "keep-alive")),
        *(("Content-Length", len(body)), *always.items(), *cors.fields_for(origin, origins)),
        *(("X-Response-Id", request_id), *error.headers.items()),
    ]
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
    body = b"" if method == "HEAD" else body
    log_request(
        method=method,
        path=unquote(path),
        status=error.status,
        ms=(time.monotonic() - started) * 1000,
        size=len(body),
        tenant=None,
        request_id=request_id,
    )
    return [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n{fields}\r\n".encode("latin-1"), body]


def api_error(exc: BaseException) -> ApiError:
    """Return the error to answer. Nothing of the exception's text is in it: that may hold a key."""
    if isinstance(exc, ApiError):
        return exc
    if isinstance(exc, OSError):
        return Unavailable("The service has no room for this request at the moment; try again later.")
    if isinstance(exc, http_errors.UnsupportedTransferCoding):
        return UnknownTransferCoding()
    for kind, status, message in _REFUSALS:
        if isinstance(exc, kind) and not isinstance(exc, _OURS):
            error = BadRequest(message)
            error.status = status
            return error
    return InternalError()
