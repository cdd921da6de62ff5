"""The history API: alarm notification history. Contract: docs/contract.md, "Alarm notification history"."""

from http import HTTPStatus

from flask import Response, request

from notifhist.auth import ADMIN, CREATOR, OBSERVER
from notifhist.errors import BadRequest, NotFound, PreconditionFailed, name_problems
from notifhist.schemas.document import Document
from notifhist.schemas.fields import time_uuid
from notifhist.schemas.history import ATTEMPT, DISCOVERY, HISTORY_CONTAINER, HISTORY_PAGE, ITEM, time_problems
from notifhist.schemas.item_ids import complete_item
from notifhist.schemas.query import HISTORY_QUERY, AlarmPath, CheckPath
from notifhist.serializers.bodies import ExpectedBody
from notifhist.store.history import reading, recording
from notifhist.store.history.items import ITEM_RECORDER
from notifhist.web.apis import HISTORY
from notifhist.web.conditions import precondition
from notifhist.web.context import caller, current_service, read_body, readable_db
from notifhist.web.declarations import READ, RECORDED, REPLACED, View
from notifhist.web.params import history_query
from notifhist.web.recording import answer_replaced, count_new_deliveries, record_body
from notifhist.web.responses import no_content, note_expired, page_metadata, respond, stored_form

_ALARM = "/entities/<entity_id>/alarms/<alarm_id>/notification_history"
_CHECK = f"{_ALARM}/<check_id>"
_ITEM = f"{_CHECK}/<uuid>"
_ATTEMPTS = f"{_ITEM}/notification_results/<notification_id>/attempts"


@View(HISTORY, "GET", _ALARM, "List the checks of an alarm that have history", OBSERVER, (DISCOVERY,))
def list_checks(entity_id: str, alarm_id: str) -> Response:
    """Answer the checks of an alarm that have history."""
    alarm = AlarmPath(caller().tenant, entity_id, alarm_id)
    check_ids = reading.list_checks(readable_db(), alarm, current_service().oldest_ms())
    return respond({"check_ids": check_ids}, DISCOVERY)


@View(HISTORY, "GET", _CHECK, "List the items of a check", OBSERVER, (HISTORY_PAGE,), query=HISTORY_QUERY)
def list_items(**ids: str) -> Response:
    """Answer a page of a check's items."""
    service = current_service()
    query = history_query(_check(ids), request.args, service.settings, service.clock)
    page = reading.list_items(readable_db(), query, service.oldest_ms(), stored_form())
    metadata = page_metadata(page.count, query.limit, request.args.get("marker"), page.next_marker)
    return respond({"values": page.documents, "metadata": metadata}, HISTORY_PAGE)


@View(HISTORY, "GET", _ITEM, "Read an item", OBSERVER, (ITEM,), READ, errors=(NotFound,))
def get_item(uuid: str, **ids: str) -> Response:
    """Answer one item."""
    item = reading.get_item(readable_db(), _check(ids), uuid, current_service().oldest_ms(), stored_form())
    return respond(item, ITEM, etag=True)


@View(
    *(HISTORY, "POST", _CHECK, "Record an item, or all items of a container", CREATOR),
    documents=(ITEM, HISTORY_PAGE),
    answers=RECORDED,
    body=ExpectedBody(ITEM, HISTORY_CONTAINER),
    may_bear=("X-Notifhist-Note",),
    links=("get_item", "delete_item"),
)
def record_items(**ids: str) -> Response:
    """Record an item, or all items of a container."""
    return record_body(
        *(ITEM_RECORDER, _check(ids), HISTORY_PAGE),
        lambda items, n: {"values": items, "metadata": page_metadata(n, n)},
        count_new_deliveries,
    )


@View(
    *(HISTORY, "PUT", _ITEM, "Create an item or replace it", CREATOR),
    description="An item that is in progress is completed this way.",
    documents=(ITEM,),
    answers=REPLACED,
    body=ExpectedBody(ITEM),
    may_bear=("X-Notifhist-Note",),
    errors=(PreconditionFailed,),
    links=("get_item", "delete_item"),
)
def replace_item(uuid: str, **ids: str) -> Response:
    """Create an item or replace it."""
    service, item = current_service(), _item_of(read_body().document, uuid)
    now_ticks, oldest_ms = service.clock.now_ticks(), service.oldest_ms()
    created = recording.replace_item(service.db, _check(ids), item, now_ticks, oldest_ms, precondition(ITEM))
    if created:
        count_new_deliveries(item)
    has_expired = oldest_ms is not None and item["timestamp"] < oldest_ms
    return note_expired(answer_replaced(item, ITEM, created, "item"), has_expired)


@View(
    *(HISTORY, "DELETE", _ITEM, "Delete an item", ADMIN),
    answers={204: ()},
    errors=(NotFound, PreconditionFailed),
    links=("get_item",),
)
def delete_item(uuid: str, **ids: str) -> Response:
    """Delete an item."""
    service = current_service()
    recording.delete_item(service.db, _check(ids), uuid, service.oldest_ms(), precondition(ITEM))
    return no_content()


@View(
    *(HISTORY, "POST", _ATTEMPTS, "Add an attempt to a notification result of an item", CREATOR),
    documents=(ITEM,),
    answers={201: ("ETag",)},
    body=ExpectedBody(ATTEMPT),
    errors=(NotFound, PreconditionFailed),
    links=("get_item",),
)
def add_attempt(uuid: str, notification_id: str, **ids: str) -> Response:
    """Add one attempt to a result of an item."""
    service, attempt = current_service(), read_body().document
    check, oldest_ms = _check(ids), service.oldest_ms()
    item = recording.add_attempt(service.db, check, uuid, notification_id, attempt, oldest_ms, precondition(ITEM))
    service.metrics.recorded("attempt", 1)
    return respond(item, ITEM, HTTPStatus.CREATED, etag=True)


def _check(ids: dict[str, str]) -> CheckPath:
    return CheckPath(caller().tenant, **ids)


def _item_of(item: Document, uuid: str) -> Document:
    """Return the item of a body with the id that its URL gives it. Raises BadRequest if the two disagree."""
    try:
        item_id = time_uuid(uuid)
    except ValueError as error:
        raise BadRequest("The URL names no item.", f"{uuid}: {error}") from None
    if item.get("id", item_id) != item_id:
        raise BadRequest("The body does not fit.", f"id: The URL says {item_id}.")
    item = item if "id" in item else {"id": item_id, **item}
    if problems := time_problems(item):
        raise BadRequest("The body does not fit.", name_problems(problems))
    return complete_item(item)
