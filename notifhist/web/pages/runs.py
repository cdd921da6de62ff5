"""Notification runs, and one of them with its objects, its re-runs and its logs."""

import re
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import orjson
from flask import Response, request
from werkzeug.datastructures import MultiDict

from notifhist.auth import RUNS_VIEW
from notifhist.errors import AnswerTooLong, NotFound
from notifhist.schemas.instants import parse_instant
from notifhist.schemas.query import RUNS_QUERY, LogsQuery, RunsQuery
from notifhist.schemas.runs import FAILED_REASONS, IGNORED_REASONS, MEDIUMS, NOTIFICATION_TYPES, STATUSES
from notifhist.serializers.stored import StoredForm, StoredPage, documents_of
from notifhist.store.counted.pages import RecordsPage, list_records
from notifhist.store.logs import LOG_RECORDER
from notifhist.store.runs import RUN_RECORDER
from notifhist.web.apis import PAGES
from notifhist.web.context import caller, readable_db
from notifhist.web.declarations import View
from notifhist.web.pages.empty_lists import Empty
from notifhist.web.pages.links import absolute, base_path, filled, here, path_of
from notifhist.web.pages.recorded import Recorded, recorded
from notifhist.web.pages.rendering import PAGE, page
from notifhist.web.params import page_query, problems_of
from notifhist.web.recording import id_of

Json = Mapping[str, Any]
PAGE_SIZE = 50
"""Runs on a page, if `pageSize` is not given."""
CHOICES = {
    "statuses": STATUSES,
    "mediums": MEDIUMS,
    "notificationTypes": NOTIFICATION_TYPES,
    "failedReasons": FAILED_REASONS,
    "ignoredReasons": IGNORED_REASONS,
}
"""The filters that have a list of values."""
DATES = {"fromDate": "From", "untilDate": "Until"}
TEXTS = ("searchQuery", *DATES)
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)?")
"""What a browser's picker of dates shows."""
LOG_STATUSES = ("FAILED", "IGNORED", "READY", "DELIVERED")
"""The statuses of logs in the order of a page: what went wrong comes first."""
MOST_LOGS = 50
"""So many logs of each status are shown."""
MOST_LATER_RUNS = 1000
"""So many runs of the same type and medium are looked at for re-runs, from the first run on."""
_NONE = RecordsPage(StoredPage(StoredForm.JSON, ()), 0)


@View(PAGES, "GET", "/runs", "Look at notification runs", RUNS_VIEW, offers=PAGE)
def show_runs() -> Response:
    """Show a page of the tenant's runs, newest first; the form and 400, if a filter does not fit."""
    args = filled(request.args)
    problems = problems_of(RUNS_QUERY, args)
    query, found = RunsQuery(caller().tenant), _NONE
    if not problems:
        query = replace(page_query(RUNS_QUERY, RunsQuery, caller().tenant, args), include_objects=False)
        if "pageSize" not in args:
            query = replace(query, page_size=PAGE_SIZE)
        found = list_records(readable_db(), RUN_RECORDER.table, query)
    pages = -(-found.total // query.page_size)
    runs = list(recorded(documents_of(found.records)))
    given = {name: [each for text in args.getlist(name) for each in text.split(",") if each] for name in CHOICES}
    return page(
        "runs.html",
        HTTPStatus.BAD_REQUEST if problems else HTTPStatus.OK,
        args=args,
        runs=runs,
        total=found.total,
        number=query.page,
        pages=pages,
        choices=CHOICES,
        given=given,
        texts={name: args.get(name, "") for name in TEXTS},
        dates=DATES,
        picked={name for name in DATES if _DAY.fullmatch(args.get(name, "")) and name not in problems},
        number_of_filters=sum(name in args for name in (*CHOICES, *TEXTS)),
        filters={name: args.getlist(name) for name in (*CHOICES, *TEXTS) if name in args},
        empty=None if problems or runs else _why_empty(query, args),
        problems=problems,
        first_url=here(page=query.page - 1 or None) if query.page else None,
        next_url=here(page=query.page + 1) if query.page + 1 < pages else None,
    )


def _why_empty(query: RunsQuery, args: MultiDict[str, str]) -> Empty:
    """Return why no run is on a page: runs never expire."""
    newest = _first(RunsQuery(query.tenant, include_objects=False))
    if newest is None:
        return Empty("nothing recorded")
    newest_ms = parse_instant(newest["dateCreated"])
    has_others = query.page or any(name in args for name in (*CHOICES, "searchQuery"))
    if has_others and _first(RunsQuery(query.tenant, from_ms=query.from_ms, until_ms=query.until_ms)) is not None:
        return Empty("nothing matches", newest_ms)
    return Empty("nothing then", newest_ms)


def _first(query: RunsQuery) -> Json | None:
    found = list_records(readable_db(), RUN_RECORDER.table, replace(query, page_size=1))
    return next(documents_of(found.records), None)


@View(PAGES, "GET", "/runs/<run_id>", "Look at a notification run", RUNS_VIEW, offers=PAGE, errors=(NotFound,))
def show_run(run_id: str) -> Response:
    """Show a run: its objects, the chain of its re-runs, and its logs by status."""
    number = id_of(run_id, "run")
    run = _read(number)
    groups = {status: _logs(number, status) for status in LOG_STATUSES}
    url = absolute(base_path() + path_of("api", "v1", "notifications", "logs", "run", str(number)))
    return page(
        "run.html",
        run=Recorded(run),
        objects=list(recorded(run.get("notificationObjects"))),
        chain=_chain(run),
        groups={status: (list(recorded(documents_of(found.records))), found.total) for status, found in groups.items()},
        number_of_logs=sum(found.total for found in groups.values()),
        most_logs=MOST_LOGS,
        curl=f"curl -H \"Authorization: Bearer $KEY\" '{url}'",
    )


def _read(number: int) -> Json:
    run: Json = orjson.loads(RUN_RECORDER.get(readable_db(), caller().tenant, number).text)
    return run


def _logs(number: int, status: str) -> RecordsPage:
    query = LogsQuery(caller().tenant, page_size=MOST_LOGS, notification_run_ids=(number,), statuses=(status,))
    return list_records(readable_db(), LOG_RECORDER.table, query)


def _chain(run: Json) -> list[Json] | None:
    """Return a run and its re-runs by `seqNo`, empty if there is only one; None if the texts of runs are too long.

    The first run need not be recorded; of re-runs those among the MOST_LATER_RUNS next runs are found.
    """
    first_id = run.get("originalRunId", run["id"])
    try:
        first = run if first_id == run["id"] else _read(first_id)
    except NotFound:
        first = run
    query = RunsQuery(
        caller().tenant,
        from_ms=parse_instant(first["dateCreated"]),
        page_size=MOST_LATER_RUNS,
        descending=False,
        notification_types=(run["notificationType"],),
        mediums=(run["medium"],),
        include_objects=False,
    )
    try:
        later = list(documents_of(list_records(readable_db(), RUN_RECORDER.table, query).records))
    except AnswerTooLong:
        return None
    chain = {each["id"]: each for each in later if first_id in (each["id"], each.get("originalRunId"))}
    chain |= {first["id"]: first, run["id"]: run}
    return sorted(chain.values(), key=lambda each: (each["seqNo"], each["id"])) if len(chain) > 1 else []
