"""Tables with bulk inserts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table with bulk inserts: its columns with their types, and its key.

    `long_texts`: the columns whose texts SQLite sets apart if they are long (docs/adr/0021).
    """

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    long_texts: tuple[str, ...] = ()

    @property
    def insert(self) -> str:
        """The beginning of an INSERT of all columns."""
        return f"INSERT INTO {self.name} ({', '.join(self.columns)})"


def or_add(table: Table, columns: Iterable[str]) -> str:
    """Return the clause of an INSERT that adds to the numbers in `columns` of the row whose key is there already."""
    added = [name for name in columns if name not in table.key]
    sums = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in added)
    return f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {sums}"
