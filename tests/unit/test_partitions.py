"""The weeks of PostgreSQL: recording makes them, and nothing fails where they cannot be made."""

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from notifhist.config import MS_PER_DAY
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database, PostgresqlDatabase, ensure_connected, open_database
from notifhist.store.database.partitions import DELIVERIES, ITEMS, WEEKLY, Weekly
from notifhist.store.database.sql import rows
from notifhist.store.history.items import ITEM_RECORDER
from notifhist.store.history.recording import replace_item
from notifhist.store.migrating import migrate
from notifhist.store.purge import purge
from notifhist.store.recording import record
from tests.conftest import NOW_MS
from tests.http.helpers import item_at
from tests.records import all_items, count_items, record_items

CHECK = CheckPath("t", "e", "a", "c")
NOW_TICKS = NOW_MS * TICKS_PER_MS
OLDEST_MS = NOW_MS - 30 * MS_PER_DAY
WEEK_MS = 7 * MS_PER_DAY
THIS_WEEK = NOW_MS // WEEK_MS


@pytest.fixture
def db(empty_postgres_url: str) -> Iterator[PostgresqlDatabase]:
    database = open_database(empty_postgres_url)
    ensure_connected(database)
    migrate(database)
    assert isinstance(database, PostgresqlDatabase)
    yield database
    database.close()


def record_now(db: Database, *items: Document) -> None:
    record_items(db, CHECK, items, NOW_TICKS, OLDEST_MS)


def stored(db: Database) -> list[Document]:
    return [item for _, item in all_items(db)]


def ticks_in(db: PostgresqlDatabase, table: str) -> list[int]:
    rows = db.execute_sql(f"SELECT ticks FROM {table} ORDER BY ticks").fetchall()
    return [ticks for (ticks,) in rows]


def execute(db: PostgresqlDatabase, sql: str) -> None:
    db.execute_sql(sql)


def test_an_item_is_kept_in_the_partition_of_its_week(db: PostgresqlDatabase) -> None:
    items = [item_at(NOW_MS - WEEK_MS), item_at(THIS_WEEK * WEEK_MS - 1), item_at(THIS_WEEK * WEEK_MS)]
    record_now(db, *items)
    assert db.partitions.weeks() == [THIS_WEEK - 1, THIS_WEEK]
    assert len(ticks_in(db, ITEMS.name_of(THIS_WEEK - 1))) == 2
    assert len(ticks_in(db, ITEMS.name_of(THIS_WEEK))) == 1
    assert ticks_in(db, ITEMS.default) == []
    assert stored(db) == items


def index_names(db: PostgresqlDatabase, table: str) -> dict[str, str]:
    """Return the indexes of a table, by name, with the parent's index that each is attached to."""
    found = rows(
        db,
        """SELECT own.relname, parent.relname FROM pg_index JOIN pg_class AS own ON own.oid = indexrelid
        LEFT JOIN pg_inherits ON inhrelid = own.oid LEFT JOIN pg_class AS parent ON parent.oid = inhparent
        WHERE indrelid = (:table)::regclass""",
        table=table,
    )
    return dict(found)


@pytest.mark.parametrize("each", WEEKLY)
def test_a_partition_has_each_index_of_its_table_once(db: PostgresqlDatabase, each: Weekly) -> None:
    record_now(db, item_at(NOW_MS))
    of_partition = index_names(db, each.name_of(THIS_WEEK))
    assert sorted(of_partition.values()) == sorted(index_names(db, each.table))


def test_deliveries_get_a_partition_where_items_have_one_already(
    db: PostgresqlDatabase, empty_postgres_url: str
) -> None:
    record_now(db, item_at(NOW_MS))
    execute(db, f"DROP TABLE {DELIVERIES.name_of(THIS_WEEK)}")  # as in a database from before there were deliveries
    many = [item_at(NOW_MS, n) for n in range(1, 101)]
    record_now(db, *many)
    assert len(ticks_in(db, DELIVERIES.default)) == len(many)
    other = open_database(empty_postgres_url)
    ensure_connected(other)
    record_now(other, item_at(NOW_MS, 101))
    other.close()
    assert ticks_in(db, DELIVERIES.default) == []
    assert len(ticks_in(db, DELIVERIES.name_of(THIS_WEEK))) == len(many)
    assert db.partitions.weeks() == [THIS_WEEK]


@pytest.mark.parametrize("ms", [0, OLDEST_MS - WEEK_MS, NOW_MS + 5 * WEEK_MS, 103_072_857_660_684])
def test_odd_times_make_no_partitions(db: PostgresqlDatabase, ms: int) -> None:
    record_now(db, item_at(ms))
    replace_item(db, CHECK, item_at(ms, 1), NOW_TICKS, OLDEST_MS)
    assert db.partitions.weeks() == []
    assert ticks_in(db, ITEMS.default) == [ms * TICKS_PER_MS] * 2


def test_what_lies_in_the_default_partition_moves_into_its_week(db: PostgresqlDatabase) -> None:
    early = NOW_MS + 6 * WEEK_MS
    record_now(db, item_at(early), item_at(NOW_MS + 20 * WEEK_MS))
    later = (early + MS_PER_DAY) * TICKS_PER_MS
    record_items(db, CHECK, [item_at(early + 1)], later, OLDEST_MS)
    assert db.partitions.weeks() == [early // WEEK_MS]
    assert ticks_in(db, ITEMS.name_of(early // WEEK_MS)) == [early * TICKS_PER_MS, (early + 1) * TICKS_PER_MS]
    assert len(ticks_in(db, ITEMS.default)) == 1
    assert count_items(db) == 3


@pytest.mark.usefixtures("postgres_url")  # only on a server of its own may it make a role
def test_items_are_kept_where_no_partition_can_be_made(
    db: PostgresqlDatabase, empty_postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    execute(db, "CREATE ROLE recorder LOGIN")
    execute(db, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO recorder")
    poor = open_database(empty_postgres_url.replace("postgres:@", "recorder@"))
    ensure_connected(poor)
    record_now(poor, item_at(NOW_MS))
    record_now(poor, item_at(NOW_MS, 1))
    poor.close()
    execute(db, "DROP OWNED BY recorder")
    execute(db, "DROP ROLE recorder")
    assert db.partitions.weeks() == []
    assert count_items(db) == 2
    # Once, and then not for a while: nobody pays for the attempt with every item.
    assert [f"week {THIS_WEEK}" in message for message in caplog.messages] == [True]


def test_a_partition_that_is_made_elsewhere_is_found(db: PostgresqlDatabase, empty_postgres_url: str) -> None:
    other = open_database(empty_postgres_url)
    ensure_connected(other)
    record_now(other, item_at(NOW_MS))
    other.close()
    record_now(db, item_at(NOW_MS, 1))
    assert len(ticks_in(db, ITEMS.name_of(THIS_WEEK))) == 2


def test_of_many_that_record_into_a_new_week_at_once_none_fails(
    db: PostgresqlDatabase, empty_postgres_url: str
) -> None:
    errors: list[BaseException] = []

    def send(number: int) -> None:
        own: Any = open_database(empty_postgres_url)  # as a process of its own: it knows of no partition
        try:
            ensure_connected(own)
            for n in range(10):
                record_now(own, item_at(NOW_MS - n * WEEK_MS // 3, number))
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            errors.append(error)
        finally:
            own.close()

    senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert errors == []
    assert count_items(db) == 40
    assert ticks_in(db, ITEMS.default) == []


def test_expired_weeks_are_dropped_and_few_of_the_last_deleted(db: PostgresqlDatabase) -> None:
    last = OLDEST_MS // WEEK_MS
    expired = [item_at(OLDEST_MS - 3 * WEEK_MS), item_at(OLDEST_MS - WEEK_MS), item_at(OLDEST_MS - 1), item_at(0)]
    shown = [item_at(OLDEST_MS), item_at(NOW_MS)]
    record_items(db, CHECK, [*expired, *shown], NOW_TICKS, None)
    assert db.partitions.weeks() == [last - 3, last - 1, last, THIS_WEEK]
    assert db.count_expired(OLDEST_MS) == len(expired)
    assert sum(purge(db, OLDEST_MS, batch=1)) == len(expired)
    assert db.partitions.weeks() == [last, THIS_WEEK]
    assert stored(db) == shown
    record_items(db, CHECK, [item_at(OLDEST_MS - WEEK_MS)], NOW_TICKS, None)
    assert count_items(db) == 3


def test_a_week_that_is_in_use_is_dropped_once_it_is_not(db: PostgresqlDatabase, empty_postgres_url: str) -> None:
    record_items(db, CHECK, [item_at(OLDEST_MS - WEEK_MS)], NOW_TICKS, None)
    with psycopg.connect(empty_postgres_url) as reader:
        reader.execute("SELECT * FROM history_item")
        purging = purge(db, OLDEST_MS, batch=1)
        done = threading.Timer(0.3, reader.rollback)
        done.start()
        assert sum(purging) == 1
        done.join()
    assert count_items(db) == 0


def test_most_of_a_week_stays_until_all_of_it_has_expired(
    db: PostgresqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifhist.store.database.postgresql_purge._FEW_ITEMS", 2)
    items = [item_at(OLDEST_MS - 1, n) for n in range(3)]
    record_items(db, CHECK, items, NOW_TICKS, None)
    assert db.count_expired(OLDEST_MS) == sum(purge(db, OLDEST_MS, batch=10)) == 0
    assert stored(db) == items
    assert sum(purge(db, OLDEST_MS + WEEK_MS, batch=10)) == 3


def test_items_that_are_recorded_without_a_retention_are_kept_in_their_weeks(db: PostgresqlDatabase) -> None:
    items = [item_at(NOW_MS), item_at(NOW_MS - 10 * WEEK_MS)]
    drafts = [ITEM_RECORDER.draft(CHECK, item, NOW_TICKS) for item in items]
    assert record(db, drafts, NOW_TICKS, skip_conflicts=True).created == 2
    assert db.partitions.weeks() == [THIS_WEEK - 10, THIS_WEEK]
    assert ticks_in(db, ITEMS.default) == []


def test_two_purges_at_once_delete_all_and_count_nothing_twice(db: PostgresqlDatabase, empty_postgres_url: str) -> None:
    old = [item_at(NOW_MS - n * WEEK_MS) for n in range(6, 12)]
    few = [item_at(THIS_WEEK * WEEK_MS, n) for n in range(3)]
    record_items(db, CHECK, [*old, *few], NOW_TICKS, None)
    other = open_database(empty_postgres_url)
    ensure_connected(other)
    before_ms = THIS_WEEK * WEEK_MS + 1
    first = purge(db, before_ms, 10)
    deleted = [next(first), *purge(other, before_ms, 10), *first]
    other.close()
    assert sum(deleted) == len(old) + len(few)
    assert stored(db) == []
    assert db.partitions.weeks() == [THIS_WEEK]
