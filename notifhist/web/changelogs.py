"""The history API: the changes and the suppressions of all alarms. Contract: docs/contract.md, "Changelogs"."""

from collections.abc import Callable

from flask import Response, request
from marshmallow import Schema

from notifhist.auth import OBSERVER
from notifhist.schemas.changelogs import CHANGELOGS_PAGE, SUPPRESSION_LOGS_PAGE
from notifhist.schemas.document import DocumentSchema
from notifhist.schemas.query import CHANGELOGS_QUERY, HISTORY_QUERY, ItemLogsQuery
from notifhist.store.database import Database
from notifhist.store.deliveries import logs
from notifhist.store.time_ranges import SeriesPage
from notifhist.web.apis import HISTORY
from notifhist.web.context import caller, current_service, readable_db
from notifhist.web.declarations import View
from notifhist.web.params import item_logs_query
from notifhist.web.responses import page_metadata, respond


@View(
    *(HISTORY, "GET", "/changelogs/alarms", "List the changes of the alarms' states", OBSERVER, (CHANGELOGS_PAGE,)),
    query=CHANGELOGS_QUERY,
)
def list_changelogs() -> Response:
    """Answer a page of the changes of all alarms, or of an entity's alarms."""
    return _page(logs.list_changes, CHANGELOGS_QUERY, CHANGELOGS_PAGE)


@View(
    *(HISTORY, "GET", "/suppression_logs", "List the suppressed notifications", OBSERVER, (SUPPRESSION_LOGS_PAGE,)),
    query=HISTORY_QUERY,
)
def list_suppression_logs() -> Response:
    """Answer a page of the suppressed notifications of all alarms."""
    return _page(logs.list_suppressions, HISTORY_QUERY, SUPPRESSION_LOGS_PAGE)


def _page(
    list_logs: Callable[[Database, ItemLogsQuery, int | None], SeriesPage], asked: Schema, answered: DocumentSchema
) -> Response:
    service = current_service()
    query = item_logs_query(asked, caller().tenant, request.args, service.settings, service.clock)
    page = list_logs(readable_db(), query, service.oldest_ms())
    metadata = page_metadata(page.count, query.limit, request.args.get("marker"), page.next_marker)
    return respond({"values": page.documents, "metadata": metadata}, answered)
