"""Documents and errors as responses: format, status, Location, ETag."""

import hashlib
from collections.abc import Iterable
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIEnvironment

import flask
from flask import g, request

from notifhist.auth import hide_secrets
from notifhist.errors import ApiError, RateLimitReached
from notifhist.schemas.document import Document, DocumentSchema, dump
from notifhist.schemas.error import FAULT, PROBLEM, RUN_ERROR
from notifhist.serializers import RENDERERS, as_json
from notifhist.serializers.negotiation import choose
from notifhist.serializers.stored import StoredDocument, StoredForm

FORMATS = tuple(RENDERERS)
PROBLEM_JSON = "application/problem+json"
_SMALL = 512 * 1024
"""Bytes, at most, of a body whose parts are put together: to send each by itself takes longer."""
_HASHED_AT_ONCE = 2047
"""Of more bytes than that hashlib lets go of the interpreter lock: to get it back takes longer than to hash them."""


class Response(flask.Response):
    """A response that is complete as it is made: Flask's own looks through all of its headers once more."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send it as it is."""
        start_response(self.status, self.headers.to_wsgi_list())
        return () if environ["REQUEST_METHOD"] == "HEAD" else self.iter_encoded()


def is_runs_path(path: str) -> bool:
    """Say whether errors at this path are the notification runs' own; all others are faults."""
    return path == "/api" or path.startswith("/api/")


def stored_form() -> StoredForm:
    """Return the stored form that the answer's format takes as it is."""
    return StoredForm.JSON if g.media_type == FORMATS[0] else StoredForm.XML


def respond(
    document: Document | StoredDocument,
    schema: DocumentSchema,
    status: HTTPStatus = HTTPStatus.OK,
    location: str | None = None,
    etag: bool = False,
) -> Response:
    """Return `document` in the format that the caller wants; 304 if `etag` and the caller has it already."""
    media_type = g.media_type
    parts = RENDERERS[media_type](document, schema)
    size = sum(map(len, parts))
    if size < _SMALL:
        parts = [b"".join(parts)]
    response = Response(parts, status, content_type=media_type)
    response.headers["Content-Length"] = str(size)
    if location is not None:
        response.headers["Location"] = location
    if etag:
        tag = _digest(parts)
        response.set_etag(tag)
        environ = request.environ
        asks = "HTTP_IF_NONE_MATCH" in environ and environ["REQUEST_METHOD"] in ("GET", "HEAD")
        if asks and request.if_none_match.contains_weak(tag):
            response.status_code = HTTPStatus.NOT_MODIFIED
            response.response = []
            del response.headers["Content-Type"], response.headers["Content-Length"]
    return response


def _digest(parts: list[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        for start in range(0, len(part), _HASHED_AT_ONCE):
            digest.update(part[start : start + _HASHED_AT_ONCE])
    return digest.hexdigest()


def no_content() -> Response:
    """Return the answer that has nothing to say."""
    response = Response(status=HTTPStatus.NO_CONTENT)
    del response.headers["Content-Type"]
    return response


def plain(body: bytes, content_type: str) -> Response:
    """Return a document that is not negotiated."""
    return Response(body, content_type=content_type)


def error_response(error: ApiError) -> Response:
    """Return `error` as the API of the request's path words it, in the caller's format."""
    accept = request.headers.get("Accept")
    body, content_type = render_error(error, request.path, accept, g.request_id)
    return Response(body, error.status, {**error.headers, "Content-Type": content_type})


def render_error(error: ApiError, path: str, accept: str | None, request_id: str) -> tuple[bytes, str]:
    """Return body and content type of `error`; `path` decides whose document, `accept` which format."""
    media_type = choose(accept, FORMATS) or FORMATS[0]

    def render(document: Document, schema: DocumentSchema) -> bytes:
        return b"".join(RENDERERS[media_type](document, schema))

    if not is_runs_path(path):
        return render(_fault(error, request_id), FAULT), media_type
    if isinstance(error, RateLimitReached):
        return as_json.render(_problem(error, path), PROBLEM), PROBLEM_JSON
    return render(_run_error(error, request_id), RUN_ERROR), media_type


def _fault(error: ApiError, request_id: str) -> Document:
    return dump(
        FAULT,
        {
            "type": error.fault_type,
            "code": str(error.status),
            "message": error.message,
            "details": hide_secrets(error.details),
            "request_id": request_id,
        },
    )


def _run_error(error: ApiError, request_id: str) -> Document:
    return dump(
        RUN_ERROR,
        {
            "details": hide_secrets(error.details),
            "gateway_http_status": 0,
            "http_status": error.status,
            "message": error.message,
            "request_id": request_id,
            "type": error.run_error_type,
        },
    )


def _problem(error: ApiError, path: str) -> Document:
    return dump(
        PROBLEM,
        {
            "detail": error.message,
            "instance": hide_secrets(path),
            "retry_after": int(error.headers.get("Retry-After", "1")),
            "status": error.status,
            "title": HTTPStatus(error.status).phrase,
            "type": "about:blank",
        },
    )
