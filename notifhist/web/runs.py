"""The runs API: notification runs. Contract: docs/contract.md, "Notification runs"."""

from http import HTTPStatus
from typing import Any

from flask import Response, request

from notifhist.auth import RUNS_EDIT, RUNS_VIEW
from notifhist.errors import BadRequest, NotFound, RunConflict
from notifhist.schemas.fields import INT64, parse_integer
from notifhist.schemas.query import RUNS_QUERY
from notifhist.schemas.runs import RUN, RUNS_CONTAINER, RUNS_PAGE
from notifhist.serializers.bodies import ExpectedBody
from notifhist.store.runs import recording
from notifhist.web.apis import RUNS
from notifhist.web.context import caller, current_service, read_body, readable_db, url_here
from notifhist.web.declarations import READ, RECORDED, REPLACED, View
from notifhist.web.params import runs_query
from notifhist.web.responses import respond

_RUN = "/<run_id>"


@View(RUNS, "GET", "", "List the runs of the tenant", RUNS_VIEW, (RUNS_PAGE,), query=RUNS_QUERY)
def list_runs() -> Response:
    """Answer a page of the tenant's runs."""
    query = runs_query(caller().tenant, request.args)
    page = recording.list_runs(readable_db(), query)
    document = {
        "page": query.page,
        "runs": page.runs,
        "total": page.total,
        "totalPages": -(-page.total // query.page_size),
    }
    return respond(document, RUNS_PAGE)


@View(RUNS, "GET", _RUN, "Read a run and its objects", RUNS_VIEW, (RUN,), READ, errors=(NotFound,))
def get_run(run_id: str) -> Response:
    """Answer one run, its objects included."""
    run = recording.get_run(readable_db(), caller().tenant, _number(run_id))
    return respond(run, RUN, etag=True)


@View(
    *(RUNS, "POST", "", "Record a run, or all of `runs`", RUNS_EDIT),
    documents=(RUN, RUNS_CONTAINER),
    answers=RECORDED,
    body=ExpectedBody(RUN, RUNS_CONTAINER),
    errors=(RunConflict,),
    links=("get_run",),
)
def record_runs() -> Response:
    """Record a run, or all of `runs`; 200 where all of them were there already."""
    body, service = read_body(), current_service()
    runs = body.document["runs"] if body.is_container else [body.document]
    recorded, created = recording.record_runs(service.db, caller().tenant, runs, service.clock.now_ms())
    service.metrics.recorded("run", created)
    status = HTTPStatus.OK if runs and not created else HTTPStatus.CREATED
    if not body.is_container:
        run = recorded[0]
        return respond(run, RUN, status, location=url_here(str(run["id"])), etag=True)
    return respond({"runs": recorded}, RUNS_CONTAINER, status, location=url_here())


@View(
    *(RUNS, "PUT", _RUN, "Create a run or replace it", RUNS_EDIT),
    documents=(RUN,),
    answers=REPLACED,
    body=ExpectedBody(RUN),
    links=("get_run",),
)
def replace_run(run_id: str) -> Response:
    """Create a run or replace it."""
    service, run = current_service(), _run_of(read_body().document, _number(run_id))
    document, created = recording.replace_run(service.db, caller().tenant, run, service.clock.now_ms())
    service.metrics.recorded("run", int(created))
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
