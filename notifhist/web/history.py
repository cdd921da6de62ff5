"""Part A: alarm notification history. Contract: docs/contract.md, "Alarm notification history"."""

from http import HTTPStatus

from flask import Blueprint, Response, request

from notifhist.auth import ADMIN, CREATOR, OBSERVER
from notifhist.errors import BadRequest, name_problems
from notifhist.schemas.document import Document
from notifhist.schemas.fields import parse_time_uuid
from notifhist.schemas.history import ATTEMPT, DISCOVERY, HISTORY_PAGE, ITEM, time_problems
from notifhist.schemas.item_ids import complete
from notifhist.schemas.query import AlarmPath, CheckPath
from notifhist.serializers.stored import StoredPage
from notifhist.store.history import reading as history
from notifhist.store.history import recording
from notifhist.store.history.items import ITEM_RECORDER
from notifhist.web.context import caller, read_body, readable, requires, service, url_here
from notifhist.web.params import history_query
from notifhist.web.recording import record_body
from notifhist.web.responses import no_content, respond, stored_form

blueprint = Blueprint("history", __name__)

_ALARM = "/entities/<entity_id>/alarms/<alarm_id>/notification_history"
_CHECK = f"{_ALARM}/<check_id>"
_ITEM = f"{_CHECK}/<uuid>"


@blueprint.get(_ALARM)
@requires(OBSERVER)
def list_checks(entity_id: str, alarm_id: str) -> Response:
    """Answer the checks of an alarm that have history."""
    alarm = AlarmPath(caller().tenant, entity_id, alarm_id)
    check_ids = history.list_checks(readable(), alarm, service().oldest_ms())
    return respond({"check_ids": check_ids}, DISCOVERY)


@blueprint.get(_CHECK)
@requires(OBSERVER)
def list_items(**ids: str) -> Response:
    """Answer a page of a check's items."""
    query = history_query(_check(ids), request.args, service().settings, service().clock)
    page = history.list_items(readable(), query, service().oldest_ms(), stored_form())
    metadata = {
        "count": page.count,
        "limit": query.limit,
        "marker": request.args.get("marker"),
        "next_marker": page.next_marker,
        "next_href": page.next_marker and url_here(marker=page.next_marker),
    }
    return respond({"values": page.items, "metadata": metadata}, HISTORY_PAGE)


@blueprint.get(_ITEM)
@requires(OBSERVER)
def get_item(uuid: str, **ids: str) -> Response:
    """Answer one item."""
    item = history.get_item(readable(), _check(ids), uuid, service().oldest_ms(), stored_form())
    return respond(item, ITEM, etag=True)


@blueprint.post(_CHECK)
@requires(CREATOR)
def record_items(**ids: str) -> Response:
    """Record an item, or all items of a container."""
    return record_body(ITEM_RECORDER, _check(ids), HISTORY_PAGE, _one_page)


@blueprint.put(_ITEM)
@requires(CREATOR)
def replace_item(uuid: str, **ids: str) -> Response:
    """Create an item or replace it: how one that is in progress is completed."""
    item = _item_of(read_body(ITEM).document, uuid)
    created = recording.replace_item(
        service().db, _check(ids), item, service().clock.now_ticks(), service().oldest_ms()
    )
    service().metrics.recorded("item", int(created))
    status = HTTPStatus.CREATED if created else HTTPStatus.OK
    return respond(item, ITEM, status, location=url_here() if created else None, etag=True)


@blueprint.delete(_ITEM)
@requires(ADMIN)
def delete_item(uuid: str, **ids: str) -> Response:
    """Delete an item."""
    recording.delete_item(service().db, _check(ids), uuid, service().oldest_ms())
    return no_content()


@blueprint.post(f"{_ITEM}/notification_results/<notification_id>/attempts")
@requires(CREATOR)
def add_attempt(uuid: str, notification_id: str, **ids: str) -> Response:
    """Add one attempt to a result of an item."""
    attempt = read_body(ATTEMPT).document
    item = recording.add_attempt(
        service().db, _check(ids), uuid, notification_id, attempt, service().oldest_ms()
    )
    service().metrics.recorded("attempt", 1)
    return respond(item, ITEM, HTTPStatus.CREATED, etag=True)


def _check(ids: dict[str, str]) -> CheckPath:
    return CheckPath(caller().tenant, **ids)


def _item_of(item: Document, uuid: str) -> Document:
    """Return the item of a body with the id that its URL gives it. Raises BadRequest if the two disagree."""
    try:
        item_id = str(parse_time_uuid(uuid))
    except ValueError as error:
        raise BadRequest("The URL names no item.", f"{uuid}: {error}") from None
    if item.get("id", item_id) != item_id:
        raise BadRequest("The body does not fit.", f"id: The URL says {item_id}.")
    item = item if "id" in item else {"id": item_id, **item}
    if problems := time_problems(item):
        raise BadRequest("The body does not fit.", name_problems(problems))
    return complete(item)


def _one_page(items: StoredPage, count: int) -> Document:
    """Return recorded items as a list would answer them on one page."""
    metadata = {"count": count, "limit": count, "marker": None, "next_marker": None, "next_href": None}
    return {"values": items, "metadata": metadata}
