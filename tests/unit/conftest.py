"""Databases without tables, for what makes tables."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from notifhist.store.database import Database, ensure_connected, open_database


@pytest.fixture
def empty_postgres_url(postgres_url: str) -> Iterator[str]:
    """The URL of a PostgreSQL database of the test's own, without tables."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty_notifhist")
        yield postgres_url.replace("/postgres?", "/empty_notifhist?")
        connection.execute("DROP DATABASE empty_notifhist WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables, of each kind; the SQLite file does not exist yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new.db"
        return
    yield request.getfixturevalue("empty_postgres_url")


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    """A connection to a database without tables, of each kind."""
    database = open_database(empty_url, create=True)
    ensure_connected(database)
    yield database
    database.close()
