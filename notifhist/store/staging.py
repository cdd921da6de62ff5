"""The sound records of a file as rows, put aside on disk: memory stays flat however large the file."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from notifhist.schemas.query import CheckPath
from notifhist.store.bulk import ItemRow, Row, RunRow

BATCH = 2000
"""Rows that are stored together at most."""
_BATCH_CHARACTERS = 4 * 1024 * 1024
"""As many make a batch too, of what is kept of its rows."""

_TABLE = """CREATE TABLE record (
    n INTEGER PRIMARY KEY, line INTEGER, place TEXT, one INTEGER, other INTEGER, document TEXT, rest TEXT)"""
_INDEX = "CREATE INDEX by_key ON record (place, one, other)"
_ADD = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)"
_REPEATED = """SELECT later.n, earlier.line, earlier.document FROM (
    SELECT n, (SELECT min(n) FROM record AS any
        WHERE any.place = some.place AND any.one = some.one AND any.other = some.other) AS first
    FROM record AS some WHERE n >= ?) AS later
JOIN record AS earlier ON earlier.n = later.first WHERE later.first < later.n"""


class Sound:
    """Rows in the order in which they were added; gone when it is closed."""

    def __init__(self) -> None:
        self.count = 0
        self._next = 0
        self._db = sqlite3.connect("")  # a temporary file
        for pragma in ("journal_mode = off", "page_size = 32768", "cache_size = -8000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute(_TABLE)
        self._db.execute(_INDEX)

    def add(self, rows: Sequence[Row]) -> list[tuple[Row, int]]:
        """Add rows, but those that have other content than an earlier one of their key: return them.

        Each with the line of the earlier one. An equal one is added again.
        """
        start = self._next
        self._next += len(rows)
        self._db.executemany(_ADD, [(n, *_columns(row)) for n, row in enumerate(rows, start)])
        contradicting = []
        for n, line, document in self._db.execute(_REPEATED, (start,)).fetchall():
            if not rows[n - start].is_same(document):
                contradicting.append((rows[n - start], int(line)))
                self._db.execute("DELETE FROM record WHERE n = ?", (n,))
        self.count += len(rows) - len(contradicting)
        return contradicting

    def batches(self) -> Iterator[list[Row]]:
        """Yield the rows, as many at once as are to be stored together."""
        batch: list[Row] = []
        characters = 0
        for columns in self._db.execute(
            "SELECT line, place, one, other, document, rest FROM record ORDER BY n"
        ):
            batch.append(_row(*columns))
            characters += len(columns[-1]) + len(columns[-2])
            if len(batch) == BATCH or characters >= _BATCH_CHARACTERS:
                yield batch
                batch, characters = [], 0
        if batch:
            yield batch

    def close(self) -> None:
        """Remove what was kept."""
        self._db.close()


def _columns(row: Row) -> tuple[Any, ...]:
    if isinstance(row, ItemRow):
        place, rest = list(vars(row.check).values()), [row.xml, row.xml_version]
        return row.line, _text(place), row.ticks, row.rest, row.document, _text(rest)
    return row.line, _text([row.tenant]), row.id, 0, row.document, _text([row.filled, *row.values[:-1]])


def _row(line: int, place: str, one: int, other: int, document: str, rest: str) -> Row:
    ids, values = orjson.loads(place), orjson.loads(rest)
    if len(ids) > 1:
        return ItemRow(line, CheckPath(*ids), one, other, document, *values)
    filled, *found_by = values
    return RunRow(line, ids[0], filled, (*found_by, document))


def _text(values: list[Any]) -> str:
    return orjson.dumps(values).decode()
