"""A PostgreSQL database that somebody names for the tests, which drop whatever is in it: one that holds nothing."""

from typing import Any

import pytest

_TABLES = """SELECT oid::regclass::text FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
AND relname NOT IN ('meta', 'schema_migration')"""
_EMPTY_IT = (
    "Name another database, or, if nobody needs what is in this one: DROP SCHEMA public CASCADE; CREATE SCHEMA public."
)


def refuse_filled(url: str) -> None:
    """Raise UsageError if a table has rows, whoever made it; those that `notifhist migrate` fills do not count."""
    import psycopg

    try:
        with psycopg.connect(url) as connection:
            tables = [name for (name,) in connection.execute(_TABLES)]
            filled = [name for name in tables if connection.execute(f"SELECT 1 FROM {name} LIMIT 1").rowcount]
    except psycopg.Error as error:  # a trace would show the password
        raise pytest.UsageError(f"The database cannot be used: {error}") from None
    if filled:
        raise pytest.UsageError(f"The tests drop all tables, and these have rows: {', '.join(filled)}. {_EMPTY_IT}")


def is_any_waiting(connection: Any) -> bool:
    """Say whether a transaction waits for another one, on whatever node of a cluster it does."""
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
    if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'citus'").fetchall():
        waiting = f"{waiting} UNION ALL SELECT 1 FROM citus_lock_waits"
    return bool(connection.execute(waiting).fetchall())
