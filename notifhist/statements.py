"""Queries that are written once and run often: writing one takes peewee longer than a database to answer it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import peewee

from notifhist.database import Database


@dataclass(frozen=True)
class _Given:
    name: str


def given(name: str) -> Any:
    """Return what stands in a query for the value that `Statement.rows` is given by this name."""
    return peewee.AsIs(_Given(name), converter=False)


class Statement:
    """A query with `given` values, written down in the words of each kind of database when it is first run.

    The same text each time lets the database's driver keep it prepared, too.
    """

    def __init__(self, build: Callable[[Database], Any]) -> None:
        """Take what builds the query for a kind of database."""
        self._build = build
        self._written: dict[type[Database], tuple[str, list[Any]]] = {}

    def rows(self, db: Database, **values: object) -> list[tuple[Any, ...]]:
        """Return all rows that the database answers, with `values` for what is `given`."""
        sql, parameters = self._written.get(type(db)) or self._write(db)
        filled = [values[each.name] if isinstance(each, _Given) else each for each in parameters]
        rows: list[tuple[Any, ...]] = db.execute_sql(sql, filled).fetchall()  # type: ignore[no-untyped-call]
        return rows

    def _write(self, db: Database) -> tuple[str, list[Any]]:
        sql, parameters = db.get_sql_context().sql(self._build(db)).query()  # type: ignore[no-untyped-call]
        self._written[type(db)] = sql, parameters
        return sql, parameters
