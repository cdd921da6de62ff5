"""Citus: how tables are spread, and what its planner is told. `make test-postgres` runs all other tests on it."""

import re
from collections.abc import Iterator

import pytest

from notifhist.schemas.query import CheckPath
from notifhist.serializers.stored import StoredForm
from notifhist.store.database import Database, PostgresqlDatabase, ensure_connected, open_database
from notifhist.store.database.citus import EVERYWHERE, PLACES, _without_lookups, placing
from notifhist.store.database.sql import rows
from notifhist.store.history import reading
from notifhist.store.migrating import _runner, migrate
from notifhist.store.tenants import TENANT_ID
from tests.conftest import NOW_MS, TENANT
from tests.http.helpers import item_at
from tests.records import all_items, record_items

CHECK = CheckPath(TENANT, "e", "a", "c")
SPREAD = {name: column for name, column in PLACES.items() if column is not EVERYWHERE}
_KEYS = """SELECT array_agg(attname::text)
FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
WHERE indrelid = (:name)::regclass AND indisunique GROUP BY indexrelid"""


def columns_of(db: Database, name: str) -> set[str]:
    return {column.name for column in db.get_columns(name)}  # type: ignore[attr-defined]  # peewee's own


def test_each_table_of_a_tenant_is_spread_and_the_others_are_small(db: Database) -> None:
    tables = {name for name in db.get_tables() if not re.search(r"_search|_other$|_w\d+$|long_text", name)}
    of_tenants = {name for name in tables if columns_of(db, name) & {"tenant_id", "series_id"}}
    assert of_tenants == SPREAD.keys()
    assert tables - of_tenants - {"last_write"} == {
        *("meta", "tenant", "api_key", "page_session", "login_link", "schema_migration")
    }


@pytest.mark.parametrize("name", SPREAD)
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_each_unique_key_has_the_column_by_which_its_table_is_spread(db: Database, name: str) -> None:
    for (columns,) in rows(db, _KEYS, name=name):
        assert SPREAD[name] in columns


def test_tables_that_are_joined_lie_alike_and_items_apart() -> None:
    statements = {name: placing(name) for name in PLACES}
    assert statements["tenant"] == "SELECT create_reference_table('tenant')"
    assert statements["series"] == "SELECT create_distributed_table('series', 'tenant_id', colocate_with => 'none')"
    assert statements["delivery"].endswith("('delivery', 'tenant_id', colocate_with => 'series')")
    assert statements["history_item"].endswith("('history_item', 'series_id', colocate_with => 'none')")
    assert placing("history_item_w1", "history_item").endswith(
        "('history_item_w1', 'series_id', colocate_with => 'history_item')"
    )
    assert placing("delivery_w1", "delivery").endswith("('delivery_w1', 'tenant_id', colocate_with => 'delivery')")


def test_a_series_and_a_tenant_are_looked_up_before_a_statement_is_planned(db: Database) -> None:
    named = PostgresqlDatabase("postgresql://").named
    item, (series,) = _without_lookups(named(reading._item_sql(PostgresqlDatabase, StoredForm.JSON)))
    assert "series_id = %(lookup0)s" in item
    assert "SELECT id" not in item
    assert set(series.names) == {"tenant", "alarm_digest", "check_id"}
    series_text, (tenant,) = _without_lookups(series.text)
    assert "tenant_id = %(lookup0)s" in series_text
    assert tenant.names == ("tenant",)
    assert _without_lookups(tenant.text) == (tenant.text, ())
    assert named(TENANT_ID) == f"({tenant.text})"


@pytest.fixture
def own_db(empty_postgres_url: str) -> Iterator[PostgresqlDatabase]:
    """A database without tables, on Citus."""
    database = open_database(empty_postgres_url)
    ensure_connected(database)
    assert isinstance(database, PostgresqlDatabase)
    if not database.is_citus:
        database.close()
        pytest.skip("The database has no extension citus.")
    yield database
    database.close()


def test_tables_with_rows_are_spread_once(own_db: PostgresqlDatabase) -> None:
    _runner(own_db).up()
    items = [item_at(NOW_MS - n) for n in range(3)]
    own_db.is_citus = False  # as if it were made before there was the extension
    record_items(own_db, CHECK, items, NOW_MS * 10_000)
    own_db.is_citus = True
    assert own_db.unplaced_tables() == list(PLACES)
    migrate(own_db)
    assert own_db.unplaced_tables() == own_db.place_tables() == []
    assert [item for _, item in all_items(own_db)] == sorted(items, key=lambda each: each["timestamp"])
    assert sum(node.shards for node in own_db.nodes()) > 0
