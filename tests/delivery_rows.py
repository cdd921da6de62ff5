"""What the rows of the deliveries must be: those of the items, each once, in one of two tables."""

from collections.abc import Iterable

import orjson

from notifhist.schemas.document import Document
from notifhist.schemas.item_ids import key_of
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database, SqliteDatabase
from notifhist.store.database.sql import rows
from notifhist.store.deliveries.derive import deliveries_of
from notifhist.store.deliveries.names import names_of
from notifhist.store.deliveries.table import NAMED
from notifhist.store.history.series import find_series
from notifhist.store.tenants import find_tenant

_COLUMNS = (
    *("series_id", "ticks", "item_clock_and_node", "clock_and_node", "log_clock_and_node", "is_change"),
    *("is_suppressed", "outcome", "transaction_hash", "search_text", "document", "log_members"),
    *(each.column for each in NAMED),
)


def assert_every_delivery_is_right(db: Database, tenant: str, items: Iterable[tuple[CheckPath, Document]]) -> None:
    """Fail unless the tenant's deliveries are those of its items, and names and searched texts are theirs."""
    tenant_id = find_tenant(db, tenant) or 0
    stored = []
    for table in ("delivery", "delivery_recent"):
        select = f"SELECT {', '.join(_COLUMNS)} FROM {table} WHERE tenant_id = :tenant_id"
        stored += rows(db, select, tenant_id=tenant_id)
    names: dict[int, dict[int | None, str | None]] = {}
    for n, each in enumerate(NAMED, start=-len(NAMED)):
        codes = {row[n] for row in stored} - {None}
        names[n] = dict([(None, None), *names_of(db, tenant_id, each, codes).items()])
    named = [(*row[: -len(NAMED)], *(names[n][row[n]] for n in range(-len(NAMED), 0))) for row in stored]
    its = [(check, item) for check, item in items if check.tenant == tenant]
    series = find_series(db, {check for check, _ in its}) if its else {}
    expected = [
        (
            *(series[check], *key_of(item["id"]), each.clock_and_node, each.log_clock_and_node),
            *(int(each.is_change), int(each.is_suppressed), each.outcome),
            *(each.transaction_hash, each.search_text, each.document, each.log_members, *each.names),
        )
        for check, item in its
        for each in deliveries_of(check, item)
    ]
    assert sorted(named, key=repr) == sorted(expected, key=repr)
    assert remembered_codes(db, tenant_id).items() <= codes_of(db, tenant_id).items()
    if isinstance(db, SqliteDatabase):
        # The index of texts has an entry for each row, and none else.
        indexed = rows(db, "SELECT id FROM delivery_search_docsize ORDER BY id")
        assert indexed == rows(db, "SELECT number FROM delivery ORDER BY number")


def codes_of(db: Database, tenant_id: int) -> dict[tuple[str, str], int]:
    """Return the codes of a tenant's names, by column and name."""
    select = "SELECT column_name, name, code FROM delivery_name WHERE tenant_id = :tenant_id"
    return {(column, orjson.loads(name)): code for column, name, code in rows(db, select, tenant_id=tenant_id)}


def remembered_codes(db: Database, tenant_id: int) -> dict[tuple[str, str], int]:
    """Return the codes that are remembered of a tenant's names."""
    return {key[1]: code for key, code in db.remembered.items() if key[0] == tenant_id}
