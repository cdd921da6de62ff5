import math
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import peewee
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifhist.config import ConfigError
from notifhist.store.database import (
    Database,
    PostgresqlDatabase,
    SqliteDatabase,
    discard_connection,
    ensure_connected,
    is_unreachable,
    migrate,
    open_database,
)
from notifhist.store.database.sql import rows
from notifhist.store.database.sqlite_wal import has_foreign_log
from notifhist.store.database.writers import OTHERS_WAIT_S, WriteTurn
from notifhist.store.models import TenantRow
from tests.full_disk import FullDisk


def connection_of(db: Database) -> Any:
    return db.connection()


def insert(db: Database, tenant: str = "t") -> None:
    db.execute(TenantRow.insert(id=1, name=tenant))


def count(db: Database) -> int:
    return int(rows(db, "SELECT count(*) FROM tenant")[0][0])


def test_a_connection_is_kept_for_the_next_request(db: Database) -> None:
    before = connection_of(db)
    ensure_connected(db)
    assert connection_of(db) is before


def test_each_thread_has_a_connection_of_its_own(db: Database) -> None:
    connections = [connection_of(db)]

    def connect() -> None:
        ensure_connected(db)
        connections.append(connection_of(db))
        db.close()

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join()
    assert len(set(map(id, connections))) == 2


def test_discarding_a_connection_leaves_its_transaction_undone(db: Database) -> None:
    transaction = db.writing()
    transaction.__enter__()
    insert(db)
    discard_connection(db)
    ensure_connected(db)
    assert not db.in_transaction()
    assert count(db) == 0
    with db.writing():
        insert(db)
    assert count(db) == 1


def test_a_lost_connection_is_replaced(db: Database) -> None:
    connection_of(db).close()
    discard_connection(db)
    ensure_connected(db)
    assert db.is_current()
    assert count(db) == 0


def test_a_transaction_that_fails_is_undone(db: Database) -> None:
    def fail_midway() -> None:
        with db.writing():
            insert(db)
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail_midway()
    assert count(db) == 0


@pytest.mark.parametrize(
    ("text", "part", "contained"),
    [
        ("abc", "b", True),
        ("abc", "B", False),
        ("a%c", "%", True),
        ("abc", "%", False),
        ("abc", "_", False),
        ("a\\c", "\\", True),
        ("ström", "ö", True),
        ("🚦", "🚦", True),
        ("", "a", False),
    ],
)
def test_containing_is_meant_literally(text: str, part: str, contained: bool, db: Database) -> None:
    with db.writing():
        insert(db, text)
    found = rows(db, f"SELECT name FROM tenant WHERE {db.contains('name', ':part')}", part=part)
    assert bool(found) == contained


def test_reading_sees_one_state(database_url: str, db: Database) -> None:
    other = open_database(database_url)
    ensure_connected(other)
    with db.reading():
        assert count(db) == 0
        with other.writing():
            insert(other)
        assert count(db) == 0
    assert count(db) == 1
    other.close()


def test_a_database_without_tables_is_unreachable(empty: Database) -> None:
    with pytest.raises(peewee.DatabaseError) as raised:
        count(empty)
    assert is_unreachable(raised.value)
    discard_connection(empty)


def test_a_broken_rule_is_not_unreachable() -> None:
    assert not is_unreachable(peewee.IntegrityError("UNIQUE constraint failed"))
    assert not is_unreachable(peewee.ProgrammingError("syntax error"))
    assert is_unreachable(peewee.OperationalError("database is locked"))


# SQLite


def test_a_missing_sqlite_file_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "gone.db"
    database = open_database(f"sqlite:///{path}")
    with pytest.raises(peewee.OperationalError) as raised:
        ensure_connected(database)
    assert is_unreachable(raised.value)
    assert not path.exists()


def test_a_missing_sqlite_file_is_created_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "ü? #%20 new.db"
    database = open_database(f"sqlite:///{path}", create=True)
    assert not path.exists()
    ensure_connected(database)
    migrate(database)
    assert count(database) == 0
    database.close()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_relative_path_is_one_from_where_the_process_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = open_database("sqlite:///relative.db", create=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    ensure_connected(database)
    database.close()
    assert (tmp_path / "relative.db").exists()


def test_the_pragmas_are_in_force(sqlite_database: str) -> None:
    database = open_database(sqlite_database)
    ensure_connected(database)
    assert isinstance(database, SqliteDatabase)
    names = ("journal_mode", "synchronous", "page_size", "auto_vacuum", "cache_size")
    assert {name: database.pragma(name) for name in names} == {
        "journal_mode": "wal",
        "synchronous": 2,  # full
        "page_size": 32_768,
        "auto_vacuum": 2,  # incremental
        "cache_size": -8_000,
    }
    assert database.pragma("busy_timeout") >= 5000
    database.close()


def test_a_connection_to_a_replaced_file_is_not_kept(sqlite_database: str) -> None:
    database = open_database(sqlite_database)
    ensure_connected(database)
    with database.writing():
        insert(database)
    assert database.is_current()
    path = Path(sqlite_database.removeprefix("sqlite:///"))
    restored = path.with_name("restored.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(restored)) as target:
        source.backup(target)
        with target:
            target.execute("UPDATE tenant SET name = 'restored'")
    for companion in (f"{path}-wal", f"{path}-shm"):
        Path(companion).unlink(missing_ok=True)
    restored.replace(path)
    assert not database.is_current()
    ensure_connected(database)
    assert database.is_current()
    assert rows(database, "SELECT name FROM tenant") == [("restored",)]
    database.close()


def test_a_connection_to_a_removed_file_is_discarded(sqlite_database: str) -> None:
    database = open_database(sqlite_database)
    ensure_connected(database)
    path = Path(sqlite_database.removeprefix("sqlite:///"))
    path.unlink()
    assert not database.is_current()
    with pytest.raises(peewee.OperationalError):
        ensure_connected(database)
    assert not path.exists()


def test_a_file_that_is_not_yet_in_wal_mode_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "restored.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("CREATE TABLE t (x)")
        writer.execute("BEGIN IMMEDIATE")
        finish = threading.Timer(0.3, writer.execute, args=("COMMIT",))
        finish.start()
        database = open_database(f"sqlite:///{path}")
        ensure_connected(database)
        finish.join()
        assert isinstance(database, SqliteDatabase)
        assert database.pragma("journal_mode") == "wal"
        database.close()


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


def test_a_full_disk_is_told_by_its_own_name(full_disk: FullDisk) -> None:
    database = open_database(f"sqlite:///{full_disk.folder}/n.db", create=True, statement_timeout_s=10)
    ensure_connected(database)
    migrate(database)
    full_disk.fill()
    with pytest.raises(peewee.OperationalError, match="full"):
        fill_table(database)
    full_disk.free()
    ensure_connected(database)
    with database.writing():
        insert(database)
    assert count(database) == 1
    database.close()


def fill_table(database: Database) -> None:
    with database.writing():
        for number in range(2, 2000):
            database.execute(TenantRow.insert(id=number, name=f"{number}" * 5000))


def test_an_error_is_not_hidden_by_the_loss_of_the_connection(db: Database) -> None:
    def fail_midway() -> None:
        with db.writing():
            insert(db)
            connection_of(db).close()
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail_midway()
    ensure_connected(db)
    assert count(db) == 0


def copied(path: Path, how: str) -> Path:
    """Return a copy of a SQLite database beside it."""
    copy = path.with_name(f"{how}.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        if how == "vacuum":
            source.execute("VACUUM INTO ?", (str(copy),))
        else:
            source.backup(target)
    return copy


@pytest.mark.parametrize("how", ["vacuum", "backup"])
@pytest.mark.parametrize("restarted", [True, False])
def test_a_log_that_was_written_for_another_file_is_refused(how: str, restarted: bool, sqlite_database: str) -> None:
    path = Path(sqlite_database.removeprefix("sqlite:///"))
    database = open_database(sqlite_database)
    ensure_connected(database)
    copy = copied(path, how)
    for number in range(50):
        with database.writing():  # as two processes that take turns
            database.execute(TenantRow.insert(id=number, name=f"{number}" * 5000))
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("INSERT INTO tenant VALUES (?, ?)", (1000 + number, f"{number}" * 5001))
    copy.replace(path)
    for _ in range(2):
        with pytest.raises(peewee.OperationalError, match=r"remove [a-z.]*-wal and [a-z.]*-shm") as raised:
            ensure_connected(open_database(sqlite_database) if restarted else database)
        assert is_unreachable(raised.value)
    for companion in ("-wal", "-shm"):
        Path(f"{path}{companion}").unlink()
    ensure_connected(database)
    assert count(database) == 0
    assert rows(database, "PRAGMA integrity_check") == [("ok",)]
    database.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["a", "b", "checkpoint", "passive", "vacuum"]), max_size=20))
def test_a_file_is_never_refused_for_its_own_log(steps: list[str], sqlite_tables: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(sqlite_tables, folder))
        writers = {name: sqlite3.connect(path, isolation_level=None) for name in "ab"}
        for number, step in enumerate(steps):
            if step in writers:
                writers[step].execute("INSERT INTO tenant VALUES (?, ?)", (number, f"{number}" + step * 40_000))
            else:
                statement = {"checkpoint": "PRAGMA wal_checkpoint(TRUNCATE)", "passive": "PRAGMA wal_checkpoint"}
                writers["a"].execute(statement.get(step, "VACUUM"))
            crashed = Path(folder) / f"crash{number}"
            crashed.mkdir()
            # What is on the disk now. Another process copies it: to close the file in this one would end its locks.
            subprocess.run(["cp", *path.parent.glob(f"{path.name}*"), crashed], check=True)
            assert not has_foreign_log(crashed / path.name)
        for writer in writers.values():
            writer.close()


_DELETES = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("DELETE FROM large")
connection.commit()
connection.close()
"""


def test_a_thread_that_connects_leaves_the_locks_of_the_others(sqlite_database: str) -> None:
    """Without them a process that ends takes the log for its own, and removes it under those who go on."""
    database, path = open_database(sqlite_database), sqlite_database.removeprefix("sqlite:///")
    ensure_connected(database)
    with database.writing():
        database.execute_sql("CREATE TABLE large (text)")
        database.execute_sql("INSERT INTO large VALUES (?)", ("x" * 200_000,))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ensure_connected, database).result()
        subprocess.run([sys.executable, "-c", _DELETES, path], check=True)
        assert Path(f"{path}-wal").exists()
        assert rows(database, "SELECT count(*) FROM large") == [(0,)]
        pool.submit(database.close).result()
    database.close()


def test_without_a_connection_nothing_is_written(sqlite_database: str) -> None:
    database = open_database(sqlite_database)
    with pytest.raises(peewee.InterfaceError), database.writing():
        pass


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


def test_a_file_that_is_no_database_is_unreachable(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("no database, but text that is longer than the header of one " * 20)
    database = open_database(f"sqlite:///{path}")
    with pytest.raises(peewee.DatabaseError) as raised:
        ensure_connected(database)
    assert is_unreachable(raised.value)


# PostgreSQL


def test_a_postgresql_connection_that_was_cut_off_is_replaced(postgres_database: str) -> None:
    database = open_database(postgres_database)
    ensure_connected(database)
    assert isinstance(database, PostgresqlDatabase)
    pid = connection_of(database).info.backend_pid
    with psycopg.connect(postgres_database, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (pid,))
    database._used.at = 0.0  # as if the connection had been idle for long
    ensure_connected(database)
    assert connection_of(database).info.backend_pid != pid
    assert count(database) == 0
    database.close()


def test_a_postgresql_server_that_is_not_there_is_unreachable() -> None:
    database = open_database("postgresql://127.0.0.1:1/none")
    with pytest.raises(peewee.OperationalError) as raised:
        ensure_connected(database)
    assert is_unreachable(raised.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_both_schemes_of_postgresql_are_taken(scheme: str, postgres_database: str) -> None:
    database = open_database(postgres_database.replace("postgresql", scheme, 1))
    ensure_connected(database)
    assert count(database) == 0
    database.close()


def test_postgresql_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"pip install 'notifhist\[postgres\]'"):
        open_database("postgresql://h/d")


def test_opening_connects_to_nothing(tmp_path: Path) -> None:
    assert open_database(f"sqlite:///{tmp_path}/none/none.db", create=True).is_closed()
    assert open_database("postgresql://127.0.0.1:1/none").is_closed()
