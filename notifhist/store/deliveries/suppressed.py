"""Which deliveries were held back on purpose: those of suppressed items. The documents of deliveries do not say it."""

from collections.abc import Collection
from dataclasses import replace

from notifhist.schemas.deliveries import NOT_SENT
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.item_ids import key_of
from notifhist.store.database import Database
from notifhist.store.database.sql import rows, rows_of_each
from notifhist.store.deliveries.reading import range_of
from notifhist.store.deliveries.recording import known_tenant
from notifhist.store.deliveries.selection import MAIN, RECENT, Selection
from notifhist.store.deliveries.table import OUTCOME

_PARAM = {"n": "integer", "ticks": "bigint", "clock_and_node": "bigint"}
_POSITION, _POSITION_WITHIN = '"position":', 2000
"""What the document of a result has, within so many characters; before it are four ids, which end sooner."""


def find_suppressed(db: Database, tenant: str, ids: Collection[str]) -> set[str]:
    """Return those of the ids that are the first delivery of a suppressed item, by one query."""
    if not ids or (tenant_id := known_tenant(db, tenant)) is None:
        return set()
    numbered = dict(enumerate(ids))
    keys = [(n, *key_of(each)) for n, each in numbered.items()]
    sources = (db.by_index(MAIN, f"{MAIN}_time"), RECENT)
    text = " UNION ALL ".join(
        f"""SELECT n FROM {{param}} CROSS JOIN {source} WHERE tenant_id = :tenant_id
        AND {table}.ticks = param.ticks AND {table}.clock_and_node = param.clock_and_node AND is_suppressed = 1"""
        for table, source in zip((MAIN, RECENT), sources, strict=True)
    )
    return {numbered[n] for (n,) in rows_of_each(db, text, _PARAM, keys, tenant_id=tenant_id)}


def count_nobody(db: Database, query: DeliveriesQuery, oldest_ms: int | None) -> int:
    """Return of how many deliveries in the time of a query no receiver is recorded, and nothing held them back.

    The others that were not sent were held back. Each delivery that was not sent is looked at.
    """
    within = range_of(query, oldest_ms)
    selection = Selection(db, replace(query, outcomes=(NOT_SENT,)))
    # Only the first delivery of a suppressed item is marked, so its others are told by their place among the results.
    is_result = db.contains(f"substr(document, 1, {_POSITION_WITHIN})", ":position")
    text = " UNION ALL ".join(
        f"""SELECT count(*) AS found FROM {selection.source(table, OUTCOME.column)} AND is_suppressed = 0
        AND receiver IS NULL AND NOT ({is_result}) AND ticks >= :low AND ticks < :high"""
        for table in (MAIN, RECENT)
    )
    limits = {"low": within.begin * TICKS_PER_MS, "high": within.end * TICKS_PER_MS}
    return sum(count for (count,) in rows(db, text, position=_POSITION, **limits, **selection.values))
