"""Files of SQLite: made where that is asked for, set up, replaced, removed, full, or no database at all."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import peewee
import pytest

from notifhist.store.database import Database, SqliteDatabase, ensure_connected, is_unreachable, open_database
from notifhist.store.database.sql import rows
from notifhist.store.migrating import migrate
from notifhist.store.models import TenantRow
from tests.full_disk import FullDisk
from tests.unit.tenant_rows import count, insert

AS_ANOTHER = """
import os, sys
from notifhist.store.database import open_database
database = open_database(sys.argv[1])
os.seteuid(os.geteuid() or 65534)  # root may write to each file
print(database.may_be_written())
"""


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


def test_without_a_connection_nothing_is_written(sqlite_database: str) -> None:
    database = open_database(sqlite_database)
    with pytest.raises(peewee.InterfaceError), database.writing():
        pass


@pytest.mark.parametrize("may", [True, False])
def test_who_may_write_beside_the_file_may_write_through_a_link(sqlite_database: str, may: bool) -> None:
    file = Path(sqlite_database.removeprefix("sqlite:///"))
    (links := file.parent / "links").mkdir()
    (link := links / "linked.db").symlink_to(file)
    file.chmod(0o666)
    for folder, is_open in ((file.parent, may), (links, not may)):
        folder.chmod(0o777 if is_open else 0o555)
    try:
        command = [sys.executable, "-c", AS_ANOTHER, f"sqlite:///{link}"]
        assert subprocess.check_output(command, text=True) == f"{may}\n"
    finally:
        for folder in (file.parent, links):
            folder.chmod(0o777)


def test_a_file_that_is_no_database_is_unreachable(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("no database, but text that is longer than the header of one " * 20)
    database = open_database(f"sqlite:///{path}")
    with pytest.raises(peewee.DatabaseError) as raised:
        ensure_connected(database)
    assert is_unreachable(raised.value)
