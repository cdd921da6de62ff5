"""One new item, of a series that is known, is stored by itself: most requests record that (`Recorder.store_alone`)."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from notifhist.schemas.item_ids import ItemKey
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database, Table
from notifhist.store.database.sql import changed
from notifhist.store.deliveries import recording as delivery_index
from notifhist.store.deliveries.derive import Delivery
from notifhist.store.deliveries.recording import Derived
from notifhist.store.deliveries.table import RECENT
from notifhist.store.history.series import check_values, known_series

_Row = tuple[Any, ...]


def store_alone(
    db: Database,
    table: Table,
    check: CheckPath,
    values: _Row,
    deliveries: Sequence[Delivery],
    condition: str,
    **values_of_condition: object,
) -> bool:
    """Insert an item durably, and its deliveries, unless its series or a name is new, or the item is there already.

    `values`: those of the columns of `table` after `series_id`. `condition`: SQL about the row of `series`, which must
    hold too, where one statement inserts both; elsewhere none is looked at, and nothing is stored then. Say whether it
    is stored.
    """
    if (series_id := known_series(db, check)) is None:
        return False
    derived = Derived(series_id, ItemKey(*values[:2]), deliveries)
    if (codes := delivery_index.codes_without_lock(db, derived.tenant_id, deliveries)) is None:
        return False
    row, new = (series_id, *values), list(delivery_index.rows_of(derived, codes))
    if db.inserts_alone:
        named = dict(zip(table.columns, row, strict=True)) | {"tenant_id": derived.tenant_id}
        named |= {"param": db.param_value(RECENT.columns, new), **check_values(check), **values_of_condition}
        statement = _statement(table.insert, tuple(table.columns), table.key, db.param_table(RECENT.columns), condition)
        inserted = changed(db, statement, **named) > 0
    else:
        inserted = not condition and _by_transaction(db, table, row, new)
    delivery_index.note_recent(db, derived.tenant_id, inserted * len(new))
    return inserted


def _by_transaction(db: Database, table: Table, row: _Row, new: list[_Row]) -> bool:
    """Insert an item and its deliveries; say whether it is inserted. There are no round trips to save."""
    with db.writing():
        if not db.insert_missing(table, [row]):
            return False
        db.insert_missing(RECENT, new)
    return True


@cache
def _statement(insert: str, columns: tuple[str, ...], key: tuple[str, ...], param: str, condition: str) -> str:
    """Return the statement that inserts an item and its deliveries in one round trip; it returns a row if it did.

    The row of the series tells whether what is remembered of it is still so: a dump may have been restored meanwhile.
    Deliveries may be there: `purge` deletes expired deliveries before their items.
    """
    return f"""WITH item AS (
        {insert} SELECT {", ".join(f":{name}" for name in columns)}
        FROM series WHERE tenant_id = :tenant_id AND id = :series_id
        AND alarm_digest = :alarm_digest AND check_id = :check_id {condition}
        ON CONFLICT ({", ".join(key)}) DO NOTHING RETURNING 1), delivery AS (
        {RECENT.insert} SELECT param.* FROM item CROSS JOIN {param} ON CONFLICT DO NOTHING)
    SELECT 1 FROM item"""
