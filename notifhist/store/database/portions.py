"""Portions of records, each of which one statement brings into PostgreSQL's index of texts within its time limit."""

from collections.abc import Iterator, Sequence
from typing import Any

from notifhist.store.database.tables import Table

MOST_CHARACTERS = 1_000_000
"""The texts of a portion have so many together, if it is more than one record: their trigrams take 0.4 to 0.8 s."""


def portions_of(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    """Yield the portions of rows that have these columns; all are one if `search_text` is not among them."""
    begin = characters = 0
    if "search_text" in columns:
        text = columns.index("search_text")
        for n, row in enumerate(rows):
            characters += len(row[text])
            if characters > MOST_CHARACTERS and n > begin:
                yield rows[begin:n]
                begin, characters = n, len(row[text])
    yield rows[begin:]


def first_portion(table: Table, characters: int) -> str:
    """Return the condition of the first portion of a tenant's records.

    `characters`: how long their texts are together.
    """
    are = "tenant_id = :tenant_id"
    if characters <= MOST_CHARACTERS:
        return are
    key, own = ", ".join(table.key), "length(search_text)"
    summed = f"SELECT {key}, {own} AS own, sum({own}) OVER (ORDER BY {key}) AS together FROM {table.name} WHERE {are}"
    within = f"together <= {MOST_CHARACTERS} OR together = own"
    return f"{are} AND ({key}) IN (SELECT {key} FROM ({summed}) AS summed WHERE {within})"
