"""The write-ahead log: one of another file is refused, and no process loses its own."""

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import peewee
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifhist.store.database import ensure_connected, is_unreachable, open_database
from notifhist.store.database.sql import rows
from notifhist.store.database.sqlite_wal import has_foreign_log
from notifhist.store.models import TenantRow
from tests.unit.tenant_rows import count


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
@pytest.mark.parametrize("linked", [False, True])
def test_a_log_that_was_written_for_another_file_is_refused(
    how: str, restarted: bool, linked: bool, sqlite_database: str, tmp_path: Path
) -> None:
    path = Path(sqlite_database.removeprefix("sqlite:///"))
    if linked:
        (link := tmp_path / "linked.db").symlink_to(path)
        sqlite_database = f"sqlite:///{link}"
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
