"""A database from before there were deliveries gets those of its items: each once, whatever interrupts it."""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playhouse.migrations import Runner

from notifhist.config import MS_PER_DAY
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.item_ids import key_of
from notifhist.schemas.query import CheckPath
from notifhist.store import fills, migrations
from notifhist.store.counted import counts
from notifhist.store.database import Database, PostgresqlDatabase, ensure_connected, open_database
from notifhist.store.database.sql import rows
from notifhist.store.deliveries import derive, fill
from notifhist.store.deliveries.derive import deliveries_of
from notifhist.store.deliveries.reading import list_deliveries
from notifhist.store.history.items import texts_of
from notifhist.store.history.series import alarm_digest
from notifhist.store.migrating import migrate, pending_migrations
from tests.conftest import MIGRATIONS, NOW_MS
from tests.http.helpers import item_at
from tests.records import record_items
from tests.recount import assert_counts_are_true

WEEK_MS = 7 * MS_PER_DAY
FOLDER = str(Path(migrations.__file__).parent)
TENANTS = {"b": 1, "a": 2}
SERIES = {
    CheckPath(tenant, entity, "alOne", "chOne"): number << 32 | n
    for tenant, number in TENANTS.items()
    for n, entity in enumerate(("enOne", "enTwo", "enThree"), start=1)
}
"""The numbers of the checks' series."""


def of_outcomes(ms: int, number: int) -> Document:
    """Return an item with up to two results, some of them in the same millisecond as others."""
    results = [{"notification_id": f"nt{number % 3}", "success": n == 0} for n in range(number % 3)]
    return item_at(ms, number, status=f"status {number}", notification_results=results)


def items_of(check: CheckPath) -> list[Document]:
    """Return the items of a check: the later the check, the fewer."""
    place = list(SERIES).index(check)
    return [of_outcomes(NOW_MS - n // 2 * (MS_PER_DAY // 3) - place, n) for n in range(40 - 7 * place)]


def insert_by_plain_sql(db: Database) -> None:
    """Insert the items as the version of the second migration has recorded them."""
    tenants = [{"id": number, "name": tenant} for tenant, number in TENANTS.items()]
    db.execute_many("INSERT INTO tenant VALUES (:id, :name)", tenants)
    series = [
        {"tenant_id": series_id >> 32, "id": series_id, "digest": alarm_digest(check), **vars(check)}
        for check, series_id in SERIES.items()
    ]
    insert = "INSERT INTO series VALUES (:tenant_id, :id, :entity_id, :alarm_id, :check_id, :digest)"
    db.execute_many(insert, series)
    for check, series_id in SERIES.items():
        insert_items(db, series_id, items_of(check))


def insert_items(db: Database, series_id: int, items: Sequence[Document]) -> None:
    if isinstance(db, PostgresqlDatabase):
        db.execute_sql(
            f"""CREATE TABLE IF NOT EXISTS history_item_w{NOW_MS // WEEK_MS} PARTITION OF history_item
            FOR VALUES FROM ({NOW_MS // WEEK_MS * WEEK_MS * TICKS_PER_MS})
            TO ({(NOW_MS // WEEK_MS + 1) * WEEK_MS * TICKS_PER_MS})"""
        )
    db.execute_many(
        "INSERT INTO history_item VALUES (:series_id, :ticks, :clock_and_node, :document, :xml, :xml_version)",
        [{"series_id": series_id, **key_of(item["id"])._asdict(), **texts_of(item)._asdict()} for item in items],
    )


@pytest.fixture
def old(empty: Database) -> Database:
    """A database of the second migration, with items."""
    Runner(empty, directory=FOLDER).up(MIGRATIONS[1])
    insert_by_plain_sql(empty)
    return empty


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fills, "BATCH_RECORDS", 10)
    monkeypatch.setattr(fill, "_READ_TOGETHER", 4)
    monkeypatch.setattr(counts, "SPLIT_ABOVE", 5)


def expected_documents() -> Counter[str]:
    return Counter(each.document for check in SERIES for item in items_of(check) for each in deliveries_of(check, item))


def documents(db: Database) -> Counter[str]:
    """Return the deliveries that are there, with how often each is."""
    found = rows(db, "SELECT document FROM delivery UNION ALL SELECT document FROM delivery_recent")
    return Counter(document for (document,) in found)


def total(db: Database, tenant: str, **asked: Any) -> int:
    page = list_deliveries(db, replace(DeliveriesQuery(tenant, 0, NOW_MS * 2, 1000), **asked), None)
    assert page.count == page.total
    return page.total


def assert_all_is_filled(db: Database) -> None:
    """Fail unless each item has its deliveries once, which counts, filters and search know."""
    assert documents(db) == expected_documents()
    for tenant in TENANTS:
        assert_counts_are_true(db, tenant)
        of_tenant = {
            check: [each for item in items_of(check) for each in deliveries_of(check, item)]
            for check in SERIES
            if check.tenant == tenant
        }
        assert total(db, tenant, search_query="status") == total(db, tenant) == sum(map(len, of_tenant.values()))
        for check, deliveries in of_tenant.items():
            assert total(db, tenant, entity_ids=(check.entity_id,)) == len(deliveries)
    assert pending_migrations(db) == []


def test_each_item_gets_its_deliveries_once(old: Database) -> None:
    assert pending_migrations(old) == [*MIGRATIONS[2:], "deliveries"]
    assert migrate(old) == [*MIGRATIONS[2:], "deliveries"]
    assert_all_is_filled(old)
    assert migrate(old) == []
    if isinstance(old, PostgresqlDatabase):
        assert rows(old, f"SELECT count(*) FROM delivery_w{NOW_MS // WEEK_MS}") != [(0,)]


def kill_within_a_batch(url: str, number: int) -> None:
    """Migrate, and be killed within a batch, once all of it is done but committed."""
    fills.BATCH_RECORDS, fill._READ_TOGETHER, counts.SPLIT_ABOVE = 10, 4, 5
    left = number
    step = fills.FILLS[0].step

    def step_and_kill(db: Database, position: str | None, batch: int) -> tuple[str | None, int]:
        nonlocal left
        done = step(db, position, batch)
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    fills.FILLS = (replace(fills.FILLS[0], step=step_and_kill),)
    database = open_database(url)
    ensure_connected(database)
    migrate(database)


@pytest.mark.long
def test_a_kill_loses_no_item_and_doubles_none(old: Database, empty_url: str) -> None:
    done = []
    for _ in range(2):
        killed = multiprocessing.get_context("spawn").Process(target=kill_within_a_batch, args=[empty_url, 4])
        killed.start()
        killed.join(60)
        assert killed.exitcode == -signal.SIGKILL
        assert pending_migrations(old) == ["deliveries"]
        done.append(documents(old))
    assert 0 < done[0].total() < done[1].total()
    assert done[1] < expected_documents()
    assert migrate(old) == ["deliveries"]
    assert_all_is_filled(old)


def test_items_that_have_deliveries_already_are_left_alone(old: Database) -> None:
    """As after a version that derived deliveries and knew no fills."""
    Runner(old, directory=FOLDER).up()
    for check, series_id in list(SERIES.items())[1::2]:
        old.execute_sql(old.named("DELETE FROM history_item WHERE series_id = :id"), {"id": series_id})
        record_items(old, check, items_of(check))
    assert 0 < documents(old).total() < expected_documents().total()
    assert migrate(old) == ["deliveries"]
    assert_all_is_filled(old)


def test_an_item_that_is_too_long_for_deliveries_gets_none_and_is_named(
    old: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    long = item_at(NOW_MS, 99, status="x" * 100, notification_results=[{}] * 3)
    insert_items(old, next(iter(SERIES.values())), [long])
    monkeypatch.setattr(derive, "MAX_RESULTS", 2)
    assert migrate(old)[-1] == "deliveries"
    assert_all_is_filled(old)
    (message,) = caplog.messages
    assert long["id"] in message
    assert "It may have 2 results." in message


def test_a_batch_ends_where_it_has_many_characters(old: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "_MAX_CHARACTERS", 1)
    Runner(old, directory=FOLDER).up()
    assert fills.FILLS[0].count(old) == sum(len(items_of(check)) for check in SERIES)
    with old.migrating():
        position, done = fills.FILLS[0].step(old, None, 10)
    assert done == 1
    assert position is not None
    migrate(old)
    assert_all_is_filled(old)
