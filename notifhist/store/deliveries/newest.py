"""The newest item of each series, of those whose deliveries are not recent: its key and the code of its state.

It is kept in the transactions that change deliveries: to look for it took a page of the file for each series.
"""

from collections.abc import Iterable
from typing import Any

from notifhist.store.database import Database
from notifhist.store.database.sql import changed
from notifhist.store.deliveries.table import COLUMNS

Row = tuple[Any, ...]
"""The values of a delivery's COLUMNS."""
_TENANT, _TICKS, _SERIES, _CLOCK, _STATE = (
    COLUMNS.index(each) for each in ("tenant_id", "ticks", "series_id", "item_clock_and_node", "state")
)
_KEY = "tenant_id = :tenant_id AND series_id = :series_id"
_NOTE = """INSERT INTO series_newest (tenant_id, series_id, ticks, clock_and_node, state)
VALUES (:tenant_id, :series_id, :ticks, :clock_and_node, :state)
ON CONFLICT (tenant_id, series_id) DO UPDATE
SET ticks = excluded.ticks, clock_and_node = excluded.clock_and_node, state = excluded.state
WHERE (excluded.ticks, excluded.clock_and_node) >= (series_newest.ticks, series_newest.clock_and_node)"""
_FORGET = f"DELETE FROM series_newest WHERE {_KEY} AND ticks = :ticks AND clock_and_node = :clock_and_node"
_FIND_AGAIN = f"""INSERT INTO series_newest (tenant_id, series_id, ticks, clock_and_node, state)
SELECT tenant_id, series_id, ticks, item_clock_and_node, coalesce(state, 0) FROM {{delivery}} WHERE {_KEY}
AND ticks = (SELECT max(ticks) FROM delivery WHERE {_KEY}) ORDER BY item_clock_and_node DESC LIMIT 1"""


def note_newest(db: Database, new: Iterable[Row]) -> None:
    """Note those deliveries, of a tenant whose name is locked, that are of the newest items of their series."""
    newest: dict[tuple[int, int], tuple[int, int, int]] = {}
    for row in new:
        series, key = (row[_TENANT], row[_SERIES]), (row[_TICKS], row[_CLOCK], row[_STATE] or 0)
        newest[series] = max(newest.get(series, key), key)
    names = ("tenant_id", "series_id", "ticks", "clock_and_node", "state")
    db.execute_many(_NOTE, [dict(zip(names, (*series, *key), strict=True)) for series, key in sorted(newest.items())])


def forget_newest(db: Database, of_item: dict[str, int]) -> None:
    """If an item is the newest of its series, note the one that is it now: some of its deliveries were removed.

    `of_item`: its `tenant_id`, `series_id`, `ticks` and `clock_and_node`.
    """
    if changed(db, _FORGET, **of_item):
        values = {name: of_item[name] for name in ("tenant_id", "series_id")}
        changed(db, _FIND_AGAIN.format(delivery=db.by_index("delivery", "delivery_series_id")), **values)
