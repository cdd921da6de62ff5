"""The threads of a process write in turn, and never all of them wait."""

import math
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing

import peewee
import pytest

from notifhist.store.database import (
    Database,
    SqliteDatabase,
    discard_connection,
    ensure_connected,
    is_unreachable,
    open_database,
)
from notifhist.store.database.writers import OTHERS_WAIT_S, WriteTurn
from tests.unit.tenant_rows import connection_of, count, insert


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads that tried to begin a transaction, once for each time they did."""
    threads: list[int] = []
    begin = SqliteDatabase._has_begun

    def try_to_begin(self: SqliteDatabase, lock_type: str | None, final: bool) -> bool:
        threads.append(threading.get_ident())
        return begin(self, lock_type, final)

    monkeypatch.setattr(SqliteDatabase, "_has_begun", try_to_begin)
    return threads


def write_elsewhere(database: Database) -> Future[None]:
    """Insert a row in a thread of its own."""
    written: Future[None] = Future()

    def write() -> None:
        try:
            ensure_connected(database)
            with database.writing():
                insert(database)
            database.close()
        except peewee.PeeweeException as error:
            written.set_exception(error)
        else:
            written.set_result(None)

    threading.Thread(target=write).start()
    return written


def test_threads_wait_for_each_other_without_looking(sqlite_database: str, tries: list[int]) -> None:
    database = open_database(sqlite_database)
    ensure_connected(database)
    with database.writing():
        written = write_elsewhere(database)
        with pytest.raises(TimeoutError):
            written.result(timeout=0.1)
        assert len(tries) == 1
    written.result(timeout=10)
    assert len(tries) == 2
    assert count(database) == 1
    database.close()


def test_a_thread_that_waits_too_long_for_another_gives_up(
    sqlite_database: str, tries: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifhist.store.database.sqlite_file._BUSY_TIMEOUT_S", 0.05)
    database = open_database(sqlite_database)
    ensure_connected(database)
    with database.writing():
        error = write_elsewhere(database).exception(timeout=10)
    assert isinstance(error, peewee.OperationalError)
    assert is_unreachable(error)
    assert len(tries) == 1
    database.close()


def fail_to_begin(database: SqliteDatabase) -> None:
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(peewee.OperationalError, match="locked"), database.writing():
            pass


def fail_in_between(database: SqliteDatabase) -> None:
    with pytest.raises(ZeroDivisionError), database.writing():
        raise ZeroDivisionError


def be_rolled_back_by_sqlite(database: SqliteDatabase) -> None:
    with pytest.raises(peewee.OperationalError, match="no transaction"), database.writing():
        database.execute_sql("ROLLBACK")


def lose_the_connection(database: SqliteDatabase) -> None:
    with pytest.raises(peewee.PeeweeException), database.writing():
        connection_of(database).close()
    discard_connection(database)
    ensure_connected(database)


@pytest.mark.parametrize("fail", [fail_to_begin, fail_in_between, be_rolled_back_by_sqlite, lose_the_connection])
def test_a_thread_that_fails_to_write_keeps_no_other_from_it(
    fail: Callable[[SqliteDatabase], None], sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifhist.store.database.sqlite_file._BUSY_TIMEOUT_S", 0.2)
    database = open_database(sqlite_database)
    assert isinstance(database, SqliteDatabase)
    ensure_connected(database)
    fail(database)
    write_elsewhere(database).result(timeout=10)
    assert count(database) == 1
    database.close()


def test_of_the_threads_that_wait_for_a_lock_one_is_patient(sqlite_database: str) -> None:
    database = open_database(sqlite_database, statement_timeout_s=10)
    ensure_connected(database)
    with closing(sqlite3.connect(sqlite_database.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        patient = write_elsewhere(database)
        others = [write_elsewhere(database) for _ in range(3)]
        for each in others:
            assert isinstance(error := each.exception(timeout=10), peewee.OperationalError)
            assert is_unreachable(error)
        late = write_elsewhere(database).exception(timeout=10)
        assert late is not None
        assert "another thread waits" in str(late)
        assert count(database) == 0  # readers wait for nobody
        assert not patient.done()
        other.execute("ROLLBACK")
        patient.result(timeout=10)
    assert count(database) == 1
    database.close()


def test_the_turn_to_write_that_was_given_up_is_not_waited_for_a_second_time() -> None:
    turn = WriteTurn()
    assert turn.take(math.inf)
    assert not turn.take(math.inf)
    turn.give_up()
    assert turn.take(math.inf)
    assert not turn.take(time.monotonic() + OTHERS_WAIT_S / 2)
    turn.start()
    began = Future[bool]()
    threading.Thread(target=lambda: began.set_result(turn.take(math.inf))).start()
    turn.end()
    assert began.result(timeout=10)
    turn.end()


def test_writing_takes_the_lock_at_once(sqlite_database: str) -> None:
    database = open_database(sqlite_database)
    ensure_connected(database)
    path = sqlite_database.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=0)) as other:
        with database.writing(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        with database.reading():
            other.execute("BEGIN IMMEDIATE")
            other.rollback()
    database.close()
