"""Documents and errors as responses: format, status, Location, ETag."""

from http import HTTPStatus

import flask
from flask import g, request

from notifhist.auth import hide_secrets
from notifhist.errors import ApiError
from notifhist.schemas.document import Document, DocumentSchema, dump
from notifhist.schemas.error import ErrorReport
from notifhist.serializers.stored import StoredDocument, StoredForm
from notifhist.web.apis import api_of
from notifhist.web.conditions import has_already, tag_of
from notifhist.web.context import url_here
from notifhist.web.declarations import Api
from notifhist.web.shortcuts import Response, unwrap

JOIN_BELOW_BYTES = 512 * 1024
"""A body below this size is sent as one piece: a system call for each of its parts costs more than the copy."""

HEADERS_OF_ALL = (("Vary", "Accept"), ("X-Content-Type-Options", "nosniff"))
"""What every answer bears. `nosniff`: a browser would take a text with tags in it for HTML."""


def stored_form() -> StoredForm:
    """Return the form in which the answer's format wants stored documents."""
    form: StoredForm = unwrap(g).format.stored_form
    return form


def respond(
    document: Document | StoredDocument,
    schema: DocumentSchema,
    status: HTTPStatus = HTTPStatus.OK,
    location: str | None = None,
    etag: bool = False,
) -> Response:
    """Return `document` in the format that was negotiated; 304 if `etag` and the caller has it already."""
    context = unwrap(g)
    parts = context.format.render(document, schema)
    size = sum(map(len, parts))
    if size < JOIN_BELOW_BYTES:
        parts = [b"".join(parts)]
    response = Response(parts, status, content_type=context.media_type + context.format.parameters)
    response.headers["Content-Length"] = str(size)
    if location is not None:
        response.headers["Location"] = location
    if etag:
        tag = tag_of(parts)
        response.set_etag(tag)
        if has_already(tag):
            response.status_code = HTTPStatus.NOT_MODIFIED
            response.response = []
            del response.headers["Content-Type"], response.headers["Content-Length"]
    return response


def page_metadata(count: int, limit: int, marker: str | None = None, next_marker: str | None = None) -> Document:
    """Return the metadata of a page; its next page has the URL of this request, from `next_marker` on."""
    next_href = next_marker and url_here(marker=next_marker)
    first = {"count": count, "limit": limit, "marker": marker}
    return {**first, "next_marker": next_marker, "next_href": next_href}


def note_expired(response: flask.Response, has_expired: bool) -> flask.Response:
    """Return the answer to what was recorded, with a note if some of it has expired already and is never shown."""
    if has_expired:
        response.headers["X-Notifhist-Note"] = "expired"
    return response


def no_content() -> Response:
    """Return the answer without a body, 204."""
    response = Response(status=HTTPStatus.NO_CONTENT)
    del response.headers["Content-Type"]
    return response


def error_response(error: ApiError) -> Response:
    """Return `error` as the API that the request belongs to writes it, in JSON or XML."""
    context = unwrap(g)
    accept = request.headers.get("Accept")
    body, content_type = _write(context.api, error, request.path, accept, context.request_id)
    return Response(body, error.status, {**error.headers, "Content-Type": content_type})


def render_error(error: ApiError, path: str, accept: str | None, request_id: str) -> tuple[bytes, str]:
    """Return body and content type of `error` for a request that no route was found for.

    `path` decides which API writes it, `accept` in which format.
    """
    return _write(api_of(path), error, path, accept, request_id)


def _write(api: Api, error: ApiError, path: str, accept: str | None, request_id: str) -> tuple[bytes, str]:
    form = api.form_of(type(error))
    media_type = form.offers.accepted_by(accept) or form.offers.media_types[0]
    document = dump(form.schema, ErrorReport(error, hide_secrets(path), request_id))
    return b"".join(form.offers[media_type].render(document, form.schema)), form.offers.content_type(media_type)
