"""The runs API: notification runs. Contract: docs/contract.md, "Notification runs"."""

from flask import Response, request

from notifhist.auth import RUNS_EDIT, RUNS_VIEW
from notifhist.errors import NotFound, PreconditionFailed, RunConflict
from notifhist.schemas.query import RUNS_QUERY, RunsQuery, Tenant
from notifhist.schemas.runs import RUN, RUNS_CONTAINER, RUNS_PAGE
from notifhist.serializers.bodies import ExpectedBody
from notifhist.store.runs import RUN_RECORDER
from notifhist.web.apis import RUNS
from notifhist.web.context import caller
from notifhist.web.declarations import READ, RECORDED, REPLACED, View
from notifhist.web.params import page_query
from notifhist.web.recording import get_record, list_page, record_body, replace_record

_RUNS = "/run"
_RUN = f"{_RUNS}/<run_id>"


@View(RUNS, "GET", _RUNS, "List the runs of the tenant", RUNS_VIEW, (RUNS_PAGE,), query=RUNS_QUERY)
def list_runs() -> Response:
    """Answer a page of the tenant's runs."""
    return list_page(RUN_RECORDER, page_query(RUNS_QUERY, RunsQuery, caller().tenant, request.args), RUNS_PAGE)


@View(RUNS, "GET", _RUN, "Read a run and its objects", RUNS_VIEW, (RUN,), READ, errors=(NotFound,))
def get_run(run_id: str) -> Response:
    """Answer one run, its objects included."""
    return get_record(RUN_RECORDER, run_id)


@View(
    *(RUNS, "POST", _RUNS, "Record a run, or all of `runs`", RUNS_EDIT),
    documents=(RUN, RUNS_CONTAINER),
    answers=RECORDED,
    body=ExpectedBody(RUN, RUNS_CONTAINER),
    errors=(RunConflict,),
    links=("get_run",),
)
def record_runs() -> Response:
    """Record a run, or all of `runs`."""
    return record_body(RUN_RECORDER, Tenant(caller().tenant), RUNS_CONTAINER, lambda runs, _: {"runs": runs})


@View(
    *(RUNS, "PUT", _RUN, "Create a run or replace it", RUNS_EDIT),
    documents=(RUN,),
    answers=REPLACED,
    body=ExpectedBody(RUN),
    errors=(PreconditionFailed,),
    links=("get_run",),
)
def replace_run(run_id: str) -> Response:
    """Create a run or replace it."""
    return replace_record(RUN_RECORDER, run_id)
