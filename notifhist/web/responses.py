"""Documents and errors as responses: format, status, Location, ETag."""

from functools import partial
from http import HTTPStatus

import flask
from flask import g, request

from notifhist.auth import hide_secrets
from notifhist.errors import ApiError
from notifhist.schemas.document import Document, DocumentSchema, dump
from notifhist.schemas.error import ErrorReport
from notifhist.serializers.formats import JSON_AND_XML
from notifhist.serializers.stored import StoredDocument, StoredForm
from notifhist.web.apis import api_of, served
from notifhist.web.conditions import has_already, tag_of
from notifhist.web.context import caller, current_service, url_here
from notifhist.web.declarations import Api
from notifhist.web.shortcuts import Response, unwrap
from notifhist.web.streams import Batches, Reads, StreamedBody

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


def respond_stream(batches: Batches, schema: DocumentSchema) -> Response:
    """Return all documents of `batches`, each described by `schema`, in the format that was negotiated.

    They are read and written while they are sent; what fails before the first piece is there is answered as any error.
    There is no ETag, since nobody knows the bytes. Raises TypeError for a format that is not streamed (`can_stream`).
    """
    context = unwrap(g)
    if context.format.stream is None:
        raise TypeError(f"{context.format.name} is not streamed")
    reads = Reads(current_service().sources, caller().tenant)
    try:
        body = StreamedBody(reads, batches, partial(context.format.stream, schema=schema))
    finally:
        context.source = reads.source
    return Response(body, content_type=context.media_type + context.format.parameters)


def can_stream() -> bool:
    """Say whether the answer's format can be streamed."""
    return unwrap(g).format.stream is not None


def name_file(response: Response, stem: str) -> Response:
    """Return an answer that is saved as a file if its format is one to take away: `stem`, then the format's extension.

    `stem` is of ASCII letters, digits, `-`, `_` and `.`.
    """
    if extension := unwrap(g).format.extension:
        response.headers["Content-Disposition"] = f'attachment; filename="{stem}.{extension}"'
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
    """Return `error` as the API that the request belongs to writes it, in JSON or XML.

    The query string chooses between them if it names one of them (`View.format_parameter`), else Accept.
    """
    context = unwrap(g)
    accept, named_type = request.headers.get("Accept"), context.get("named_type")
    if named_type in JSON_AND_XML.media_types:
        accept = named_type
    body, content_type = _write(context.api, error, request.path, accept, context.request_id)
    return Response(body, error.status, {**error.headers, "Content-Type": content_type})


def render_error(
    error: ApiError, path: str, accept: str | None, request_id: str, *, pages: bool = True
) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of `error` for a request that no route was found for.

    `path` decides which API writes it, `accept` in which format; `pages`: whether these are switched on.
    """
    api = api_of(path, served(pages=pages))
    body, content_type = _write(api, error, path, accept, request_id)
    cached = {"Cache-Control": api.cache_control} if api.cache_control else {}
    return body, {"Content-Type": content_type, **dict(HEADERS_OF_ALL), **dict(api.headers), **cached}


def _write(api: Api, error: ApiError, path: str, accept: str | None, request_id: str) -> tuple[bytes, str]:
    form = api.form_of(type(error))
    media_type = form.offers.accepted_by(accept) or form.offers.media_types[0]
    document = dump(form.schema, ErrorReport(error, hide_secrets(path), request_id))
    chosen = form.offers[media_type]
    return b"".join(chosen.render(document, form.schema)), media_type + chosen.parameters
