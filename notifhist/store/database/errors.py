"""The errors of the databases, and the conditions that they report."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import peewee

_UNDEFINED_TABLE, _UNDEFINED_COLUMN = "42P01", "42703"
_QUERY_CANCELED, _LIMIT_EXCEEDED = "57014", "54000"

ENDED = ("57P", "08")
"""How codes begin by which a server refuses a connection or ends one: shutdown, crash, recovery; connection errors."""

ERRORS = (peewee.PeeweeException, sqlite3.Error)
"""The errors of a database: peewee's, and SQLite's own while rows are fetched."""
_UNREACHABLE = (
    *(peewee.OperationalError, peewee.InterfaceError, peewee.InternalError),
    *(sqlite3.OperationalError, sqlite3.InterfaceError, sqlite3.InternalError),
)


class BackupFailed(Exception):
    """A copy of a database that could not be made, or is not sound; the message says why."""


def is_unreachable(error: Exception) -> bool:
    """Say whether the database is gone, locked, full, damaged or not migrated."""
    if isinstance(error, _UNREACHABLE) or type(error) in (peewee.DatabaseError, sqlite3.DatabaseError):
        return True
    return sqlstate(error) in (_UNDEFINED_TABLE, _UNDEFINED_COLUMN)


def is_lost(error: Exception) -> bool:
    """Say whether the server cannot be reached, or has ended the connection, or was given up: another may answer.

    A server that runs and does not let us in is not lost: it has no such database, or no connection left for us.
    """
    if exceeded_limits(error) or not isinstance(error, peewee.OperationalError | peewee.InterfaceError):
        return False
    code = sqlstate(error)
    return code is None or code.startswith(ENDED)


def is_too_long(error: Exception) -> bool:
    """Say whether SQLite would have had to make a longer value than the connection may."""
    return any(getattr(each, "sqlite_errorcode", None) == sqlite3.SQLITE_TOOBIG for each in _causes(error))


def exceeded_limits(error: Exception) -> bool:
    """Say whether a statement ran into its time limit, or its answer was too long for one text."""
    return any(
        getattr(each, "sqlite_errorcode", None) in (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_TOOBIG)
        or getattr(each, "sqlstate", None) in (_QUERY_CANCELED, _LIMIT_EXCEEDED)
        for each in _causes(error)
    )


def is_undefined_table(error: Exception) -> bool:
    """Say whether PostgreSQL does not know the table of a statement."""
    return sqlstate(error) == _UNDEFINED_TABLE


def given_up_as(error: Exception) -> str | None:
    """Return `late` if a server did not answer a statement in time, `silent` if it answered nobody; else None."""
    return next((each.given_up_as for each in _causes(error) if hasattr(each, "given_up_as")), None)


def refused_as(error: Exception) -> str | None:
    """Return why the database refused a request, as it is counted; None if the request itself is at fault, or we are.

    `late` and `silent` as `given_up_as`; `limit`: `exceeded_limits`; `unreachable`: `is_unreachable`.
    """
    other = "limit" if exceeded_limits(error) else "unreachable" if is_unreachable(error) else None
    return given_up_as(error) or other


def sqlstate(error: Exception) -> str | None:
    """Return PostgreSQL's error code; None for an error of SQLite or of the connection."""
    return next((each.sqlstate for each in _causes(error) if getattr(each, "sqlstate", None)), None)


def _causes(error: BaseException) -> Iterator[Any]:
    """Yield an error and its causes.

    SQLite ends a transaction itself when a statement runs out of time; the rollback that follows is a second error.
    """
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
