"""Queries that are written once and run often: writing one takes peewee longer than a database to answer it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import peewee

from notifhist.store.database import Database


@dataclass(frozen=True)
class _Given:
    name: str


def given(name: str) -> Any:
    """Return what stands in a query for the value that `Statement.rows` is given by this name."""
    return peewee.AsIs(_Given(name), converter=False)


def written(sql: str) -> Any:
    """Return a query that is written as SQL, in which `:name` is what is given by that name."""
    parts = re.split(r":(\w+)", sql)
    return peewee.NodeList(
        [given(part) if n % 2 else peewee.SQL(part) for n, part in enumerate(parts)], glue=""
    )


class Statement:
    """A query with `given` values, written down in the words of each kind of database when it is first run.

    The same text each time lets the database's driver keep it prepared, too.
    """

    def __init__(self, build: Callable[[Database], Any]) -> None:
        """Take what builds the query for a kind of database."""
        self._build = build
        self._written: dict[type[Database], tuple[str, list[Any]]] = {}
        """By kind of database the SQL, and its parameters: each `_Given` or a value."""

    def rows(self, db: Database, **values: object) -> list[tuple[Any, ...]]:
        """Return all rows that the database answers, with `values` for what is `given`."""
        sql, parameters = self._written.get(type(db)) or self._write(db)
        filled = [values[each.name] if isinstance(each, _Given) else each for each in parameters]
        rows: list[tuple[Any, ...]] = db.execute_sql(sql, filled).fetchall()
        return rows

    def _write(self, db: Database) -> tuple[str, list[Any]]:
        sql, parameters = db.get_sql_context().sql(self._build(db)).query()  # type: ignore[no-untyped-call]
        self._written[type(db)] = sql, parameters
        return sql, parameters
