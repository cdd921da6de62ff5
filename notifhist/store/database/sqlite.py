"""SQLite's dialect."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import peewee

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.database import sqlite_purge
from notifhist.store.database.dialect import PurgeDerived, Table, or_add
from notifhist.store.database.sqlite_file import SqliteFile

_NUMBER_BITS = 40
"""A record's rowid is its tenant's number, followed by this many bits for the record's own number."""

LONG_CHARACTERS = 64 * 1024
"""A text of an item that is longer than this stands in `long_text` (docs/adr/0021)."""


class SqliteDatabase(SqliteFile):
    """SQLite; see Database."""

    pieces_of = 500
    has_replicas = False
    runs_in_process = True

    def named(self, text: str) -> str:
        return text

    def locked(self, select: str) -> str:
        """Return `select`: a transaction that writes has locked the whole file."""
        return select

    def lock_name(self, name: str) -> None:
        """Do nothing: a transaction that writes is alone."""

    @contextmanager
    def pausing_after(self) -> Iterator[None]:
        """Hold one of many transactions in a row, then pause for half its time.

        SQLite's lock has no queue: other processes retry now and then, and would hardly ever find it free.
        """
        started = time.monotonic()
        yield
        time.sleep((time.monotonic() - started) / 2)

    @staticmethod
    def joined(column: str, separator: str) -> str:
        """Return the aggregate of a column's texts; as a blob, since bytes need not be decoded."""
        return f"CAST(group_concat({column}, '{separator}') AS BLOB)"

    @staticmethod
    def text_of(column: str) -> str:
        """Return the column, or the long text it refers to; `typeof` does not read the column (docs/adr/0021)."""
        long_text = f"(SELECT text FROM long_text WHERE id = CAST({column} AS INTEGER))"
        return f"CASE typeof({column}) WHEN 'blob' THEN {long_text} ELSE {column} END"

    @staticmethod
    def unindexed(column: str) -> str:
        """Return `column` such that no index is chosen for it: SQLite has no statistics to choose well by."""
        return f"+{column}"

    def param_table(self, columns: Mapping[str, str]) -> str:
        """Return the table of `:param`, a JSON array of rows."""
        extracted = ", ".join(f"json_extract(value, '$[{n}]') AS {name}" for n, name in enumerate(columns))
        return f"(SELECT {extracted} FROM json_each(:param)) AS param"

    def param_value(self, columns: Iterable[str], rows: Sequence[Sequence[Any]]) -> str:
        return orjson.dumps(rows).decode()

    def insert_missing(self, table: Table, rows: Sequence[Sequence[Any]]) -> set[tuple[Any, ...]]:
        """Insert row by row: for RETURNING, SQLite would write a temporary file at each statement.

        A long text is set apart by a trigger, once its row is updated.
        """
        conflict = f"ON CONFLICT ({', '.join(table.key)}) DO NOTHING"
        insert = f"{table.insert} VALUES ({', '.join('?' * len(table.columns))}) {conflict}"
        key_indexes = [list(table.columns).index(name) for name in table.key]
        inserted = set()
        self.start_deadline()
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]  # by peewee's stubs
            cursor = self.cursor()  # type: ignore[no-untyped-call]
            for row in rows:
                if cursor.execute(insert, row).rowcount > 0:
                    key = tuple([row[n] for n in key_indexes])
                    inserted.add(key)
                    if any(isinstance(value, str) and len(value) > LONG_CHARACTERS for value in row):
                        cursor.execute(_same_again(table), key)
        return inserted

    def insert_or_add(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        values = ", ".join("?" * len(table.columns))
        self.execute_many(f"{table.insert} VALUES ({values}) {or_add(table)}", rows)

    def insert_searchable(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Number the records within their tenant's numbers, since the index refers to them by rowid."""
        if not rows:
            return
        low = int(str(rows[0]["tenant_id"])) << _NUMBER_BITS
        last = f"SELECT number FROM {table} WHERE number BETWEEN ? AND ? ORDER BY number DESC LIMIT 1"
        found = self.execute_sql(last, (low, low + (1 << _NUMBER_BITS) - 1)).fetchone()
        greatest = found[0] if found else low
        numbered = [{"number": greatest + n, **row} for n, row in enumerate(rows, start=1)]
        names = list(numbered[0])
        values = ", ".join(f":{name}" for name in names)
        self.execute_many(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})", numbered)
        self.execute_many(f"INSERT INTO {table}_search (rowid, text) VALUES (:number, :search_text)", numbered)

    def update_searchable(self, table: str, row: Mapping[str, object]) -> None:
        """Replace the record; to remove its old text from the index, the index needs that text."""
        is_it = "WHERE tenant_id = :tenant_id AND id = :id"
        self.execute_sql(f"{_forget(table)} {is_it}", row)
        changes = ", ".join(f"{name} = :{name}" for name in row)
        self.execute_sql(f"UPDATE {table} SET {changes} {is_it}", row)
        index = f"INSERT INTO {table}_search (rowid, text) SELECT number, search_text FROM {table}"
        self.execute_sql(f"{index} {is_it}", row)

    def delete_searchable(self, table: str, condition: str, values: Mapping[str, object]) -> None:
        self.execute_sql(f"{_forget(table)} WHERE {condition}", values)
        self.execute_sql(f"DELETE FROM {table} WHERE {condition}", values)

    @staticmethod
    def contains(column: str, text: str) -> str:
        return f"instr({column}, {text}) > 0"

    @staticmethod
    def found(table: str, text: str, tenant_id: str) -> str:
        """Return the condition that the index has the record's number, among the tenant's numbers."""
        phrase = f"""'"' || replace({text}, '"', '""') || '"'"""
        numbers = f"rowid BETWEEN {tenant_id} << {_NUMBER_BITS} AND (({tenant_id} + 1) << {_NUMBER_BITS}) - 1"
        return f"number IN (SELECT rowid FROM {table}_search WHERE text MATCH {phrase} AND {numbers})"

    def count_found(self, table: str, text: str, tenant_id: int) -> int | None:
        """Return how many records `found` finds: the index counts them exactly."""
        phrase, low = '"' + text.replace('"', '""') + '"', tenant_id << _NUMBER_BITS
        counted = f"SELECT count(*) FROM {table}_search WHERE text MATCH ? AND rowid BETWEEN ? AND ?"
        count: int = self.execute_sql(counted, (phrase, low, low + (1 << _NUMBER_BITS) - 1)).fetchone()[0]
        return count

    def ensure_partitions(self, ticks: Iterable[int], now_ticks: int, oldest_ms: int | None) -> None:
        """Do nothing: there are no partitions."""

    def count_expired(self, oldest_ms: int) -> int:
        return sqlite_purge.count_expired(self, oldest_ms * TICKS_PER_MS)

    def purge(self, oldest_ms: int, batch: int, purge_derived: PurgeDerived) -> Iterator[int]:
        return sqlite_purge.purge(self, oldest_ms, batch, purge_derived)


def _same_again(table: Table) -> str:
    """Return the statement that gives the row of a key the values that it has, for the sake of triggers."""
    same = ", ".join(f"{name} = {name}" for name in table.columns if name not in table.key)
    return f"UPDATE {table.name} SET {same} WHERE {' AND '.join(f'{name} = ?' for name in table.key)}"


def _forget(table: str) -> str:
    """Return the beginning of the statement that takes records out of the index of texts, which needs their texts."""
    return f"""INSERT INTO {table}_search ({table}_search, rowid, text)
    SELECT 'delete', number, search_text FROM {table}"""
