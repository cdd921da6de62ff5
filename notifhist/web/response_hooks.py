"""The hooks after each view: errors become responses, headers are set, a line is logged."""

import logging
import time
from http import HTTPStatus

import flask
from flask import Flask, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from notifhist import errors
from notifhist.auth import ApiKey
from notifhist.config import hide_password
from notifhist.logs import log_request
from notifhist.schemas.instants import format_instant
from notifhist.store.database import ERRORS, exceeded_limits, is_unreachable, refused_as
from notifhist.store.replicas import note_write
from notifhist.store.sources import Source
from notifhist.web.context import READING, current_service
from notifhist.web.declarations import AS_OF, View
from notifhist.web.rate_limits import Usage
from notifhist.web.responses import HEADERS_OF_ALL, error_response
from notifhist.web.shortcuts import unwrap

logger = logging.getLogger("notifhist")

_KINDS = {400: errors.BadRequest, 404: errors.NotFound, 413: errors.RequestTooLarge}
"""The errors for requests that Flask itself refuses, by status."""


def register(app: Flask) -> None:
    """Register the handlers that answer errors in the form of their API, and the hooks after each view."""
    app.register_error_handler(errors.ApiError, error_response)
    app.register_error_handler(HTTPException, _answer_http_exception)
    for kind in ERRORS:
        app.register_error_handler(kind, _answer_database_error)
    app.register_error_handler(Exception, _answer_unexpected)
    app.after_request(finish_response)
    if app.extensions["notifhist"].sources.replica is not None:
        app.after_request(_note_write)  # Flask runs it before `finish_response`


def _note_write(response: Response) -> Response:
    """Note that the tenant has recorded something, so that its next reads see it from any database."""
    key: ApiKey | None = flask.g.get("key")
    if key is None or flask.request.method in READING or not response.status_code < 300:
        return response
    try:
        note_write(current_service().db, key.tenant)
    except ERRORS as error:
        return _answer_database_error(error)
    return response


def finish_response(response: Response) -> Response:
    """Set the headers of every answer; count and log the request.

    An answer that is streamed is counted and logged as it begins: its time is that to its first piece, its size 0.
    """
    request, context = unwrap(flask.request), unwrap(flask.g)
    add = response.headers.add  # no response has one of these yet
    for name, value in HEADERS_OF_ALL:
        add(name, value)
    add("X-Response-Id", context.request_id)
    for name, value in context.api.headers:
        add(name, value)
    key: ApiKey | None = context.get("key")
    if context.api.cache_control:
        response.headers.setdefault("Cache-Control", context.api.cache_control)
    elif response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        add("Cache-Control", "no-store")
    elif key is not None:
        # Caches between us and the caller do not know that the answer depends on the key.
        add("Cache-Control", "private, no-cache")
    usage: Usage | None = context.get("usage")
    if usage is not None:
        add("X-RateLimit-Limit", str(usage.limit))
        add("X-RateLimit-Used", str(usage.used))
        add("X-RateLimit-Window", usage.window)
        add("X-RateLimit-Type", "global")
    _tell_lag(response, context.get("source"))
    seconds = time.perf_counter() - context.started
    route = request.url_rule.rule if request.url_rule is not None else ""
    current_service().metrics.observe(request.method, route, response.status_code, seconds)
    log_request(
        method=request.method,
        path=request.path,
        status=response.status_code,
        ms=seconds * 1000,
        size=0 if request.method == "HEAD" else response.content_length or 0,
        tenant=key.tenant if key is not None else None,
        request_id=context.request_id,
    )
    return response


def _tell_lag(response: Response, source: Source | None) -> None:
    """Say that an answer may lag, and count it, if it does."""
    if source is None or not source.may_lag:
        return
    response.headers[AS_OF] = "unknown" if source.newest_ms is None else format_instant(source.newest_ms)
    current_service().metrics.may_lag()


def _answer_http_exception(error: HTTPException) -> Response:
    """Answer a refusal by Flask itself in the form of the API."""
    if isinstance(error, MethodNotAllowed):
        allow = ", ".join(sorted(error.valid_methods or ()))
        return error_response(errors.MethodNotAllowed(headers={"Allow": allow}))
    if isinstance(error, RequestEntityTooLarge) and flask.g.view.body is not None:
        return error_response(flask.g.view.body.too_large())
    kind = _KINDS.get(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    return error_response(kind()) if kind is not None else _answer_unexpected(error)


def _answer_database_error(error: Exception) -> Response:
    """Answer 503 if the database is unreachable or a statement exceeded its limits, else 500."""
    service = current_service()
    service.sources.failed(flask.g.get("source"), error)
    if reason := refused_as(error):
        service.metrics.gave_up(reason)
    if exceeded_limits(error):
        logger.warning("the database was asked for too much: %s", error, extra={"request_id": flask.g.request_id})
        return error_response(errors.QueryTooExpensive(is_read=flask.request.method in READING))
    if not is_unreachable(error):
        return _answer_unexpected(error)
    logger.error("the database failed: %s", hide_password(str(error)), extra={"request_id": flask.g.request_id})
    view: View | None = flask.g.get("view")  # none where the caller could not be looked up
    return error_response(errors.Unavailable(view.without_database if view else None))


def _answer_unexpected(error: Exception) -> Response:
    logger.error("request failed", exc_info=error, extra={"request_id": flask.g.request_id})
    return error_response(errors.InternalError())
