"""Deliveries go when their items go, and nobody who asks meanwhile is told anything wrong."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from notifhist.config import MS_PER_DAY
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import CheckPath
from notifhist.store.counted import counts, cut
from notifhist.store.database import Database, PostgresqlDatabase, ensure_connected, open_database
from notifhist.store.database.sql import rows
from notifhist.store.deliveries import purge as delivery_purge
from notifhist.store.deliveries.alarms import list_alarms
from notifhist.store.deliveries.reading import list_deliveries
from notifhist.store.purge import purge
from tests.conftest import NOW_MS, TENANT
from tests.http.helpers import item_at
from tests.records import all_items, move_recent_deliveries, record_items
from tests.recount import assert_counts_are_true

WEEK_MS = 7 * MS_PER_DAY
OLDEST_MS = NOW_MS - 30 * MS_PER_DAY
NOW_TICKS = NOW_MS * TICKS_PER_MS
LONG_AGO_MS = NOW_MS - 200 * WEEK_MS
"""A time whose week gets no partition."""
HERE, THERE = CheckPath(TENANT, "enOne", "alOne", "chOne"), CheckPath("654321", "enTwo", "alOne", "chOne")


def of_outcomes(ms: int, number: int = 0) -> Document:
    """Return an item with a result that was sent and one that failed."""
    results = [
        {"notification_id": f"nt{number % 3}", "success": success, "attempts": [{"message": f"told {number}"}]}
        for success in (True, False)
    ]
    return item_at(ms, number, status=f"status {number}", notification_results=results)


def record_now(db: Database, check: CheckPath, items: Sequence[Document]) -> None:
    record_items(db, check, items, NOW_TICKS)


def stored_deliveries(db: Database, table: str) -> list[tuple[int, int]]:
    """Return series and time of every delivery."""
    return rows(db, f"SELECT series_id, ticks FROM {table}")


def total(db: Database, tenant: str = TENANT, oldest_ms: int | None = None, **asked: Any) -> int:
    """Return how many deliveries there are; the page must have all of them."""
    page = list_deliveries(db, DeliveriesQuery(tenant, 0, NOW_MS * 2, 1_000_000, **asked), oldest_ms)
    assert page.count == page.total
    return page.total


def assert_deliveries_are_those_of_the_items(db: Database) -> None:
    """Fail unless each item has its deliveries, no other is there, and counts and search know them alone."""
    of_tenants: dict[str, int] = {HERE.tenant: 0, THERE.tenant: 0}
    for check, item in all_items(db):
        of_tenants[check.tenant] += len(item["notification_results"])
    assert {tenant: total(db, tenant) for tenant in of_tenants} == of_tenants
    assert {tenant: total(db, tenant, search_query="status") for tenant in of_tenants} == of_tenants
    items = rows(db, "SELECT series_id, ticks FROM history_item")
    assert {*stored_deliveries(db, "delivery"), *stored_deliveries(db, "delivery_recent")} == {*items}
    for tenant in of_tenants:
        assert_counts_are_true(db, tenant)


@pytest.fixture
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "SPLIT_ABOVE", 5)
    monkeypatch.setattr(cut, "_ROWS_AT_ONCE", 30)


@pytest.mark.usefixtures("_few_are_many")
@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_the_deliveries_of_expired_items_go(db: Database, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(delivery_purge, "_AT_ONCE", at_once)
    times = (LONG_AGO_MS, OLDEST_MS - 2 * WEEK_MS, OLDEST_MS - 2_000, OLDEST_MS - 1, OLDEST_MS, OLDEST_MS + 1, NOW_MS)
    items = [of_outcomes(time + n // 30, number=n) for time in times for n in range(20)]
    record_now(db, HERE, items)  # so many are not recent first
    record_now(db, THERE, items[::10])
    record_now(db, HERE, [of_outcomes(time, number=99) for time in times])
    assert len(stored_deliveries(db, "delivery_recent")) == (14 + 7) * 2
    names = rows(db, "SELECT * FROM delivery_name ORDER BY tenant_id, column_name, code")
    for _ in purge(db, OLDEST_MS, 500):
        pass
    assert min(item["timestamp"] for _, item in all_items(db)) == OLDEST_MS
    assert total(db) == 2 * (3 * 20 + 3)
    assert_deliveries_are_those_of_the_items(db)
    assert rows(db, "SELECT * FROM delivery_name ORDER BY tenant_id, column_name, code") == names
    assert sum(purge(db, OLDEST_MS, 500)) == 0
    assert_deliveries_are_those_of_the_items(db)


@pytest.mark.usefixtures("_few_are_many")
def test_an_interrupted_purge_leaves_true_counts(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_purge, "_AT_ONCE", 20)
    record_now(db, HERE, [of_outcomes(LONG_AGO_MS + n // 3 * 100, n) for n in range(150)])
    left = [total(db)]
    for _ in purge(db, OLDEST_MS, 500):
        left.append(total(db))
        assert_counts_are_true(db, TENANT)
    assert len(set(left)) > 10
    assert left == sorted(left, reverse=True)
    assert_deliveries_are_those_of_the_items(db)


def test_of_a_week_whose_items_stay_the_deliveries_stay(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    if not isinstance(db, PostgresqlDatabase):
        return  # there are no weeks
    monkeypatch.setattr("notifhist.store.database.postgresql_purge._FEW_ITEMS", 2)
    items = [of_outcomes(OLDEST_MS - WEEK_MS - 1 + n % 2 * WEEK_MS, n) for n in range(100)]
    record_now(db, HERE, items)
    assert sum(purge(db, OLDEST_MS, 500)) == 50
    assert total(db) == 100
    assert_deliveries_are_those_of_the_items(db)
    assert sum(purge(db, OLDEST_MS + WEEK_MS, 500)) == 50
    assert_deliveries_are_those_of_the_items(db)


def test_the_newest_items_of_series_go_with_the_last_deliveries(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_purge, "_AT_ONCE", 4)
    checks = [CheckPath(TENANT, "enOne", "alOne", f"ch{n}") for n in range(10)]
    for n, check in enumerate(checks):
        record_items(db, check, [of_outcomes(OLDEST_MS - 10 + n, n)])
    record_items(db, HERE, [of_outcomes(OLDEST_MS)])
    move_recent_deliveries(db, TENANT)
    newest, left = "SELECT ticks FROM series_newest", []
    for _ in delivery_purge.purge(db, OLDEST_MS):
        left.append(len(rows(db, newest)))
        assert list_alarms(db, TENANT, OLDEST_MS).found[0].checks[0].check_id == HERE.check_id
    assert left == [11] * 4 + [1]
    assert rows(db, newest) == [(OLDEST_MS * TICKS_PER_MS,)]


@pytest.mark.usefixtures("_few_are_many")
def test_readers_are_told_the_same_during_a_purge(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_purge, "_AT_ONCE", 5)
    shown = [of_outcomes(OLDEST_MS + n % 40 * 50, n) for n in range(120)]
    expired = [of_outcomes(OLDEST_MS - 1 - n % 40 * WEEK_MS // 20, n) for n in range(300)]
    record_now(db, HERE, shown + expired)
    record_now(db, HERE, [of_outcomes(OLDEST_MS, 999), of_outcomes(OLDEST_MS - 1, 999)])
    asked: list[dict[str, Any]] = [
        {},
        {"outcomes": ("failed",)},
        {"outcomes": ("sent",), "notification_ids": ("nt1",)},
        {"notification_ids": ("nt2",), "reverse": True},
        {"search_query": "status 9"},
        {"entity_ids": ("enOne",), "outcomes": ("sent", "failed"), "states": ("OK",)},
    ]
    pages = [read(db, **each) for each in asked]
    assert [page[0] for page in pages] == [242, 121, 40, 80, 24, 242]
    told: list[object] = []
    is_purged = threading.Event()

    def ask() -> None:
        try:
            ensure_connected(db)
            while not is_purged.is_set():
                told.append([read(db, **each) for each in asked])
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            told.append(error)
        finally:
            db.close()

    readers = [threading.Thread(target=ask) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        assert sum(purge(db, OLDEST_MS, 20)) == 301
    finally:
        is_purged.set()
        for reader in readers:
            reader.join()
    assert len(told) > 2
    assert [each for each in told if each != pages] == []
    assert_deliveries_are_those_of_the_items(db)


def read(db: Database, **asked: Any) -> tuple[int, int, list[bytes]]:
    """Return the total of a query, and the first of the deliveries."""
    query = replace(DeliveriesQuery(TENANT, 0, NOW_MS, 50), **asked)
    page = list_deliveries(db, query, OLDEST_MS)
    return page.total, page.count, list(page.deliveries.pieces)


def test_the_index_of_texts_does_not_keep_growing_on_sqlite(sqlite_database: str) -> None:
    database = open_database(sqlite_database)
    ensure_connected(database)
    sizes = []
    for day in range(20):
        begin_ms = LONG_AGO_MS + day * MS_PER_DAY
        record_now(database, HERE, [of_outcomes(begin_ms + n, day * 1000 + n) for n in range(150)])
        ((size,),) = rows(database, "SELECT sum(length(block)) FROM delivery_search_data")
        sizes.append(size)
        for _ in purge(database, begin_ms, 500):
            pass
    database.close()
    # FTS5 takes deleted texts out of the index when it merges its segments.
    assert max(sizes[10:]) < 1.5 * max(sizes[:10])


def test_an_item_that_has_left_its_deliveries_behind_is_recorded_again(db: Database) -> None:
    """An item may be recorded after expired deliveries were deleted, and before expired items are."""
    item = of_outcomes(LONG_AGO_MS)
    for _ in range(2):
        record_now(db, HERE, [item])
    record_now(db, HERE, [of_outcomes(LONG_AGO_MS, 1)])  # its names are known now
    db.execute_sql("DELETE FROM history_item")
    for _ in range(2):
        record_now(db, HERE, [item])
    assert [found for _, found in all_items(db)] == [item]
    for _ in purge(db, OLDEST_MS, 500):
        pass
    assert_deliveries_are_those_of_the_items(db)


def test_deliveries_whose_items_have_gone_before_them_go_too(db: Database) -> None:
    """An item that is replaced amid a purge leaves its deliveries behind, maybe as the last of its week."""
    record_now(db, HERE, [of_outcomes(OLDEST_MS - 1), of_outcomes(OLDEST_MS, 1)])
    db.execute_sql(f"DELETE FROM history_item WHERE ticks < {OLDEST_MS * TICKS_PER_MS}")
    assert total(db) == 4
    assert sum(purge(db, OLDEST_MS, 500)) == 0
    assert_deliveries_are_those_of_the_items(db)
