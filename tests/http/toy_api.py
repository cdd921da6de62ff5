"""An API of the tests' own, registered from outside the package, with formats of its own."""

import csv
import io
from collections.abc import Iterator
from operator import attrgetter

import flask
from marshmallow import fields

from notifhist import errors
from notifhist.auth import OBSERVER
from notifhist.errors import BadRequest
from notifhist.schemas.document import Document, DocumentSchema
from notifhist.schemas.error import FAULT
from notifhist.schemas.history import HISTORY_PAGE
from notifhist.schemas.query import HISTORY_QUERY, CheckPath
from notifhist.serializers.bodies import MAX_BODY_BYTES, ExpectedBody
from notifhist.serializers.formats import JSON, XML, Format, Formats
from notifhist.serializers.parsed import Limits, Parsed
from notifhist.serializers.stored import StoredDocument, documents_of
from notifhist.store.history import reading
from notifhist.web.apis import BEARER, KEYED_ERRORS, X_AUTH_TOKEN
from notifhist.web.context import caller, current_service, read_body, readable_db
from notifhist.web.declarations import RECORDED, Access, Api, ErrorForm, View
from notifhist.web.params import history_query
from notifhist.web.responses import respond, stored_form
from notifhist.web.shortcuts import Response


def as_csv(document: Document | StoredDocument, schema: DocumentSchema) -> list[bytes]:
    """Return a page of items as CSV: id and state of each."""
    assert isinstance(document, dict)
    lines = io.StringIO()
    rows = [(item["id"], item["state"]) for item in documents_of(document["values"])]
    csv.writer(lines).writerows([("id", "state"), *rows])
    return [lines.getvalue().encode()]


def as_html(document: Document | StoredDocument, schema: DocumentSchema) -> list[bytes]:
    assert isinstance(document, dict)
    return [f"<p>{document['text']}</p>".encode()]


def from_protobuf(body: bytes, single: DocumentSchema, container: DocumentSchema | None, limits: Limits) -> Parsed:
    """Return the document of a message whose only field, of number 1, is a text shorter than 128 bytes."""
    if body[:1] != b"\n" or body[1] != len(body) - 2:
        raise BadRequest("The body is not the message.")
    return Parsed({"text": body[2:].decode()}, False)


CSV = Format("CSV", ("text/csv",), as_csv, parameters="; charset=utf-8")
HTML = Format("HTML", ("text/html",), as_html, parameters="; charset=utf-8")
PROTOBUF = Format("Protocol buffers", ("application/x-protobuf",), as_html, from_protobuf)


class NoteSchema(DocumentSchema):
    """A document of the test."""

    root = "note"
    description = "A note for API users."

    text = fields.String(required=True)


NOTE = NoteSchema()
TOY = Api(
    name="toy",
    tag="Toys",
    prefixes={"/toys": ""},
    root="/toys",
    error_form=ErrorForm(FAULT),
    errors=(*KEYED_ERRORS, errors.Unauthorized),
    access=Access((BEARER, X_AUTH_TOKEN), errors.Unauthorized, rate_limit="runs", account=attrgetter("id")),
)
OPEN_TOY = Api("open", "Toys without keys", {"/open-toys": ""}, "/open-toys", ErrorForm(FAULT), ())
CLOSED: list[str] = []
"""What was closed once its answer had been sent, or once the client had gone away."""


@View(TOY, "GET", "/logs/<log_id>", "Read a log", OBSERVER, (NOTE,))
def read_log(log_id: str) -> Response:
    return respond({"text": log_id}, NOTE)


@View(TOY, "GET", "/logs/run", "Read the log of runs", OBSERVER, (NOTE,))
def read_run_log() -> Response:
    return respond({"text": "the runs"}, NOTE)


@View(
    *(TOY, "GET", "/checks/<entity_id>/<alarm_id>/<check_id>", "List items", OBSERVER, (HISTORY_PAGE,)),
    query=HISTORY_QUERY,
    offers=Formats(JSON, XML, CSV),
)
def list_items_as_csv(**ids: str) -> Response:
    service = current_service()
    query = history_query(CheckPath(caller().tenant, **ids), flask.request.args, service.settings, service.clock)
    page = reading.list_items(readable_db(), query, service.oldest_ms(), stored_form())
    metadata = {"count": page.count, "limit": 1, "marker": None, "next_marker": None, "next_href": None}
    return respond({"values": page.documents, "metadata": metadata}, HISTORY_PAGE)


@View(TOY, "GET", "/page", "Look at a page", OBSERVER, (NOTE,), offers=Formats(HTML))
def look() -> Response:
    return respond({"text": "for people"}, NOTE)


@View(
    *(TOY, "POST", "/notes", "Record a note", OBSERVER, (NOTE,), RECORDED),
    offers=Formats(PROTOBUF, JSON),
    body=ExpectedBody(NOTE, formats=Formats(PROTOBUF), max_bytes=64),
)
def record_note() -> Response:
    return respond(read_body().document, NOTE)


@View(TOY, "POST", "/large", "Record a large note", OBSERVER, body=ExpectedBody(NOTE, max_bytes=MAX_BODY_BYTES * 2))
def record_large_note() -> Response:
    return Response(str(len(read_body().document["text"])), content_type="text/plain")


@View(TOY, "POST", "/raw", "Send anything")
def send_anything() -> Response:
    return Response(str(len(flask.request.get_data())), content_type="text/plain")


@View(OPEN_TOY, "GET", "/stream/<text>", "Stream a text", content={"text/plain": {"type": "string"}})
def stream(text: str) -> Response:
    def pieces() -> Iterator[bytes]:
        try:
            for each in text:
                yield each.encode()
        finally:
            CLOSED.append("the stream")

    response = Response(pieces(), content_type="text/plain")
    response.call_on_close(lambda: CLOSED.append("the response"))
    return response


@View(OPEN_TOY, "GET", "/greetings/<name>", "Greet somebody", None, (NOTE,))
def greet(name: str) -> Response:
    return respond({"text": name}, NOTE)
