"""The alarms that have history, and one of them: its timeline and its items."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from itertools import groupby
from operator import itemgetter
from typing import Any

import orjson
from flask import Response, request

from notifhist.auth import OBSERVER
from notifhist.config import MS_PER_DAY
from notifhist.errors import NotFound
from notifhist.schemas.deliveries import OUTCOMES
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.query import AlarmPath, CheckPath
from notifhist.serializers.stored import documents_of
from notifhist.store.database import Database
from notifhist.store.deliveries import alarms
from notifhist.store.deliveries.derive import outcome_of
from notifhist.store.deliveries.reading import list_deliveries
from notifhist.store.history.reading import get_item
from notifhist.web.apis import PAGES
from notifhist.web.context import caller, current_service, readable_db
from notifhist.web.declarations import View
from notifhist.web.pages.charts import FROM_THE_GROUND, timeline
from notifhist.web.pages.delivery_rows import HELD_BACK, NOBODY, why_not_sent
from notifhist.web.pages.empty_lists import Empty, newest_at_all_ms, why_empty
from notifhist.web.pages.links import here, page_url
from notifhist.web.pages.queries import SPANS, Asked, asked
from notifhist.web.pages.recorded import Recorded, recorded
from notifhist.web.pages.rendering import PAGE, page
from notifhist.web.pages.states import rank, state_kind

PAGE_OF_ALARMS = 50
FAILURES_DAYS = 7
"""Failures are counted so many days back."""
SINCE = "7d"
"""The time that an alarm's page shows, if none is asked for."""
MOST_OF_TIMELINE = 1000
"""So many deliveries are drawn, the newest ones."""
MOST_LANES = 50
"""So many checks have a lane, those in the worst states."""
_ALARM = "/entities/<entity_id>/alarms/<alarm_id>"


@dataclass(frozen=True)
class Item:
    """A notification of an alarm, by its deliveries."""

    marker: str
    """The id of the first delivery in the order of the list."""
    deliveries: tuple[Recorded, ...]
    """By their places in the item; of a long one those that are on the page."""
    whole: dict[str, int] | None = None
    """If it may be divided between pages: how many deliveries the item has by outcome, the worst one first."""

    @property
    def first(self) -> Recorded:
        """The first delivery."""
        return self.deliveries[0]


@View(PAGES, "GET", "/alarms", "Look at the alarms", OBSERVER, offers=PAGE)
def show_alarms() -> Response:
    """Show the alarms that have history: those in the worst states first, then those that were notified last."""
    service, words = current_service(), request.args.get("q", "")
    marker, problems = _marker(request.args.get("marker"))
    db, tenant, oldest_ms = readable_db(), caller().tenant, service.oldest_ms()
    found, most_checks = alarms.list_alarms(db, tenant, oldest_ms, partial(_has_part, words.casefold()))
    ranked = sorted(found, key=_place)
    following = [] if problems else [each for each in ranked if marker is None or _place(each) >= marker]
    shown, rest = following[:PAGE_OF_ALARMS], following[PAGE_OF_ALARMS:]
    details = alarms.find_details(db, shown, service.clock.now_ms() - FAILURES_DAYS * MS_PER_DAY)
    return page(
        "alarms.html",
        HTTPStatus.BAD_REQUEST if problems else HTTPStatus.OK,
        args=request.args,
        rows=list(zip(shown, details, strict=True)),
        problems=problems,
        empty=None if shown or problems else _why_no_alarm(db, bool(words or marker), oldest_ms),
        total=len(found),
        open_number=sum(state_kind(each.state) != "fine" for each in found),
        q=words,
        first_url=here(marker=None) if marker else None,
        next_url=here(marker=".".join(map(str, _place(rest[0])))) if rest else None,
        retention_days=service.settings.retention_days,
        held_back=HELD_BACK,
        nobody=NOBODY,
        most=alarms.MAX_COUNTED,
        most_checks=most_checks,
        failures_days=FAILURES_DAYS,
    )


@View(PAGES, "GET", _ALARM, "Look at an alarm", OBSERVER, offers=PAGE, errors=(NotFound,))
def show_alarm(entity_id: str, alarm_id: str) -> Response:
    """Show the timeline of an alarm, and its items, newest first unless `reverse=false`."""
    path, wanted = AlarmPath(caller().tenant, entity_id, alarm_id), asked(request.args, SINCE)
    alarm = alarms.find_alarm(readable_db(), path, current_service().oldest_ms())
    frame: dict[str, Any] = {
        "alarm": alarm,
        "asked": wanted,
        "plain_url": page_url("entities", entity_id, "alarms", alarm_id),
        "outcomes": OUTCOMES,
        "spans": SPANS,
        "hidden": [each for each in wanted.given if each not in ("since", "from", "to", "outcome", "marker")],
        "days": current_service().settings.retention_days,
    }
    if wanted.query is None:
        return page("alarm.html", HTTPStatus.BAD_REQUEST, **frame, items=[], empty=None)
    query = replace(wanted.query, entity_ids=(entity_id,), alarm_ids=(alarm_id,))
    return page("alarm.html", **frame, **_timeline_of(alarm, query), **_items_on_page(path, query, wanted))


def _timeline_of(alarm: alarms.Alarm, query: DeliveriesQuery) -> dict[str, Any]:
    """Return what the drawing of an alarm's time shows: the newest deliveries of the checks in the worst states.

    It follows no filter: without some of the deliveries the states would be wrong.
    """
    whole = DeliveriesQuery(query.tenant, query.from_ms, query.to_ms, reverse=True, limit=MOST_OF_TIMELINE)
    drawn = replace(whole, entity_ids=query.entity_ids, alarm_ids=query.alarm_ids)
    found = list_deliveries(readable_db(), drawn, current_service().oldest_ms())
    checks = _worst_checks(alarm)
    of_checks = (each for each in documents_of(found.deliveries) if each["check_id"] in checks)
    return {
        "lanes": timeline(of_checks, query.from_ms, query.to_ms, checks),
        "more_checks": len(alarm.checks) - len(checks),
        "is_cut": found.next_marker is not None,
        "drawn": found.count,
        "to_draw": found.total,
    }


def _items_on_page(path: AlarmPath, query: DeliveriesQuery, wanted: Asked) -> dict[str, Any]:
    """Return what the list below the drawing shows, or why it is empty."""
    service, db = current_service(), readable_db()
    listed = list_deliveries(db, query, service.oldest_ms(), query.limit or service.settings.default_limit)
    deliveries = list(recorded(documents_of(listed.deliveries)))
    items, next_marker = _whole_items(list(_items_of(deliveries)), listed.next_marker)
    if items and (query.marker or (len(items) == 1 and next_marker)):
        items[0] = replace(items[0], whole=_outcomes(items[0].first, path))
    return {
        "items": items,
        "reasons": why_not_sent(deliveries),
        "empty": None if items else why_empty(db, query, bool(wanted.filters), service.oldest_ms(), path),
        "total": listed.total,
        "first_url": here(marker=None) if query.marker else None,
        "next_url": here(marker=next_marker) if next_marker else None,
        "item_link": partial(page_url, "entities", path.entity_id, "alarms", path.alarm_id),
        "span_link": lambda from_ms, to_ms: here(since=None, marker=None, from_=from_ms, to=to_ms),
    }


def _why_no_alarm(db: Database, is_filtered: bool, oldest_ms: int | None) -> Empty:
    """Return why the list of alarms is empty."""
    tenant = caller().tenant
    if is_filtered and newest_at_all_ms(db, tenant, oldest_ms) is not None:
        return Empty("nothing matches")
    newest_ms = newest_at_all_ms(db, tenant, None)
    return Empty("nothing recorded") if newest_ms is None else Empty("expired", newest_ms)


def _worst_checks(alarm: alarms.Alarm) -> dict[str, str]:
    """Return the states of the MOST_LANES checks in the worst states, by the checks' ids."""
    ranked = sorted(alarm.states.items(), key=lambda each: (rank(each[1]), each[0]))
    return dict(ranked[:MOST_LANES])


def _has_part(folded: str, alarm: AlarmPath) -> bool:
    return folded in alarm.alarm_id.casefold() or folded in alarm.entity_id.casefold()


def _place(alarm: alarms.Alarm) -> tuple[int, int, int]:
    """Return what alarms are ordered by: the kind of their state, their time, and a number of their own."""
    return rank(alarm.state), -alarm.timestamp, min(each.series_id for each in alarm.checks)


def _marker(text: str | None) -> tuple[tuple[int, ...] | None, dict[str, str]]:
    """Return the place at which a page begins, and what is wrong with the text, by the parameter."""
    if not text:
        return None, {}
    try:
        rank, timestamp, series_id = map(int, text.split("."))
    except ValueError:
        return None, {"marker": "Must be taken from a link to the next page."}
    return (rank, timestamp, series_id), {}


def _items_of(deliveries: Iterable[Recorded]) -> Iterator[Item]:
    """Yield the items of deliveries in the order in which they come."""
    for _, its in groupby(deliveries, key=itemgetter("timestamp", "check_id", "item_id")):
        listed = tuple(its)
        yield Item(listed[0]["id"], tuple(sorted(listed, key=lambda each: each["position"] or 0)))


def _whole_items(items: list[Item], next_marker: str | None) -> tuple[list[Item], str | None]:
    """Return the items of a page and the next marker; the last item goes to the next page if it may be cut."""
    if next_marker is None or len(items) == 1:
        return items, next_marker
    return items[:-1], items[-1].marker


def _outcomes(delivery: Recorded, path: AlarmPath) -> dict[str, int] | None:
    """Return the outcomes of the whole item of a delivery; None if it has just gone."""
    check = CheckPath(**vars(path), check_id=delivery["check_id"])
    try:
        item = orjson.loads(get_item(readable_db(), check, delivery["item_id"], current_service().oldest_ms()).text)
    except NotFound:
        return None
    counts = Counter(outcome_of(item, each) for each in item["notification_results"])
    return {each: counts[each] for each in FROM_THE_GROUND if counts[each]}
