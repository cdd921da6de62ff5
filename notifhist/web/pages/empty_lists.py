"""Why a list shows nothing: four reasons that ask for four different things."""

from dataclasses import replace
from typing import Literal, NamedTuple

from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.fields import MAX_TIMESTAMP
from notifhist.schemas.query import AlarmPath
from notifhist.serializers.stored import documents_of
from notifhist.store.database import Database
from notifhist.store.deliveries.reading import list_deliveries
from notifhist.web.pages.queries import SINCE_MS


class Empty(NamedTuple):
    """Why a list is empty. `newest_ms`: when the newest delivery at all was; `window`: a time that shows it."""

    reason: Literal["nothing recorded", "expired", "nothing then", "nothing matches"]
    newest_ms: int | None = None
    window: dict[str, int] | None = None


def why_empty(
    db: Database, query: DeliveriesQuery, is_filtered: bool, oldest_ms: int | None, of_alarm: AlarmPath | None = None
) -> Empty:
    """Return why nothing matches a query about all deliveries, or about those of an alarm."""
    unfiltered = DeliveriesQuery(query.tenant, query.from_ms, query.to_ms, limit=1, reverse=True)
    if of_alarm is not None:
        unfiltered = replace(unfiltered, entity_ids=(of_alarm.entity_id,), alarm_ids=(of_alarm.alarm_id,))
    newest_ms = _newest_ms(db, replace(unfiltered, from_ms=0, to_ms=MAX_TIMESTAMP), oldest_ms)
    if newest_ms is None:
        return Empty("nothing recorded")
    window = {"from": max(newest_ms - SINCE_MS["24h"], 0), "to": newest_ms}
    if oldest_ms is not None and query.to_ms < oldest_ms:
        return Empty("expired", newest_ms, window)
    if (is_filtered or query.marker) and _newest_ms(db, unfiltered, oldest_ms) is not None:
        return Empty("nothing matches", newest_ms, window)
    return Empty("nothing then", newest_ms, window)


def newest_at_all_ms(db: Database, tenant: str, oldest_ms: int | None) -> int | None:
    """Return when the newest delivery of a tenant was, ms since the epoch; None if there is none since `oldest_ms`."""
    return _newest_ms(db, DeliveriesQuery(tenant, 0, MAX_TIMESTAMP, limit=1, reverse=True), oldest_ms)


def _newest_ms(db: Database, query: DeliveriesQuery, oldest_ms: int | None) -> int | None:
    page = list_deliveries(db, query, oldest_ms)
    return next((int(each["timestamp"]) for each in documents_of(page.deliveries)), None)
