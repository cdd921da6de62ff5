"""The tables come to be, as the models say and led by the tenant; those of another layout are refused."""

import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playhouse.migrations import Runner

from notifhist.auth import ADMIN, RUNS_EDIT, ApiKey, new_key
from notifhist.config import ConfigError
from notifhist.factory import create_app
from notifhist.schemas.document import Document
from notifhist.schemas.item_ids import key_of
from notifhist.schemas.query import CheckPath
from notifhist.schemas.runs import RUN
from notifhist.store import migrations
from notifhist.store.database import Database, SqliteDatabase, Table, ensure_connected, open_database
from notifhist.store.database.sql import rows
from notifhist.store.deliveries.recording import move_recent
from notifhist.store.deliveries.table import COLUMNS, DELIVERIES, RECENT
from notifhist.store.history.items import texts_of
from notifhist.store.history.series import alarm_digest
from notifhist.store.keys import add_key
from notifhist.store.logs import TABLE as LOG_TABLE
from notifhist.store.migrating import migrate, pending_migrations
from notifhist.store.models import (
    ApiKeyRow,
    HistoryItemRow,
    MetaRow,
    NotificationLogRow,
    NotificationRunRow,
    SeriesRow,
    TenantRow,
)
from notifhist.store.runs import TABLE as RUN_TABLE
from tests.conftest import MIGRATIONS, NOW_MS, TENANT, authorized, every_row
from tests.former_layout import FORMER_MIGRATIONS, make_former_layout
from tests.http.helpers import CHECK, RUNS, assert_fault, item_at, run_of
from tests.long_texts import assert_every_reference_is_right
from tests.records import all_items, record_items, record_runs

TABLES = (TenantRow, SeriesRow, HistoryItemRow, NotificationRunRow, NotificationLogRow, ApiKeyRow, MetaRow)
READ_BY_ALL = {"tenant", "api_key", "page_session", "login_link", "meta", "schema_migration"}
"""Tables that no tenant leads: they are small, or a tenant is not known yet."""


def migrate_when_all_are_ready(url: str, start: Any) -> list[str]:
    database = open_database(url, create=True)
    start.wait(timeout=60)
    ensure_connected(database)
    applied = migrate(database)
    database.close()
    return applied


def test_migrating_twice_changes_nothing(empty: Database) -> None:
    assert pending_migrations(empty) == MIGRATIONS
    assert migrate(empty) == MIGRATIONS
    assert pending_migrations(empty) == []
    assert migrate(empty) == []


def test_items_are_the_same_after_the_migrations_that_followed_the_first(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    Runner(empty, directory=str(Path(migrations.__file__).parent)).up(MIGRATIONS[0])
    assert pending_migrations(empty) == [*MIGRATIONS[1:], "deliveries"]
    items = [item_at(NOW_MS + n, status="x" * n * 30_000) for n in range(6)]
    insert_as_the_first_migration_has_it(empty, CheckPath(TENANT, "e", "a", "c"), items)
    migrate(empty)
    assert [item for _, item in all_items(empty)] == items
    assert_every_reference_is_right(empty, texts=2 * 3)


def insert_as_the_first_migration_has_it(db: Database, check: CheckPath, items: Sequence[Document]) -> None:
    """Insert items by plain SQL: today's code needs tables of later migrations."""
    series_id = 1 << 32
    of_check = {"tenant": check.tenant, "digest": alarm_digest(check), "series_id": series_id}
    with db.writing():
        db.execute_many("INSERT INTO tenant VALUES (1, :tenant)", [of_check])
        db.execute_many("INSERT INTO series VALUES (1, :series_id, 'e', 'a', 'c', :digest)", [of_check])
        db.execute_many(
            "INSERT INTO history_item VALUES (:series_id, :ticks, :clock_and_node, :document, :xml, :xml_version)",
            [{"series_id": series_id, **key_of(item["id"])._asdict(), **texts_of(item)._asdict()} for item in items],
        )


@pytest.mark.long
def test_of_hosts_that_migrate_at_the_same_moment_one_does_it(empty_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(3) as pool:
        start = manager.Barrier(3)
        applied = pool.starmap(migrate_when_all_are_ready, [(empty_url, start)] * 3, chunksize=1)
    assert sorted(applied) == [[], [], MIGRATIONS]


def test_the_migration_makes_the_tables_of_the_models(db: Any) -> None:
    for model in TABLES:
        table = model._meta.table_name
        columns = {column.name: (column.null, column.primary_key) for column in db.get_columns(table)}
        key: Any = model._meta.primary_key
        key_names = set(getattr(key, "field_names", ()) or {key.name})
        if model is NotificationRunRow and isinstance(db, SqliteDatabase):
            assert columns.pop("number") == (False, True)
            assert unique_keys(db, table) == {("number",), ("tenant_id", "id")}
            key_names = set()
        assert columns == {name: (field.null, name in key_names) for name, field in model._meta.columns.items()}


@pytest.mark.parametrize(
    "counts", [each.counts for each in (RUN_TABLE, LOG_TABLE, DELIVERIES)], ids=lambda table: table.name
)
def test_the_migrations_make_the_tables_of_counts(db: Any, counts: Table) -> None:
    columns = {column.name: column.primary_key for column in db.get_columns(counts.name)}
    assert columns == {name: name in counts.key for name in (*counts.columns, "split_mask")}


def test_the_migration_makes_both_tables_of_deliveries(db: Any) -> None:
    both = {table: {column.name: column for column in db.get_columns(table)} for table in ("delivery", RECENT.name)}
    if isinstance(db, SqliteDatabase):
        assert both["delivery"].pop("number").primary_key
    assert both["delivery"].keys() == both[RECENT.name].keys() == set(COLUMNS)
    assert {name for name, column in both[RECENT.name].items() if column.primary_key} == set(RECENT.key)
    nullable = {name: {column.null for column in (both["delivery"][name], both[RECENT.name][name])} for name in COLUMNS}
    known = {"log_clock_and_node", "log_members", "transaction_hash", *DELIVERIES.codes}
    assert nullable == {name: {name in known} for name in COLUMNS}


# The keys.


def unique_keys(db: Database, table: str) -> set[tuple[str, ...]]:
    """Return the columns of the primary key and of each unique index of a table."""
    if isinstance(db, SqliteDatabase):
        keys = rows(
            db,
            """SELECT list.name, info.name FROM pragma_index_list(:table) AS list
            JOIN pragma_index_info(list.name) AS info WHERE list."unique" ORDER BY list.name, info.seqno""",
            table=table,
        )
        keys += rows(db, "SELECT 'key', name FROM pragma_table_info(:table) WHERE pk > 0 ORDER BY pk", table=table)
    else:
        keys = rows(
            db,
            """SELECT indexrelid, attname FROM pg_index
            CROSS JOIN unnest(indkey) WITH ORDINALITY AS place (attnum, n)
            JOIN pg_attribute ON attrelid = indrelid AND pg_attribute.attnum = place.attnum
            WHERE indrelid = (:table)::regclass AND indisunique ORDER BY indexrelid, n""",
            table=table,
        )
    by_index: dict[object, list[str]] = {}
    for index, column in keys:
        by_index.setdefault(index, []).append(column)
    return set(map(tuple, by_index.values()))


def test_every_unique_key_is_led_by_the_tenant(db: Database) -> None:
    tables = {
        table for table in db.get_tables() if not table.startswith(("notification_run_search", "delivery_search"))
    }
    leading = {table: {key[0] for key in unique_keys(db, table)} for table in tables - READ_BY_ALL}
    of_items = {table for table in leading if table.startswith("history_item")}
    assert "history_item" in of_items
    assert {table: leading.pop(table) for table in of_items} == {table: {"series_id"} for table in of_items}
    on_sqlite = isinstance(db, SqliteDatabase)
    of_deliveries = {
        table for table in leading if table == "delivery" or table.startswith(("delivery_other", "delivery_w"))
    }
    # A delivery is found by its item, never by a key of its own; that spares an index.
    of_delivery: set[str] = {"number"} if on_sqlite else set()
    assert "delivery" in of_deliveries
    assert {table: leading.pop(table) for table in of_deliveries} == dict.fromkeys(of_deliveries, of_delivery)
    assert leading == {
        "series_newest": {"tenant_id"},
        "series": {"tenant_id"},
        "notification_run": {"tenant_id", "number"} if on_sqlite else {"tenant_id"},
        "notification_run_count": {"tenant_id"},
        "notification_log": {"tenant_id"},
        "notification_log_count": {"tenant_id"},
        "delivery_recent": {"tenant_id"},
        "delivery_count": {"tenant_id"},
        "delivery_name": {"tenant_id"},
    } | ({"long_text": {"id"}} if on_sqlite else {"last_write": {"tenant"}})


def test_every_index_of_the_deliveries_but_that_of_texts_is_led_by_the_tenant(db: Any) -> None:
    on_sqlite = isinstance(db, SqliteDatabase)
    indexes = [index.columns for index in db.get_indexes("delivery" if on_sqlite else "delivery_other")]
    assert len(indexes) > 8
    assert len([columns for columns in indexes if columns[:1] != ["tenant_id"]]) == (0 if on_sqlite else 1)


def test_the_upper_bits_of_other_leading_numbers_are_the_tenants(db: Database) -> None:
    for tenant in ("a", "b", "c"):
        for check_id in ("1", "2"):
            record_items(db, CheckPath(tenant, "e", "a", check_id), [item_at(0)])
        record_runs(db, tenant, [RUN.load(run_of()) for _ in range(3)])
    series = rows(db, "SELECT tenant_id, id FROM series")
    assert len(series) == len({series_id for _, series_id in series}) == 6
    assert all(series_id >> 32 == tenant_id for tenant_id, series_id in series)
    assert {series_id for (series_id,) in rows(db, "SELECT series_id FROM history_item")} == {
        series_id for _, series_id in series
    }
    if isinstance(db, SqliteDatabase):
        for tenant_id, tenant in rows(db, "SELECT id, name FROM tenant"):
            with db.writing():
                move_recent(db, tenant_id, tenant)
        for table, count in (("notification_run", 9), ("delivery", 6)):
            numbers = rows(db, f"SELECT tenant_id, number FROM {table}")
            assert len({number for _, number in numbers}) == count
            assert all(number >> 40 == tenant_id for tenant_id, number in numbers)


# Another layout.


@pytest.fixture(params=[FORMER_MIGRATIONS[:1], FORMER_MIGRATIONS], ids=["the first", "all"])
def former(empty: Database, request: pytest.FixtureRequest) -> Database:
    """A database of the former layout, with the first of its migrations or all."""
    make_former_layout(empty, *request.param)
    return empty


def test_a_database_of_the_former_layout_is_refused_and_stays_as_it_is(former: Database) -> None:
    before = every_row(former)
    for refuse in (migrate, pending_migrations):
        with pytest.raises(ConfigError) as raised:
            refuse(former)
        said = str(raised.value)
        assert said.startswith("This database was made by another version")
        for what in ("`notifhist export > history.ndjson`", "`notifhist load history.ndjson`", "create new keys"):
            assert what in said
        assert not former.in_transaction()
        assert every_row(former) == before


def test_a_database_of_a_later_version_is_refused_too(db: Database) -> None:
    history = Runner(db, table_name="schema_migration").History
    history.create(name="9999_later")
    try:
        before = every_row(db)
        for refuse in (migrate, pending_migrations):
            with pytest.raises(ConfigError, match="made by another version"):
                refuse(db)
        assert every_row(db) == before
    finally:
        db.execute(history.delete().where(history.name == "9999_later"))


@pytest.fixture
def app(former: Database, empty_url: str) -> Iterator[Flask]:
    """A service over a database of the former layout."""
    app = create_app({"DATABASE_URL": empty_url})
    yield app
    app.extensions["notifhist"].db.close()


def test_over_the_former_layout_a_service_is_not_ready_and_says_why(app: Flask, former: Database) -> None:
    key, key_id, secret_hash = new_key()
    add_key(former, ApiKey(key_id, "", TENANT, (ADMIN, RUNS_EDIT), secret_hash, 0))
    before = every_row(former)
    client = authorized(app, key)
    fault = assert_fault(client.get("/readyz"), 503, "systemFailureError")
    assert "`notifhist export > history.ndjson`" in f"{fault['message']} {fault['details']}"
    assert client.get("/healthz").status_code == 200
    for url, document in ((CHECK, item_at(0)), (RUNS, run_of())):
        assert client.get(url).status_code == 503
        assert client.post(url, json=document).status_code == 503
    assert every_row(former) == before
