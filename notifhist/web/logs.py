"""The logs of the runs API: what was sent to whom. Contract: docs/contract.md, "Notification logs"."""

from flask import Response, request

from notifhist.auth import RUNS_EDIT, RUNS_VIEW
from notifhist.errors import LogConflict, NotFound, PreconditionFailed
from notifhist.schemas.logs import LOG, LOGS_CONTAINER, LOGS_PAGE
from notifhist.schemas.query import LOGS_QUERY, LogsQuery, Tenant
from notifhist.serializers.bodies import ExpectedBody
from notifhist.store.logs import LOG_RECORDER
from notifhist.web.apis import RUNS
from notifhist.web.context import caller
from notifhist.web.declarations import READ, RECORDED, REPLACED, View
from notifhist.web.params import page_query
from notifhist.web.recording import get_record, list_page, record_body, replace_record

_LOGS = ""
_LOG = "/<log_id>"


@View(RUNS, "GET", _LOGS, "List the logs of the tenant", RUNS_VIEW, (LOGS_PAGE,), query=LOGS_QUERY)
def list_logs() -> Response:
    """Answer a page of the tenant's logs."""
    return list_page(LOG_RECORDER, page_query(LOGS_QUERY, LogsQuery, caller().tenant, request.args), LOGS_PAGE)


@View(RUNS, "GET", _LOG, "Read a log", RUNS_VIEW, (LOG,), READ, errors=(NotFound,))
def get_log(log_id: str) -> Response:
    """Answer one log."""
    return get_record(LOG_RECORDER, log_id)


@View(
    *(RUNS, "POST", _LOGS, "Record a log, or all of `logs`", RUNS_EDIT),
    documents=(LOG, LOGS_CONTAINER),
    answers=RECORDED,
    body=ExpectedBody(LOG, LOGS_CONTAINER),
    errors=(LogConflict,),
    links=("get_log",),
)
def record_logs() -> Response:
    """Record a log, or all of `logs`."""
    return record_body(LOG_RECORDER, Tenant(caller().tenant), LOGS_CONTAINER, lambda logs, _: {"logs": logs})


@View(
    *(RUNS, "PUT", _LOG, "Create a log or replace it", RUNS_EDIT),
    documents=(LOG,),
    answers=REPLACED,
    body=ExpectedBody(LOG),
    errors=(PreconditionFailed,),
    links=("get_log",),
)
def replace_log(log_id: str) -> Response:
    """Create a log or replace it."""
    return replace_record(LOG_RECORDER, log_id)
