"""The databases: how to open one, what its transactions are, and where the SQL of requests differs."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import peewee
from playhouse.migrations import Runner

from notifhist.config import ConfigError
from notifhist.store.database.columns import INSERT_ITEMS, ITEM_COLUMNS, RUNS_OF_PARTS, TRIGRAM, UNLESS_THERE
from notifhist.store.database.postgresql import PostgresqlDatabase
from notifhist.store.database.sqlite import SqliteDatabase

__all__ = [
    "ERRORS",
    "INSERT_ITEMS",
    "ITEM_COLUMNS",
    "RUNS_OF_PARTS",
    "TRIGRAM",
    "UNLESS_THERE",
    "Database",
    "PostgresqlDatabase",
    "SqliteDatabase",
    "give_up",
    "is_unreachable",
    "lease",
    "migrate",
    "open_database",
    "pending_migrations",
    "sqlstate",
    "was_too_much",
]

_MIGRATIONS = Path(__file__).parents[1] / "migrations"
_UNDEFINED_TABLE, _QUERY_CANCELED, _LIMIT_EXCEEDED = "42P01", "57014", "54000"

Database = SqliteDatabase | PostgresqlDatabase


ERRORS = (peewee.PeeweeException, sqlite3.Error)
"""What a database raises: peewee's errors, and SQLite's own amid the rows of an answer."""
_UNREACHABLE = (
    *(peewee.OperationalError, peewee.InterfaceError, peewee.InternalError),
    *(sqlite3.OperationalError, sqlite3.InterfaceError, sqlite3.InternalError),
)


def is_unreachable(error: Exception) -> bool:
    """Say whether `error` is what a database raises that is gone, locked, full, damaged or not migrated."""
    if isinstance(error, _UNREACHABLE) or type(error) in (peewee.DatabaseError, sqlite3.DatabaseError):
        return True
    return sqlstate(error) == _UNDEFINED_TABLE


def was_too_much(error: Exception) -> bool:
    """Say whether `error` tells of a statement that took too long, or of an answer too long for one text."""
    return any(
        getattr(each, "sqlite_errorcode", None) in (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_TOOBIG)
        or getattr(each, "sqlstate", None) in (_QUERY_CANCELED, _LIMIT_EXCEEDED)
        for each in _causes(error)
    )


def sqlstate(error: Exception) -> str | None:
    """Return PostgreSQL's code of what went wrong; None if it has said nothing, and of SQLite."""
    return next((each.sqlstate for each in _causes(error) if getattr(each, "sqlstate", None)), None)


def _causes(error: BaseException) -> Iterator[Any]:
    """Yield what led to an error, that itself first: SQLite ends a transaction by itself, which is an error next."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def open_database(url: str, *, create: bool = False, statement_timeout_s: float = 0) -> Database:
    """Return the database at `url` (see `NOTIFHIST_DATABASE_URL`), without connecting.

    `create` makes a SQLite file that is missing; otherwise that is an error when it is connected to.
    `statement_timeout_s`: after that a statement is ended (`was_too_much`); 0: never.
    Raises ConfigError where the driver is missing.
    """
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        return SqliteDatabase(path, create=create, statement_timeout_s=statement_timeout_s)
    try:
        import psycopg  # noqa: F401 - an extra
    except ImportError:
        raise ConfigError("PostgreSQL needs a driver: pip install 'notifhist[postgres]'") from None
    return PostgresqlDatabase(url, statement_timeout_s=statement_timeout_s)


def lease(db: Database) -> None:
    """Make sure that this thread has a connection that works; it keeps it for the next request.

    Raises what the database raises; see `is_unreachable`.
    """
    if not db.is_closed():
        if db.is_current():
            return
        give_up(db)
    db.connect(reuse_if_open=True)


def give_up(db: Database) -> None:
    """Close this thread's connection, whatever state it is in, so that the next lease opens a new one."""
    # peewee closes nothing amid a transaction; dropped only, a connection would keep its locks for a while.
    db._state.transactions.clear()  # type: ignore[union-attr]  # peewee's stubs leave it out
    with suppress(peewee.PeeweeException):
        db.close()


def migrate(db: Database) -> list[str]:
    """Create or upgrade the tables; safe to repeat, and by several hosts at once.

    Returns the names of the migrations applied. The database must be connected.
    """
    with db.migrating():
        applied: list[str] = Runner(db, directory=str(_MIGRATIONS)).up()
    return applied


def pending_migrations(db: Database) -> list[str]:
    """Return the names of the migrations that are yet to be applied."""
    return [each.name for each in Runner(db, directory=str(_MIGRATIONS)).status() if each.applied is None]
