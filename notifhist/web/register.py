"""What has history: the tenant's entities, their alarms and checks. Contract: docs/contract.md, "What has history"."""

from collections.abc import Iterable

from flask import Response, request

from notifhist.auth import CREATOR, OBSERVER
from notifhist.errors import NotFound
from notifhist.schemas.document import Document, DocumentSchema
from notifhist.schemas.query import REGISTER_QUERY, AlarmPath, EntityPath, RegisterQuery, Tenant
from notifhist.schemas.register import ALARM, ALARM_PAGE, CHECK, CHECK_PAGE, ENTITY, ENTITY_PAGE, check_of, entity_of
from notifhist.store.history import register
from notifhist.web.apis import HISTORY
from notifhist.web.context import caller, current_service, readable_db
from notifhist.web.declarations import LIST, READ, View
from notifhist.web.params import register_query
from notifhist.web.responses import page_metadata, respond

_ENTITIES = "/entities"
_ENTITY = f"{_ENTITIES}/<entity_id>"
_ALARMS = f"{_ENTITY}/alarms"
_ALARM = f"{_ALARMS}/<alarm_id>"
_CHECKS = f"{_ENTITY}/checks"
_CHECK = f"{_CHECKS}/<check_id>"


@View(HISTORY, "GET", _ENTITIES, "List the entities that have history", OBSERVER, (ENTITY_PAGE,), query=REGISTER_QUERY)
def list_entities() -> Response:
    """Answer a page of the tenant's entities."""
    query = query_of(Tenant(caller().tenant))
    page = register.list_entities(readable_db(), query, current_service().oldest_ms())
    return respond_page(map(entity_of, page.values), page.next_marker, query, ENTITY_PAGE)


@View(HISTORY, "GET", _ENTITY, "Read an entity that has history", OBSERVER, (ENTITY,), READ, errors=(NotFound,))
def get_entity(entity_id: str) -> Response:
    """Answer one entity."""
    register.find_entity(readable_db(), EntityPath(caller().tenant, entity_id), current_service().oldest_ms())
    return respond(entity_of(entity_id), ENTITY, etag=True)


@View(
    *(HISTORY, "GET", _ALARMS, "List the alarms of an entity that have history", OBSERVER, (ALARM_PAGE,), LIST),
    query=REGISTER_QUERY,
    errors=(NotFound,),
)
def list_alarms(entity_id: str) -> Response:
    """Answer a page of an entity's alarms."""
    entity = EntityPath(caller().tenant, entity_id)
    query = query_of(entity)
    page = register.list_alarms(readable_db(), entity, query, current_service().oldest_ms())
    return respond_page(page.values, page.next_marker, query, ALARM_PAGE)


@View(HISTORY, "GET", _ALARM, "Read an alarm that has history", OBSERVER, (ALARM,), READ, errors=(NotFound,))
def get_alarm(entity_id: str, alarm_id: str) -> Response:
    """Answer one alarm."""
    path = AlarmPath(caller().tenant, entity_id, alarm_id)
    alarm = register.find_alarm(readable_db(), path, current_service().oldest_ms())
    return respond(alarm, ALARM, etag=True)


@View(
    *(HISTORY, "GET", _CHECKS, "List the checks of an entity that have history", CREATOR, (CHECK_PAGE,), LIST),
    query=REGISTER_QUERY,
    errors=(NotFound,),
)
def list_entity_checks(entity_id: str) -> Response:
    """Answer a page of an entity's checks."""
    entity = EntityPath(caller().tenant, entity_id)
    query = query_of(entity)
    page = register.list_checks(readable_db(), entity, query, current_service().oldest_ms())
    return respond_page(map(check_of, page.values), page.next_marker, query, CHECK_PAGE)


@View(HISTORY, "GET", _CHECK, "Read a check that has history", CREATOR, (CHECK,), READ, errors=(NotFound,))
def get_check(entity_id: str, check_id: str) -> Response:
    """Answer one check."""
    entity = EntityPath(caller().tenant, entity_id)
    register.find_check(readable_db(), entity, check_id, current_service().oldest_ms())
    return respond(check_of(check_id), CHECK, etag=True)


def query_of(owner: Tenant) -> RegisterQuery:
    """Return the query of the request; see `register_query`."""
    return register_query(owner, request.args, current_service().settings)


def respond_page(
    values: Iterable[Document], next_marker: str | None, query: RegisterQuery, schema: DocumentSchema
) -> Response:
    """Return a page by id."""
    page = list(values)
    metadata = page_metadata(len(page), query.limit, query.marker, next_marker)
    return respond({"values": page, "metadata": metadata}, schema)
