"""The latest states of all checks of a tenant. Contract: docs/contract.md, "Latest alarm states"."""

from flask import Response

from notifhist.auth import OBSERVER
from notifhist.schemas.query import REGISTER_QUERY, Tenant
from notifhist.schemas.states import STATES_PAGE
from notifhist.store.history.states import list_states
from notifhist.web.apis import HISTORY
from notifhist.web.context import caller, current_service, readable_db
from notifhist.web.declarations import View
from notifhist.web.register import query_of, respond_page

_STATES = "/views/latest_alarm_states"


@View(
    *(HISTORY, "GET", _STATES, "List the latest state of each check, by entity", OBSERVER, (STATES_PAGE,)),
    query=REGISTER_QUERY,
)
def latest_alarm_states() -> Response:
    """Answer a page of entities, each with the latest states of its checks."""
    query = query_of(Tenant(caller().tenant))
    page = list_states(readable_db(), query, current_service().oldest_ms())
    return respond_page(page.values, page.next_marker, query, STATES_PAGE)
