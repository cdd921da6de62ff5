"""The databases: how to open one, connect to it, and create or upgrade its tables."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import peewee
from playhouse.migrations import Runner

from notifhist.config import ConfigError
from notifhist.store.database.dialect import TRIGRAM, Database, Table
from notifhist.store.database.errors import ERRORS, exceeded_limits, is_unreachable, sqlstate
from notifhist.store.database.postgresql import PostgresqlDatabase
from notifhist.store.database.sqlite import SqliteDatabase

__all__ = [
    "ERRORS",
    "TRIGRAM",
    "Database",
    "PostgresqlDatabase",
    "SqliteDatabase",
    "Table",
    "discard_connection",
    "ensure_connected",
    "exceeded_limits",
    "is_unreachable",
    "migrate",
    "open_database",
    "pending_migrations",
    "sqlstate",
]

_MIGRATIONS = Path(__file__).parents[1] / "migrations"
_OTHER_LAYOUT = (
    "This database was made by another version, and this one does not read its tables. Keep its data: run "
    "`notifhist export > history.ndjson` with that version, name a new database in NOTIFHIST_DATABASE_URL, "
    "`notifhist load history.ndjson` with this one, and create new keys. A file of the demo "
    "(notifhist-demo.db) holds only examples: delete it."
)


def open_database(url: str, *, create: bool = False, statement_timeout_s: float = 0) -> Database:
    """Return the database at `url` (see `NOTIFHIST_DATABASE_URL`), without connecting.

    `create` makes a missing SQLite file; without it, connecting to a missing file fails. `statement_timeout_s` ends
    a statement (`exceeded_limits`); 0: never. Raises ConfigError if the driver is missing.
    """
    scheme = url.partition(":")[0]
    return _DIALECTS[scheme](url, create=create, statement_timeout_s=statement_timeout_s)


def _open_postgresql(url: str, **options: Any) -> Database:
    try:
        import psycopg  # noqa: F401 - an extra
    except ImportError:
        raise ConfigError("PostgreSQL needs a driver: pip install 'notifhist[postgres]'") from None
    return PostgresqlDatabase(url, **options)


_DIALECTS: dict[str, Callable[..., Database]] = {
    "sqlite": SqliteDatabase,
    "postgresql": _open_postgresql,
    "postgres": _open_postgresql,
}
"""The functions that open a database, by the scheme of its URL."""


def ensure_connected(db: Database) -> None:
    """Make sure that this thread has a working connection, which it keeps. Raises one of ERRORS."""
    if not db.is_closed():
        if db.is_current():
            return
        discard_connection(db)
    db.connect(reuse_if_open=True)


def discard_connection(db: Database) -> None:
    """Close this thread's connection, whatever state it is in; `ensure_connected` opens a new one."""
    # peewee refuses to close within a transaction, and a connection that is only dropped keeps its locks until it
    # is collected.
    state: Any = db._state  # type: ignore[attr-defined]  # peewee's own, of both dialects
    state.transactions.clear()
    with suppress(peewee.PeeweeException):
        db.close()


def migrate(db: Database) -> list[str]:
    """Create or upgrade the tables; safe to repeat, and by several hosts at once.

    Returns the names of the migrations applied. The database must be connected. Raises ConfigError for a database
    of another version's layout.
    """
    with db.migrating():
        _refuse_other_layout(db)
        applied: list[str] = _runner(db).up()
    return applied


def pending_migrations(db: Database) -> list[str]:
    """Return the names of the migrations that are yet to be applied. Raises ConfigError as `migrate` does."""
    _refuse_other_layout(db)
    return [each.name for each in _runner(db).status() if each.applied is None]


def _refuse_other_layout(db: Database) -> None:
    """Raise ConfigError if a migration was applied that this version does not have."""
    if any(each.path is None for each in _runner(db).status()):
        raise ConfigError(_OTHER_LAYOUT)


def _runner(db: Database) -> Runner:
    return Runner(db, directory=str(_MIGRATIONS))
