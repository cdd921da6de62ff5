"""Which checks have an item of a transaction within the last seconds."""

from collections.abc import Collection, Mapping

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.deliveries.derive import hash_of
from notifhist.store.deliveries.table import DELIVERIES, RECENT
from notifhist.store.history.series import TENANT_ID

_BEARING = " UNION ".join(
    f"""SELECT series_id FROM {table} WHERE tenant_id = {TENANT_ID} AND transaction_hash = :transaction_hash
    AND ticks >= :low"""
    for table in (RECENT.name, DELIVERIES.name)
)

Repeatable = tuple[CheckPath, str]
"""A check, and the `transaction_id` of an item of it."""


def repeated_since(
    db: Database, wanted: Collection[Repeatable], series: Mapping[CheckPath, int], since_ms: int
) -> set[Repeatable]:
    """Return those of which there is an item that is younger than `since_ms` (ms since the epoch), all of one tenant.

    `series`: what `find_series` finds. One query for each transaction, by an index; all checks of a notification share
    theirs.
    """
    low = (since_ms + 1) * TICKS_PER_MS
    bearing: dict[str, set[int]] = {}
    for check, transaction_id in wanted:
        if check in series and transaction_id not in bearing:
            values = {"tenant": check.tenant, "transaction_hash": hash_of(transaction_id), "low": low}
            bearing[transaction_id] = {series_id for (series_id,) in rows(db, _BEARING, **values)}
    return {(check, name) for check, name in wanted if check in series and series[check] in bearing[name]}
