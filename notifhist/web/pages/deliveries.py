"""The one list: what was sent to whom, with its filters, and the same as a file."""

from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from flask import Response, request

from notifhist.auth import OBSERVER
from notifhist.errors import BadRequest, name_problems
from notifhist.schemas.deliveries import OUTCOMES
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.serializers.formats import CSV, NDJSON, Formats
from notifhist.serializers.stored import documents_of
from notifhist.store.deliveries.reading import list_deliveries
from notifhist.web.apis import PAGES
from notifhist.web.context import current_service, readable_db
from notifhist.web.declarations import View
from notifhist.web.deliveries import deliveries_file
from notifhist.web.pages.delivery_rows import rows_of
from notifhist.web.pages.empty_lists import why_empty
from notifhist.web.pages.links import absolute, page_url, see_other
from notifhist.web.pages.queries import PER_PAGE, SPANS, Asked, asked, is_tidy
from notifhist.web.pages.rendering import PAGE, page

_PATH = "deliveries"
_MAY_BEAR = ("Content-Disposition",)


class Pages(NamedTuple):
    """The parameters of the pages beside a page; None: there is none."""

    newer: dict[str, object] | None
    older: dict[str, object] | None


@View(PAGES, "GET", f"/{_PATH}", "Look at deliveries", OBSERVER, offers=PAGE)
def show_deliveries() -> Response:
    """Show a page of deliveries; what a form sent is tidied first, so that every URL is short enough to be sent on."""
    wanted = asked(request.args)
    if not is_tidy(request.args):
        return see_other(page_url(_PATH, **wanted.link(marker=wanted.given.get("marker"))))
    frame: dict[str, Any] = {
        "asked": wanted,
        "link": partial(_url, wanted),
        "outcomes": OUTCOMES,
        "days": current_service().settings.retention_days,
        "since": SPANS,
        "per_page": PER_PAGE,
        "default_limit": current_service().settings.default_limit,
    }
    if wanted.query is None:
        return page("deliveries.html", HTTPStatus.BAD_REQUEST, **frame, rows=[], total=None, empty=None, pages=None)
    query, service = wanted.query, current_service()
    limit = query.limit or service.settings.default_limit
    db, oldest_ms = readable_db(), service.oldest_ms()
    found = list_deliveries(db, query, oldest_ms, limit)
    rows = rows_of(found.deliveries)
    older = wanted.link(marker=found.next_marker) if found.next_marker else None
    newer = _newer(wanted, query, rows[0].id, limit) if rows and query.marker else None
    return page(
        "deliveries.html",
        **frame,
        rows=rows,
        total=found.total,
        pages=Pages(newer, older),
        empty=None if rows else why_empty(db, query, bool(wanted.filters), oldest_ms),
        same_rows=absolute(page_url(_PATH, **wanted.absolute())),
    )


@View(PAGES, "GET", f"/{_PATH}.csv", "Take deliveries away", OBSERVER, offers=Formats(CSV), may_bear=_MAY_BEAR)
def take_deliveries_as_csv() -> Response:
    """Stream all deliveries of the same query as the page's."""
    return _file()


@View(PAGES, "GET", f"/{_PATH}.ndjson", "Take deliveries away", OBSERVER, offers=Formats(NDJSON), may_bear=_MAY_BEAR)
def take_deliveries_as_ndjson() -> Response:
    """Stream all deliveries of the same query as the page's."""
    return _file()


def _file() -> Response:
    wanted = asked(request.args)
    if wanted.query is None:
        raise BadRequest(details=name_problems(wanted.problems))
    return deliveries_file(wanted.query, wanted.others)


def _url(wanted: Asked, path: str = _PATH, **changed: object) -> str:
    """Return the URL of this list, or of a file of it, with other parameters."""
    return page_url(path, **wanted.link(**changed))


def _newer(wanted: Asked, query: DeliveriesQuery, first_id: str, limit: int) -> dict[str, object] | None:
    """Return the parameters of the page that ends where this one, whose first id is given, begins; None for the first.

    It is read in the other order, from this page's first delivery on. The first page has no marker.
    """
    back = replace(query, marker=first_id, reverse=not query.reverse, limit=limit + 1)
    before = list_deliveries(readable_db(), back, current_service().oldest_ms())
    if before.count <= 1:
        return None
    return wanted.link(marker=[*documents_of(before.deliveries)][-1]["id"] if before.next_marker else None)
