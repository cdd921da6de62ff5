"""Which checks have an item of a transaction within the last seconds."""

from collections.abc import Collection

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.deliveries.derive import hash_of
from notifhist.store.deliveries.table import DELIVERIES, RECENT
from notifhist.store.history.series import find_series
from notifhist.store.tenants import TENANT_ID

_BEARING = " UNION ".join(
    f"""SELECT series_id FROM {table} WHERE tenant_id = {TENANT_ID} AND transaction_hash = :transaction_hash
    AND ticks >= :low"""
    for table in (RECENT.name, DELIVERIES.name)
)

NOT_REPEATED = "".join(
    f""" AND NOT EXISTS (SELECT 1 FROM {table} AS earlier WHERE earlier.tenant_id = series.tenant_id
    AND earlier.series_id = series.id AND earlier.transaction_hash = :transaction_hash AND earlier.ticks >= :low)"""
    for table in (RECENT.name, DELIVERIES.name)
)
"""The condition, of a row of `series`, that it has no such item; its values are those of `bearing_values`."""

Repeatable = tuple[CheckPath, str]
"""A check, and the `transaction_id` of an item of it."""


def repeated_since(db: Database, wanted: Collection[Repeatable], since_ms: int) -> set[Repeatable]:
    """Return those of which there is an item that is younger than `since_ms` (ms since the epoch), all of one tenant.

    One query for each transaction, by an index; all checks of a notification share theirs. Most transactions are new:
    then the series of the checks are not looked up.
    """
    bearing: dict[str, set[int]] = {}
    for check, transaction_id in wanted:
        if transaction_id not in bearing:
            values = bearing_values(transaction_id, since_ms)
            bearing[transaction_id] = {each for (each,) in rows(db, _BEARING, tenant=check.tenant, **values)}
    borne = {(check, name) for check, name in wanted if bearing[name]}
    series = find_series(db, {check for check, _ in borne}) if borne else {}
    return {(check, name) for check, name in borne if series.get(check) in bearing[name]}


def bearing_values(transaction_id: str, since_ms: int) -> dict[str, int]:
    """Return the values by which SQL finds the items of a transaction that are younger than `since_ms`."""
    return {"transaction_hash": hash_of(transaction_id), "low": (since_ms + 1) * TICKS_PER_MS}
