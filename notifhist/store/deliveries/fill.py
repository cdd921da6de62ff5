"""The fill "deliveries": a database from before there were deliveries gets those of its items (`store.fills`)."""

import logging
from collections.abc import Iterator, Sequence

import orjson

from notifhist.errors import BadRequest
from notifhist.schemas.item_ids import ItemKey
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from notifhist.store.database.sql import Row, first, rows
from notifhist.store.deliveries.derive import deliveries_of
from notifhist.store.deliveries.recording import Derived, insert_counted
from notifhist.store.history.series import NUMBER_BITS

_READ_TOGETHER = 20
"""Items that are read at once: one may have 16 MiB."""
_MAX_CHARACTERS = 16 * 1024 * 1024
"""A batch ends once its deliveries have so many characters."""
_AFTER = "(series_id, ticks, clock_and_node) > (:series_id, :ticks, :clock_and_node)"
_ORDER = "ORDER BY series_id, ticks, clock_and_node"
_NEXT_SERIES = f"SELECT series_id FROM history_item WHERE {_AFTER} {_ORDER} LIMIT 1"
_NEXT = f"""SELECT series_id, ticks, clock_and_node, {{document}} FROM history_item
WHERE {_AFTER} AND series_id < :end {_ORDER} LIMIT :limit"""
_CHECKS = """SELECT series.id, name, entity_id, alarm_id, check_id FROM series JOIN tenant ON tenant.id = tenant_id
WHERE tenant_id = :tenant_id AND series.id BETWEEN :first AND :last"""
_WITH_DELIVERIES = " UNION ALL ".join(
    f"""SELECT series_id, ticks, item_clock_and_node FROM {table} WHERE tenant_id = :tenant_id
    AND (series_id, ticks) >= (:series_id, :ticks) AND (series_id, ticks) <= (:last_series_id, :last_ticks)"""
    for table in ("delivery", "delivery_recent")
)
_BEFORE_ALL = (0, 0, 0)

_Key = tuple[int, int, int]
"""A series and the two halves of an item's key."""
log = logging.getLogger(__name__)


def count(db: Database) -> int:
    """Return how many items there are."""
    return int(rows(db, "SELECT count(*) FROM history_item")[0][0])


def step(db: Database, position: str | None, batch: int) -> tuple[str | None, int]:
    """Store the deliveries of the next items of one tenant, series by series; see `store.fills.Fill`.

    Items that have deliveries already are left alone. One that is too long to have deliveries gets none; the log names
    it.
    """
    after: _Key = _BEFORE_ALL if position is None else tuple(orjson.loads(position))
    if (found := first(db, _NEXT_SERIES, **_values(after))) is None:
        return None, 0
    tenant_id = found[0] >> NUMBER_BITS
    db.lock_name(str(rows(db, "SELECT name FROM tenant WHERE id = :id", id=tenant_id)[0][0]))
    derived: list[Derived] = []
    done = characters = 0
    for key, each in _derived(db, tenant_id, after, batch):
        after = key
        done += 1
        if each is not None:
            derived.append(each)
            characters += sum(len(delivery.document) + len(delivery.search_text) for delivery in each.deliveries)
        if characters >= _MAX_CHARACTERS:
            break
    insert_counted(db, derived)
    return orjson.dumps(after).decode(), done


def _derived(db: Database, tenant_id: int, after: _Key, limit: int) -> Iterator[tuple[_Key, Derived | None]]:
    """Yield the keys of up to `limit` items of a tenant, with the deliveries that they have yet to get."""
    next_items = _NEXT.format(document=db.text_of("document"))
    end = tenant_id + 1 << 32
    while limit and (found := rows(db, next_items, **_values(after), end=end, limit=min(limit, _READ_TOGETHER))):
        limit -= len(found)
        checks = _checks(db, tenant_id, found)
        have_deliveries = _with_deliveries(db, tenant_id, found)
        for series_id, ticks, clock_and_node, document in found:
            after = series_id, ticks, clock_and_node
            yield after, None if after in have_deliveries else _derive(after, checks[series_id], document)


def _derive(key: _Key, check: CheckPath, document: str) -> Derived | None:
    item = orjson.loads(document)
    try:
        return Derived(key[0], ItemKey(*key[1:]), deliveries_of(check, item))
    except BadRequest as error:
        log.warning("item %s of %s has no deliveries: %s %s", item["id"], check, error.message, error.details)
        return None


def _checks(db: Database, tenant_id: int, found: Sequence[Row]) -> dict[int, CheckPath]:
    """Return the checks of items, by series."""
    checks = rows(db, _CHECKS, tenant_id=tenant_id, first=found[0][0], last=found[-1][0])
    return {series_id: CheckPath(*ids) for series_id, *ids in checks}


def _with_deliveries(db: Database, tenant_id: int, found: Sequence[Row]) -> set[Row]:
    """Return the keys of those items that have deliveries: they were recorded after the tables were made."""
    last_series_id, last_ticks, *_ = found[-1]
    values = {"last_series_id": last_series_id, "last_ticks": last_ticks}
    return set(rows(db, _WITH_DELIVERIES, tenant_id=tenant_id, **_values(found[0][:3]), **values))


def _values(key: Sequence[int]) -> dict[str, int]:
    return dict(zip(("series_id", "ticks", "clock_and_node"), key, strict=True))
