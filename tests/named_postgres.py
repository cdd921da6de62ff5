"""A PostgreSQL database that somebody names for the tests, which drop whatever is in it: one that holds nothing."""

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
            filled = [name for name in tables if connection.execute(f"SELECT FROM {name} LIMIT 1").rowcount]
    except psycopg.Error as error:  # a trace would show the password
        raise pytest.UsageError(f"The database cannot be used: {error}") from None
    if filled:
        raise pytest.UsageError(f"The tests drop all tables, and these have rows: {', '.join(filled)}. {_EMPTY_IT}")
