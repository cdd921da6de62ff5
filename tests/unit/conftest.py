"""Databases without tables, and installations for doctor; a clock to set, and a counter that goes by it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from notifhist.clock import Clock
from notifhist.operations import machine_checks
from notifhist.operations.database_checks import DISK_WARNING_BYTES
from notifhist.operations.installation import Installation
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.machine import machine_directory
from notifhist.store.request_counts import MachineCounter
from tests.conftest import NAMED_POSTGRES, store_key, without_tables
from tests.system.service import wait_until
from tests.unit.examined import REAL_CLOCK, Doctor, Examined

NOW_MS = 1_320_885_544_875


@pytest.fixture
def empty_postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a PostgreSQL database without tables, which no other test uses meanwhile."""
    import psycopg

    if NAMED_POSTGRES:
        with without_tables(request.getfixturevalue("postgres_tables")) as url:
            yield url
        return
    postgres_url: str = request.getfixturevalue("postgres_url")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty_notifhist")
        yield postgres_url.replace("/postgres?", "/empty_notifhist?")
        connection.execute("DROP DATABASE empty_notifhist WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables, of each kind; the SQLite file does not exist yet."""
    url = f"sqlite:///{tmp_path}/new.db"
    if request.param == "postgres":
        url = request.getfixturevalue("empty_postgres_url")
    yield url
    shutil.rmtree(machine_directory(url), ignore_errors=True)


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    """A connection to a database without tables, of each kind."""
    database = open_database(empty_url, create=True)
    ensure_connected(database)
    yield database
    database.close()


class SettableClock(Clock):
    """A clock that stands still at `at_ms` (ms since the epoch, UTC), until it is set again."""

    at_ms = NOW_MS

    def now_ticks(self) -> int:
        return self.at_ms * TICKS_PER_MS


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def counter(tmp_path: Path, clock: SettableClock) -> MachineCounter:
    return MachineCounter(tmp_path / "counts", clock)


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> Doctor:
    """Examines the installation that settings lead to, on a machine with room and files enough.

    Only the `full_disk` of a test is seen as it is.
    """
    seen, usage = request.fixturenames, shutil.disk_usage
    full = request.getfixturevalue("full_disk").folder if "full_disk" in seen else None

    def usage_of(path: Path) -> object:
        return usage(path) if path == full else SimpleNamespace(free=10 * DISK_WARNING_BYTES)

    monkeypatch.setattr(shutil, "disk_usage", usage_of)
    monkeypatch.setattr(machine_checks, "most_files", lambda: None)

    def look(
        database_url: str,
        *,
        now_ms: Callable[[], float] = REAL_CLOCK.now_ms,
        shared_memory: Path = tmp_path,
        **settings: str,
    ) -> Examined:
        for name in [name for name in os.environ if name.startswith("NOTIFHIST_")]:
            monkeypatch.delenv(name)
        for name, value in {"DATABASE_URL": database_url, **settings}.items():
            monkeypatch.setenv(f"NOTIFHIST_{name}", value)
        return Examined(Installation(now_ms, shared_memory))

    return look


@pytest.fixture
def sound_url(database_url: str, key: str, request: pytest.FixtureRequest) -> str:
    """The URL of a database in which all is well, of each kind."""
    if database_url.startswith("postgresql"):
        request.getfixturevalue("syncing_server")
    return database_url


@pytest.fixture
def sound_sqlite(sqlite_database: str) -> str:
    """The URL of a SQLite database in which all is well; nothing is connected to it."""
    with closing(open_database(sqlite_database)) as db:
        ensure_connected(db)
        store_key(db)
    return sqlite_database


@pytest.fixture
def sound_postgres(postgres_database: str, syncing_server: None) -> str:
    """The same, on PostgreSQL."""
    with closing(open_database(postgres_database)) as db:
        ensure_connected(db)
        store_key(db)
    return postgres_database


@pytest.fixture
def syncing_server(postgres_url: str) -> Iterator[None]:
    """Has the server of the tests, which does not sync, do so."""
    import psycopg

    def sync(value: str) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET fsync = {value}".encode())
            connection.execute("SELECT pg_reload_conf()")
            wait_until(lambda: connection.execute("SHOW fsync").fetchone() == (value,))

    sync("on")
    yield
    sync("off")
