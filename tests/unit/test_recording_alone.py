"""A new item of a known series is stored by itself, beside others that record the same."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import peewee
import psycopg
import pytest

from notifhist.errors import ItemConflict
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.history import series
from notifhist.store.migrating import migrate
from notifhist.store.recording import Draft
from tests.conftest import every_row
from tests.named_postgres import is_any_waiting
from tests.records import count_items
from tests.unit.drafts import item, record_now, run

on_postgresql = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


def test_only_a_new_item_of_a_known_series_is_stored_alone(db: Database) -> None:
    record_now(db, [item(1), run(1)])
    before = every_row(db)
    others = [item(1), item(1, state="WARNING"), item(2, CheckPath("t", "e", "a", "other")), run(1), run(2), run()]
    assert [draft.recorder.store_alone(db, draft) for draft in others] == [False] * len(others)
    assert every_row(db) == before
    # The first record of a name gives it a code, and the second one remembers that.
    record_now(db, [item(2)])
    new = item(3)
    assert new.recorder.store_alone(db, new)
    assert count_items(db) == 3


def test_an_item_with_a_new_name_is_not_stored_alone_until_its_name_is_remembered(db: Database) -> None:
    record_now(db, [item(0)])
    named = [item(1 + number, state="NEW", status="a text is no name") for number in range(3)]
    assert not named[0].recorder.store_alone(db, named[0])
    record_now(db, named[:1])
    assert not named[1].recorder.store_alone(db, named[1])  # what a transaction wrote, it might have undone
    record_now(db, named[1:2])
    assert named[2].recorder.store_alone(db, named[2])
    assert count_items(db) == 4


def test_few_series_are_remembered_and_by_each_connection_for_itself(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "_REMEMBERED", 2)
    checks = [CheckPath("t", "e", "a", f"c{n}") for n in range(3)]
    record_now(db, [item(0, check) for check in checks])
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ensure_connected, db).result()
        try:
            found = [series.known_series(db, check) for check in checks]
            (own,) = [remembered for remembered in db.remembered.values() if isinstance(remembered, dict)]
            assert own == {checks[2]: found[2]}
            own[checks[2]] = -1  # as if this connection led to another database
            assert [pool.submit(series.known_series, db, check).result() for check in checks] == found
        finally:
            pool.submit(db.close).result()


def recorded_elsewhere(url: str, draft: Draft) -> int:
    """Record a draft through a connection of its own; return how many it created, -1 for a conflict."""
    database = open_database(url)
    ensure_connected(database)
    try:
        return record_now(database, [draft]).created
    except ItemConflict:
        return -1
    finally:
        database.close()


def wait_until_it_waits(url: str, call: Future[int]) -> None:
    """Return once a transaction waits for another one. Raises AssertionError if the call ends without."""
    with psycopg.connect(url, autocommit=True) as watcher:
        while not is_any_waiting(watcher):
            assert not call.done()
            time.sleep(0.01)


@on_postgresql
@pytest.mark.parametrize(
    ("same", "commits", "created"), [(True, True, 0), (False, True, -1), (True, False, 1), (False, False, 1)]
)
def test_an_item_that_is_being_recorded_elsewhere_is_waited_for(
    database_url: str, db: Database, same: bool, commits: bool, created: int
) -> None:
    record_now(db, [item(0)])
    with ThreadPoolExecutor(1) as pool:
        with db.writing() as transaction:
            record_now(db, [item(1)])
            draft = item(1) if same else item(1, state="WARNING")
            call = pool.submit(recorded_elsewhere, database_url, draft)
            wait_until_it_waits(database_url, call)
            if not commits:
                transaction.rollback()
        assert call.result(timeout=30) == created
    assert count_items(db) == 2


def test_of_threads_that_record_the_same_item_at_once_one_creates_it(database_url: str, db: Database) -> None:
    threads, rounds = 3, 20
    together = threading.Barrier(threads, timeout=60)

    def send(_: int) -> list[int]:
        own, created = open_database(database_url), []
        try:
            ensure_connected(own)
            for number in range(rounds):
                together.wait()
                created.append(record_now(own, [item(number)]).created)
        finally:
            own.close()
        return created

    with ThreadPoolExecutor(threads) as pool:
        created = list(pool.map(send, range(threads)))
    assert [sum(each) for each in zip(*created, strict=True)] == [1] * rounds
    assert count_items(db) == rounds


@pytest.fixture
def own_db(empty_postgres_url: str) -> Iterator[Database]:
    """A PostgreSQL database whose tables the test may change."""
    database = open_database(empty_postgres_url)
    ensure_connected(database)
    migrate(database)
    yield database
    database.close()


def test_an_error_at_the_end_of_the_transaction_is_raised(own_db: Database) -> None:
    if not own_db.inserts_alone:
        pytest.skip("Citus has no triggers.")
    record_now(own_db, [item(0)])
    own_db.execute_sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no space left'; END $$"
    )
    own_db.execute_sql(
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON history_item DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    for number in range(1, 10):  # prepared or not
        with pytest.raises(peewee.PeeweeException, match="no space left"):
            record_now(own_db, [item(number)])
    assert count_items(own_db) == 1
    assert not own_db.in_transaction()
