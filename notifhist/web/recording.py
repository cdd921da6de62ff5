"""Recording what a request's body holds: one document of a resource, or a container of many."""

from collections.abc import Callable
from http import HTTPStatus

from flask import Response

from notifhist.schemas.document import Document, DocumentSchema
from notifhist.schemas.query import Tenant
from notifhist.serializers.parsed import list_field
from notifhist.serializers.stored import StoredDocument, StoredForm, StoredPage, encoded
from notifhist.store.recording import Recorder, record
from notifhist.web.context import read_body, service, url_here
from notifhist.web.responses import respond


def record_body(
    recorder: Recorder,
    owner: Tenant,
    page_schema: DocumentSchema,
    page_of: Callable[[StoredPage, int], Document],
) -> Response:
    """Record the body's documents, all or none, and answer them as they are stored.

    `page_of` makes the answer to a container, of `page_schema`, from its documents and their number.
    """
    resource, context = recorder.resource, service()
    body = read_body(resource.document, resource.container)
    documents = body.document[list_field(resource.container)[0]] if body.is_container else [body.document]
    now_ticks = context.clock.now_ticks()
    drafts = [recorder.draft(owner, document, now_ticks, n) for n, document in enumerate(documents)]
    recorded = record(context.db, drafts, now_ticks, context.oldest_ms())
    context.metrics.recorded(resource.name, recorded.created)
    status = HTTPStatus.OK if drafts and not recorded.created else HTTPStatus.CREATED
    stored = [encoded(document) for document in recorded.documents]
    if not body.is_container:
        item = StoredDocument(StoredForm.JSON, stored[0])
        return respond(item, resource.document, status, location=url_here(drafts[0].name), etag=True)
    page = page_of(StoredPage(StoredForm.JSON, stored), len(stored))
    return respond(page, page_schema, status, location=url_here())
