"""Which deliveries were held back on purpose: those of suppressed items. The documents of deliveries do not say it."""

from collections.abc import Collection

from notifhist.schemas.item_ids import key_of
from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.deliveries.recording import known_tenant
from notifhist.store.deliveries.selection import MAIN, RECENT

_PARAM = {"n": "integer", "ticks": "bigint", "clock_and_node": "bigint"}


def find_suppressed(db: Database, tenant: str, ids: Collection[str]) -> set[str]:
    """Return those of the ids that are the first delivery of a suppressed item, by one query."""
    if not ids or (tenant_id := known_tenant(db, tenant)) is None:
        return set()
    numbered = dict(enumerate(ids))
    param = db.param_value(_PARAM, [(n, *key_of(each)) for n, each in numbered.items()])
    sources = (db.by_index(MAIN, f"{MAIN}_time"), RECENT)
    text = " UNION ALL ".join(
        f"""SELECT n FROM {db.param_table(_PARAM)} CROSS JOIN {source} WHERE tenant_id = :tenant_id
        AND {table}.ticks = param.ticks AND {table}.clock_and_node = param.clock_and_node AND is_suppressed = 1"""
        for table, source in zip((MAIN, RECENT), sources, strict=True)
    )
    return {numbered[n] for (n,) in rows(db, text, tenant_id=tenant_id, param=param)}
