"""Hot queries are named SQL text: `:name` stands for the value of that name. Rare ones are peewee's.

Text is written once for each kind of database, so that the driver keeps it prepared.
"""

from typing import Any

from notifhist.store.database.dialect import Database

Row = tuple[Any, ...]


def rows(db: Database, text: str, **values: object) -> list[Row]:
    """Return all rows that the query `text` finds, with `values` for its `:name`s."""
    found: list[Row] = db.execute_sql(db.named(text), values).fetchall()
    return found


def first(db: Database, text: str, **values: object) -> Row | None:
    """Return the first row that the query finds; None if it finds none."""
    return next(iter(rows(db, text, **values)), None)


def changed(db: Database, text: str, **values: object) -> int:
    """Execute a statement; return how many rows it has changed."""
    return int(db.execute_sql(db.named(text), values).rowcount)


def write_nothing(db: Database) -> None:
    """Do what needs leave to write, and change nothing. Raises the database's error where there is no leave."""
    with db.writing():
        db.execute_sql("UPDATE meta SET value = value WHERE name = ''")
