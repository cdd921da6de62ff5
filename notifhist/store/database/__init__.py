"""The databases: how to open one, and connect to it."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import peewee

from notifhist.config import ConfigError
from notifhist.store.database.condition import Condition, Node
from notifhist.store.database.dialect import TRIGRAM, Database, Report
from notifhist.store.database.errors import (
    ERRORS,
    BackupFailed,
    exceeded_limits,
    given_up_as,
    is_lost,
    is_unreachable,
    refused_as,
    sqlstate,
)
from notifhist.store.database.postgresql import PostgresqlDatabase
from notifhist.store.database.sqlite import SqliteDatabase
from notifhist.store.database.tables import Table

__all__ = [
    "ERRORS",
    "TRIGRAM",
    "BackupFailed",
    "Condition",
    "Database",
    "Node",
    "PostgresqlDatabase",
    "Report",
    "SqliteDatabase",
    "Table",
    "discard_connection",
    "ensure_connected",
    "exceeded_limits",
    "given_up_as",
    "is_lost",
    "is_unreachable",
    "open_database",
    "refused_as",
    "sqlstate",
]


def open_database(
    url: str, *, create: bool = False, statement_timeout_s: float = 0, tells_time: bool = True
) -> Database:
    """Return the database at `url` (see `NOTIFHIST_DATABASE_URL`), without connecting.

    `create` makes a missing SQLite file; without it, connecting to a missing file fails. `statement_timeout_s` ends
    a statement (`exceeded_limits`); 0: never. `tells_time`: whether its clock counts (`ahead_ticks`). Raises
    ConfigError if the driver is missing.
    """
    scheme = url.partition(":")[0]
    open_it = _DIALECTS[scheme]
    return open_it(url, create=create, statement_timeout_s=statement_timeout_s, tells_time=tells_time)


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
