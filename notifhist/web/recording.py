"""The work that views of all resources share: record a body, replace a record, answer a page."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import Response

from notifhist.errors import AnswerTooLong, BadRequest
from notifhist.schemas.document import Document, DocumentSchema, member_fields
from notifhist.schemas.fields import INT64
from notifhist.schemas.numbers import is_integer
from notifhist.schemas.query import PageQuery, Tenant
from notifhist.serializers.bodies import LIMITS
from notifhist.serializers.parsed import list_field
from notifhist.serializers.stored import StoredDocument, StoredForm, StoredPage, encoded
from notifhist.store.counted.pages import list_records
from notifhist.store.counted.records import CountedRecorder
from notifhist.store.deliveries.derive import outcomes_of
from notifhist.store.recording import Recorder, record
from notifhist.web.conditions import precondition
from notifhist.web.context import caller, current_service, read_body, readable_db, url_here
from notifhist.web.responses import note_expired, respond, stored_form


def record_body(
    recorder: Recorder,
    owner: Tenant,
    page_schema: DocumentSchema,
    page_of: Callable[[StoredPage, int], Document],
    note_new: Callable[[Document], None] = lambda document: None,
) -> Response:
    """Record the body's documents, all or none, and answer them as they are stored; 200 where none is new.

    `page_of` makes the answer to a container, of `page_schema`, from its documents and their number. `note_new` is
    called with each document that is new. Raises BadRequest for too many documents, or parts of documents.
    """
    body, service, resource = read_body(), current_service(), recorder.resource
    documents = body.document[list_field(resource.container)[0]] if body.is_container else [body.document]
    now_ticks, oldest_ms = service.clock.now_ticks(), service.oldest_ms()
    drafts = [recorder.draft(owner, document, now_ticks, n) for n, document in enumerate(documents)]
    if sum(draft.parts for draft in drafts) > LIMITS.records:
        raise BadRequest("The body does not fit.", f"Its records may have {LIMITS.records} results in all.")
    recorded = record(service.db, drafts, now_ticks, oldest_ms)
    service.metrics.recorded(resource.name, recorded.created)
    for n in recorded.new:
        note_new(documents[n])
    status = HTTPStatus.OK if drafts and not recorded.created else HTTPStatus.CREATED
    stored = [encoded(document) for document in recorded.documents]
    if not body.is_container:
        single = StoredDocument(StoredForm.JSON, stored[0])
        response = respond(single, resource.document, status, location=url_here(drafts[0].name), etag=True)
    else:
        try:
            page = page_of(StoredPage(StoredForm.JSON, stored), len(stored))
            response = respond(page, page_schema, status, location=url_here())
        except AnswerTooLong:  # they are recorded, which no error may deny
            page = page_of(StoredPage(StoredForm.JSON, ()), len(stored))
            response = respond(page, page_schema, status, location=url_here())
    return note_expired(response, any(draft.has_expired(oldest_ms) for draft in drafts))


def answer_replaced(document: Document | StoredDocument, schema: DocumentSchema, created: bool, name: str) -> Response:
    """Answer a document that was stored by PUT; if it was created, count it in the metric under `name`."""
    current_service().metrics.recorded(name, int(created))
    status = HTTPStatus.CREATED if created else HTTPStatus.OK
    return respond(document, schema, status, location=url_here() if created else None, etag=True)


def count_new_deliveries(item: Document) -> None:
    """Count the deliveries of a new item."""
    for outcome, notification_type in outcomes_of(item):
        current_service().metrics.delivered(outcome, notification_type)


def list_page(recorder: CountedRecorder, query: PageQuery, schema: DocumentSchema) -> Response:
    """Answer a page by number of a counted resource, with the exact total."""
    page = list_records(readable_db(), recorder.table, query, to_render=stored_form() is not StoredForm.JSON)
    pages = -(-page.total // query.page_size)
    members = {list_field(schema)[0]: page.records, "page": query.page, "total": page.total, "totalPages": pages}
    return respond({name: members[name] for name in member_fields(schema)}, schema)


def get_record(recorder: CountedRecorder, id_text: str) -> Response:
    """Answer one record of a counted resource."""
    name = recorder.resource.name
    stored = recorder.get(readable_db(), caller().tenant, id_of(id_text, name))
    return respond(stored, recorder.resource.document, etag=True)


def replace_record(recorder: CountedRecorder, id_text: str) -> Response:
    """Create the record of a counted resource that the URL names, or replace it by the body."""
    service, name = current_service(), recorder.resource.name
    document: dict[str, Any] = read_body().document
    url_id, schema = id_of(id_text, name), recorder.resource.document
    if document.get("id", url_id) != url_id:
        raise BadRequest("The body does not fit.", f"id: The URL says {url_id}.")
    stored, created = recorder.replace(
        service.db, caller().tenant, {**document, "id": url_id}, service.clock.now_ms(), precondition(schema)
    )
    return answer_replaced(stored, schema, created, name)


def id_of(id_text: str, name: str) -> int:
    """Return the id that a URL names. Raises BadRequest if it is no int64."""
    if not is_integer(id_text):
        raise BadRequest(f"The URL names no {name}.", "id: Not a valid integer.")
    url_id = int(id_text)
    if not INT64[0] <= url_id <= INT64[1]:
        raise BadRequest(f"The URL names no {name}.", f"id: Must be from {INT64[0]} to {INT64[1]}.")
    return url_id
