"""Part B: notification runs. Contract: docs/contract.md, "Notification runs"."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, request

from notifhist.auth import RUNS_EDIT, RUNS_VIEW
from notifhist.errors import BadRequest
from notifhist.schemas.fields import INT64, parse_integer
from notifhist.schemas.query import Tenant
from notifhist.schemas.runs import RUN, RUNS_CONTAINER, RUNS_PAGE
from notifhist.store.counted.pages import list_records
from notifhist.store.runs import RUN_RECORDER, TABLE
from notifhist.web.context import caller, read_body, readable, requires, service, url_here
from notifhist.web.params import runs_query
from notifhist.web.recording import record_body
from notifhist.web.responses import respond

blueprint = Blueprint("runs", __name__, url_prefix="/api/v1/notifications/logs/run")


@blueprint.get("")
@requires(RUNS_VIEW)
def list_runs() -> Response:
    """Answer a page of the tenant's runs."""
    query = runs_query(caller().tenant, request.args)
    page = list_records(readable(), TABLE, query)
    document = {
        "page": query.page,
        "runs": page.records,
        "total": page.total,
        "totalPages": -(-page.total // query.page_size),
    }
    return respond(document, RUNS_PAGE)


@blueprint.get("/<run_id>")
@requires(RUNS_VIEW)
def get_run(run_id: str) -> Response:
    """Answer one run, its objects included."""
    run = RUN_RECORDER.get(readable(), caller().tenant, _number(run_id))
    return respond(run, RUN, etag=True)


@blueprint.post("")
@requires(RUNS_EDIT)
def record_runs() -> Response:
    """Record a run, or all of `runs`."""
    return record_body(RUN_RECORDER, Tenant(caller().tenant), RUNS_CONTAINER, lambda runs, _: {"runs": runs})


@blueprint.put("/<run_id>")
@requires(RUNS_EDIT)
def replace_run(run_id: str) -> Response:
    """Create a run or replace it."""
    run = _run_of(read_body(RUN).document, _number(run_id))
    document, created = RUN_RECORDER.replace(service().db, caller().tenant, run, service().clock.now_ms())
    service().metrics.recorded("run", int(created))
    status = HTTPStatus.CREATED if created else HTTPStatus.OK
    return respond(document, RUN, status, location=url_here() if created else None, etag=True)


def _number(run_id: str) -> int:
    """Return the id that a URL names. Raises BadRequest for what is no int64."""
    try:
        number = parse_integer(run_id)
    except ValueError as error:
        raise BadRequest("The URL names no run.", f"id: {error}") from None
    if not INT64[0] <= number <= INT64[1]:
        raise BadRequest("The URL names no run.", f"id: Must be from {INT64[0]} to {INT64[1]}.")
    return number


def _run_of(run: dict[str, Any], run_id: int) -> dict[str, Any]:
    """Return the run of a body with the id of its URL. Raises BadRequest if the two differ."""
    if run.get("id", run_id) != run_id:
        raise BadRequest("The body does not fit.", f"id: The URL says {run_id}.")
    return {**run, "id": run_id}
