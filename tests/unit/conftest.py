"""Databases without tables, for what makes tables; a clock to set, and a counter that goes by it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifhist.clock import Clock
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.machine import machine_directory
from notifhist.store.request_counts import MachineCounter
from tests.conftest import NAMED_POSTGRES, without_tables

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
