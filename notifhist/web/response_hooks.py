"""What every answer passes on its way out: errors become responses, headers are set, a line is logged."""

import logging
import time
from http import HTTPStatus

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from notifhist import errors
from notifhist.auth import ApiKey
from notifhist.config import hide_password
from notifhist.logs import log_request
from notifhist.store.database import ERRORS, discard_connection, exceeded_limits, is_unreachable
from notifhist.store.replicas import Replica, note_write
from notifhist.web.context import behind, service
from notifhist.web.rate_limits import Usage
from notifhist.web.responses import error_response

logger = logging.getLogger("notifhist")

_KINDS = {
    HTTPStatus.BAD_REQUEST: errors.BadRequest,
    HTTPStatus.NOT_FOUND: errors.NotFound,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: errors.RequestTooLarge,
}
"""What Flask refuses by itself, in the words of the API."""


def register(app: Flask) -> None:
    """Make `app` answer errors in the caller's format, and send every answer through `finish`."""
    app.register_error_handler(errors.ApiError, error_response)
    app.register_error_handler(HTTPException, _answer_http_exception)
    for kind in ERRORS:
        app.register_error_handler(kind, _answer_database_error)
    app.register_error_handler(Exception, _answer_unexpected)
    app.after_request(finish)
    if app.extensions["notifhist"].replica is not None:
        app.after_request(_note_write)  # it comes before `finish`


def _note_write(response: Response) -> Response:
    """Have the tenant's next reads see what it has just recorded, from whichever database they come."""
    wired = service()
    if request.method in ("GET", "HEAD") or not response.status_code < 300:
        return response
    try:
        note_write(wired.db, behind(g).key.tenant)
    except ERRORS as error:
        return _answer_database_error(error)
    return response


def finish(response: Response) -> Response:
    """Set the headers that every answer bears, and account for the request."""
    asked, state = behind(request), behind(g)
    add = response.headers.add  # no response has one of these yet
    add("Vary", "Accept")
    add("X-Response-Id", state.request_id)
    key: ApiKey | None = state.get("key")
    if key is not None:
        # Caches between us and the caller do not know that the token decides what is answered.
        add("Cache-Control", "private, no-cache")
    usage: Usage | None = state.get("usage")
    if usage is not None:
        add("X-RateLimit-Limit", str(usage.limit))
        add("X-RateLimit-Used", str(usage.used))
        add("X-RateLimit-Window", usage.window)
        add("X-RateLimit-Type", "global")
    seconds = time.perf_counter() - state.started
    route = asked.url_rule.rule if asked.url_rule is not None else ""
    service().metrics.observe(asked.method, route, response.status_code, seconds)
    log_request(
        method=asked.method,
        path=asked.path,
        status=response.status_code,
        ms=seconds * 1000,
        size=0 if asked.method == "HEAD" else response.content_length or 0,
        tenant=key.tenant if key is not None else None,
        request_id=state.request_id,
    )
    return response


def _answer_http_exception(error: HTTPException) -> Response:
    """Flask's own refusals, in the words of the API."""
    if isinstance(error, MethodNotAllowed):
        allow = ", ".join(sorted(error.valid_methods or ()))
        return error_response(errors.MethodNotAllowed(headers={"Allow": allow}))
    kind = _KINDS.get(HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR))
    return error_response(kind()) if kind is not None else _answer_unexpected(error)


def _answer_database_error(error: Exception) -> Response:
    """A database that is gone is no fault of the service's: it answers 503 and recovers by itself."""
    replica: Replica | None = behind(g).get("read_from")
    if replica is not None:
        replica.failed(error)
    else:
        discard_connection(service().db)
    if exceeded_limits(error):
        logger.warning("the database was asked for too much: %s", error, extra={"request_id": g.request_id})
        return error_response(errors.TooMuch(is_read=request.method in ("GET", "HEAD")))
    if not is_unreachable(error):
        return _answer_unexpected(error)
    logger.error("the database failed: %s", hide_password(str(error)), extra={"request_id": g.request_id})
    return error_response(errors.Unavailable())


def _answer_unexpected(error: Exception) -> Response:
    logger.error("request failed", exc_info=error, extra={"request_id": g.request_id})
    return error_response(errors.InternalError())
