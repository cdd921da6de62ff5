"""Notification runs, and one of them with its objects, its re-runs and its logs."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response, request
from marshmallow import Schema

from notifhist.auth import RUNS_VIEW
from notifhist.errors import BadRequest, NotFound
from notifhist.schemas import logs as log_schemas
from notifhist.schemas.instants import parse_instant
from notifhist.schemas.query import RUNS_QUERY, LogsQuery, RunsQuery
from notifhist.schemas.runs import FAILED_REASONS, IGNORED_REASONS, MEDIUMS, NOTIFICATION_TYPES, STATUSES
from notifhist.serializers.stored import documents_of
from notifhist.store.counted.pages import RecordsPage, list_records
from notifhist.store.logs import LOG_RECORDER
from notifhist.store.runs import RUN_RECORDER
from notifhist.web.apis import PAGES
from notifhist.web.context import caller, readable_db
from notifhist.web.declarations import View
from notifhist.web.pages.links import absolute, base_path, here, path_of
from notifhist.web.pages.rendering import PAGE, page
from notifhist.web.params import page_query
from notifhist.web.recording import id_of

Json = Mapping[str, Any]
PAGE_SIZE = 50
CHOICES = {
    "statuses": STATUSES,
    "mediums": MEDIUMS,
    "notificationTypes": NOTIFICATION_TYPES,
    "failedReasons": FAILED_REASONS,
    "ignoredReasons": IGNORED_REASONS,
}
"""The filters that have a list of values."""
LOG_STATUSES = ("FAILED", "IGNORED", "READY", "DELIVERED")
"""The statuses of logs in the order of a page: what went wrong comes first."""
MOST_LOGS = 50
"""So many logs of each status are shown."""
MOST_LATER_RUNS = 1000
"""So many runs of the same type and medium are looked at for re-runs, from the first run on."""


@View(PAGES, "GET", "/runs", "Look at notification runs", RUNS_VIEW, offers=PAGE)
def show_runs() -> Response:
    """Show a page of the tenant's runs, newest first; the form with 400 if a filter does not fit."""
    problem, query = None, RunsQuery(caller().tenant, page_size=PAGE_SIZE)
    try:
        asked = page_query(RUNS_QUERY, RunsQuery, caller().tenant, request.args)
        query = RunsQuery(**{**vars(asked), "page_size": PAGE_SIZE} if "pageSize" not in request.args else vars(asked))
    except BadRequest as error:
        problem = error.details
    found = RecordsPage(NOTHING, 0) if problem else list_records(readable_db(), RUN_RECORDER.table, query)
    pages = -(-found.total // query.page_size)
    return page(
        "runs.html",
        400 if problem else 200,
        runs=list(documents_of(found.records)),
        total=found.total,
        number=query.page,
        pages=pages,
        choices=CHOICES,
        given={name: request.args.getlist(name) for name in (*CHOICES, "searchQuery", "fromDate", "untilDate")},
        problem=problem,
        next_url=here(page=query.page + 1) if query.page + 1 < pages else None,
        first_url=here(page=query.page - 1 or None) if query.page else None,
    )
