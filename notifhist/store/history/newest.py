"""The newest item of each of several checks."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import orjson

from notifhist.schemas.document import Document
from notifhist.schemas.item_ids import ItemKey
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from notifhist.store.database.sql import first
from notifhist.store.history.items import find_documents
from notifhist.store.history.series import SERIES_ID, check_values, find_series
from notifhist.store.time_ranges import low_ticks

_SERIES = {"series_id": "bigint"}
_NEWEST = """SELECT series_id, (SELECT ticks || ' ' || clock_and_node FROM history_item
    WHERE history_item.series_id = param.series_id AND ticks >= :low
    ORDER BY ticks DESC, clock_and_node DESC LIMIT 1) FROM {param}"""
_NEWEST_OF_CHECK = f"""SELECT ticks, clock_and_node, {{document}} FROM history_item WHERE series_id = {SERIES_ID}
ORDER BY ticks DESC, clock_and_node DESC LIMIT 1"""


class Newest(NamedTuple):
    """An item, and its place in its series."""

    key: ItemKey
    item: Document


def newest_keys(db: Database, series_ids: Iterable[int], low: int) -> dict[int, ItemKey]:
    """Return the key of the newest item of each series that has one since a tick, by the series' id."""
    found = db.for_each(_NEWEST, _SERIES, [(series_id,) for series_id in series_ids], low=low)
    return {series_id: ItemKey(*map(int, key.split())) for series_id, key in found if key is not None}


def newest_of_checks(db: Database, checks: Collection[CheckPath]) -> dict[CheckPath, Newest]:
    """Return the newest item of each check that has one, expired or not: a seek of an index for each."""
    if len(checks) == 1:
        (check,) = checks
        newest = _newest_item(db, check)
        return {check: newest} if newest else {}
    series = find_series(db, checks) if checks else {}
    if not series:
        return {}
    keys = newest_keys(db, series.values(), low_ticks(None))
    documents = find_documents(db, [(series_id, *key) for series_id, key in keys.items()])
    return {
        check: Newest(keys[series_id], orjson.loads(documents.get((series_id, *keys[series_id]), "{}")))
        for check, series_id in series.items()
        if series_id in keys
    }


def _newest_item(db: Database, check: CheckPath) -> Newest | None:
    """Return the newest item of one check, by one statement instead of three."""
    found = first(db, _NEWEST_OF_CHECK.format(document=db.text_of("document")), **check_values(check))
    return Newest(ItemKey(*found[:2]), orjson.loads(found[2])) if found else None
