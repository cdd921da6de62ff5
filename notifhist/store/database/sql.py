"""Hot queries are named SQL text: `:name` stands for the value of that name. Rare ones are peewee's.

Text is written once for each kind of database, so that the driver keeps it prepared.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from notifhist.serializers.stored import encoded
from notifhist.store.database.dialect import Database

Row = tuple[Any, ...]
LOOKUPS: dict[str, str] = {}
"""The queries of lookups, by the subqueries that they are in SQL text."""


def lookup(select: str) -> str:
    """Return the subquery of a number that never changes once it is there.

    Citus sends a statement to one node only if it knows such a number when it plans: there it is asked for first, and
    remembered (`store.database.citus`). Everywhere else it is a subquery as any.
    """
    LOOKUPS[f"({select})"] = select
    return f"({select})"


def rows(db: Database, text: str, **values: object) -> list[Row]:
    """Return all rows that the query `text` finds, with `values` for its `:name`s."""
    found: list[Row] = db.execute_sql(db.named(text), values).fetchall()
    return found


def first(db: Database, text: str, **values: object) -> Row | None:
    """Return the first row that the query finds; None if it finds none."""
    return next(iter(rows(db, text, **values)), None)


def rows_of_each(
    db: Database, text: str, columns: Mapping[str, str], keys: Sequence[Sequence[Any]], **values: object
) -> list[Row]:
    """Return what a query finds for some keys: for `{param}` in it stands a table of these, which are one parameter."""
    if not keys:
        return []
    param = db.param_value(columns, keys)
    return rows(db, text.format(param=db.param_table(columns)), param=param, **values)


def joined_integers(db: Database, integer: str) -> str:
    """Return the aggregate that joins the integers of an SQL expression to a text, which `integers` reads."""
    return db.joined(f"CAST({integer} AS TEXT)", ",")


def integers(joined: str | bytes) -> list[int]:
    """Return the integers of a text that the database has joined."""
    found: list[int] = orjson.loads(b"[%b]" % encoded(joined))
    return found


def remember(known: dict[Any, Any], found: Mapping[Any, Any], most: int) -> None:
    """Add what was found to what is known; if that is more than `most`, what was known before is forgotten."""
    if len(known) + len(found) > most:
        known.clear()
    known.update(found)


def changed(db: Database, text: str, **values: object) -> int:
    """Execute a statement; return how many rows it has changed."""
    return int(db.execute_sql(db.named(text), values).rowcount)


def write_nothing(db: Database) -> None:
    """Do what needs leave to write, and change nothing. Raises the database's error where there is no leave."""
    with db.writing():
        db.execute_sql("UPDATE meta SET value = value WHERE name = ''")
