"""Which checks have an item of a transaction within the last seconds."""

from collections.abc import Collection

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.deliveries.derive import hash_of
from notifhist.store.deliveries.table import DELIVERIES, RECENT
from notifhist.store.history.series import TENANT_ID, find_series

_BEARING = " UNION ".join(
    f"""SELECT series_id FROM {table} WHERE tenant_id = {TENANT_ID} AND transaction_hash = :transaction_hash
    AND ticks >= :low"""
    for table in (RECENT.name, DELIVERIES.name)
)

Repeatable = tuple[CheckPath, str]
"""A check, and the `transaction_id` of an item of it."""


def repeated_since(db: Database, wanted: Collection[Repeatable], since_ms: int) -> set[Repeatable]:
    """Return those of which there is an item that is younger than `since_ms` (ms since the epoch), all of one tenant.

    One query for each transaction, by an index; all checks of a notification share theirs. Most transactions are new:
    then the series of the checks are not looked up.
    """
    low = (since_ms + 1) * TICKS_PER_MS
    bearing: dict[str, set[int]] = {}
    for check, transaction_id in wanted:
        if transaction_id not in bearing:
            values = {"tenant": check.tenant, "transaction_hash": hash_of(transaction_id), "low": low}
            bearing[transaction_id] = {series_id for (series_id,) in rows(db, _BEARING, **values)}
    borne = {(check, name) for check, name in wanted if bearing[name]}
    series = find_series(db, {check for check, _ in borne}) if borne else {}
    return {(check, name) for check, name in borne if series.get(check) in bearing[name]}
