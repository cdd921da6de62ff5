"""SQLite's dialect."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import sleep  # tests of other projects, in whose process we may be, replace `time.sleep`
from typing import Any

import orjson
import peewee

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.database import sqlite_backup, sqlite_purge
from notifhist.store.database.condition import Condition, Node
from notifhist.store.database.dialect import HAS_OLDER, PurgeDerived, Report
from notifhist.store.database.errors import is_too_long
from notifhist.store.database.sql import Row, rows_of_each
from notifhist.store.database.sqlite_file import SqliteFile
from notifhist.store.database.sqlite_text import NUMBER_BITS, SqliteText, numbers_of
from notifhist.store.database.tables import Table, or_add

_SEARCHED = "search_text"
"""The column with the text that is searched; a table that nobody searches lacks it, and the index."""

LONG_CHARACTERS = 64 * 1024
"""A text of an item that is longer than this stands in `long_text` (docs/adr/0021)."""


class SqliteDatabase(SqliteText, SqliteFile):
    """SQLite; see Database."""

    pieces_of = 500
    has_replicas = False
    runs_in_process = True
    has_older = HAS_OLDER
    inserts_alone = False
    sorts_groups = True

    def ahead_ticks(self) -> int:
        return 0

    def named(self, text: str) -> str:
        return text

    def locked(self, select: str) -> str:
        """Return `select`: a transaction that writes has locked the whole file."""
        return select

    def confirm_stored(self) -> None:
        """Do nothing: what a reader sees has been synced."""

    def lock_name(self, name: str) -> None:
        """Do nothing: a transaction that writes is alone."""

    def give_back_deleted(self, table: str) -> None:
        """Do nothing: a deleted row is gone, and its page is written again."""

    @contextmanager
    def pausing_after(self) -> Iterator[None]:
        """Hold one of many transactions in a row, then pause for half its time.

        SQLite's lock has no queue: other processes retry now and then, and would hardly ever find it free.
        """
        started = time.monotonic()
        yield
        sleep((time.monotonic() - started) / 2)

    def first_within(self, max_bytes: int | None, limit: int, text: str, values: Mapping[str, object]) -> Any:
        """Return the row, if no value is longer than the connection may make it meanwhile."""
        values = {**values, "limit": limit}
        if max_bytes is None:
            return self.execute_sql(text, values).fetchone()
        connection: sqlite3.Connection = self.connection()  # type: ignore[no-untyped-call]  # by peewee's stubs
        usual = connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max_bytes)
        try:
            return self.execute_sql(text, values).fetchone()
        except (peewee.DataError, sqlite3.DataError) as error:
            if not is_too_long(error):
                raise
            return None
        finally:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, usual)

    def param_table(self, columns: Mapping[str, str]) -> str:
        """Return the table of `:param`, a JSON array of rows."""
        extracted = ", ".join(f"json_extract(value, '$[{n}]') AS {name}" for n, name in enumerate(columns))
        return f"(SELECT {extracted} FROM json_each(:param)) AS param"

    def param_value(self, columns: Iterable[str], rows: Sequence[Sequence[Any]]) -> str:
        return orjson.dumps(rows).decode()

    def for_each(
        self, text: str, columns: Mapping[str, str], keys: Sequence[Sequence[Any]], **values: object
    ) -> list[Row]:
        return rows_of_each(self, text, columns, keys, **values)

    def insert_missing(self, table: Table, rows: Sequence[Sequence[Any]]) -> set[tuple[Any, ...]]:
        """Insert row by row: for RETURNING, SQLite would write a temporary file at each statement."""
        names = list(table.columns)
        conflict = f"ON CONFLICT ({', '.join(table.key)}) DO NOTHING"
        insert = f"{table.insert} VALUES ({', '.join('?' * len(names))}) {conflict}"
        key_indexes = [names.index(name) for name in table.key]
        may_be_long = [names.index(name) for name in table.long_texts]
        inserted = set()
        self.start_deadline()
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]  # by peewee's stubs
            cursor = self.cursor()  # type: ignore[no-untyped-call]
            for row in rows:
                long = [n for n in may_be_long if row[n] is not None and len(row[n]) > LONG_CHARACTERS]
                key = tuple([row[n] for n in key_indexes])
                if long and _has(cursor, table, key):
                    continue
                values = _with_references(cursor, table, key, row, long) if long else row
                if cursor.execute(insert, values).rowcount > 0:
                    inserted.add(key)
        return inserted

    def insert_or_add(self, table: Table, rows: Iterable[Sequence[Any]], columns: Sequence[str] = ()) -> None:
        values = ", ".join("?" if name in (columns or table.columns) else "0" for name in table.columns)
        self.execute_many(f"{table.insert} VALUES ({values}) {or_add(table, columns or table.columns)}", rows)

    def insert_searchable(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert records; those with a text are numbered, since the index refers to them by rowid."""
        if not rows:
            return
        names = list(columns)
        if _SEARCHED in names:
            text = names.index(_SEARCHED)
            first = self._next_number(table, rows[0][0])
            texts = [(number, row[text]) for number, row in enumerate(rows, first)]
            rows = [(*row, number) for number, row in enumerate(rows, first)]
            names.append("number")
        self.execute_many(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", rows)
        if _SEARCHED in names:
            self.execute_many(f"INSERT INTO {table}_search (rowid, text) VALUES (?, ?)", texts)

    def move_searchable(
        self, source: Table, table: str, tenant_id: int, returned: Sequence[str], characters: int
    ) -> list[tuple[Any, ...]]:
        """Move all, however many `characters` they have: each is a statement of its own."""
        columns = list(source.columns)
        taken = f"DELETE FROM {source.name} WHERE tenant_id = ? RETURNING {', '.join(columns)}"
        moved = self.execute_sql(taken, (tenant_id,)).fetchall()
        self.insert_searchable(table, columns, moved)
        places = [columns.index(name) for name in returned]
        return [tuple([row[n] for n in places]) for row in moved]

    def _next_number(self, table: str, tenant_id: int) -> int:
        """Return the number for a tenant's next record."""
        low = tenant_id << NUMBER_BITS
        last = f"SELECT number FROM {table} WHERE number BETWEEN ? AND ? ORDER BY number DESC LIMIT 1"
        found = self.execute_sql(last, (low, low + (1 << NUMBER_BITS) - 1)).fetchone()
        return 1 + (found[0] if found else low)

    def update_searchable(self, table: str, row: Mapping[str, object]) -> None:
        """Replace the record; to remove its old text from the index, the index needs that text."""
        is_it = "WHERE tenant_id = :tenant_id AND id = :id"
        update = f"UPDATE {table} SET {', '.join(f'{name} = :{name}' for name in row)} {is_it}"
        index = f"INSERT INTO {table}_search (rowid, text) SELECT number, {_SEARCHED} FROM {table} {is_it}"
        searched = _SEARCHED in row
        for sql in (f"{_forget(table)} {is_it}", update, index) if searched else (update,):
            self.execute_sql(sql, row)

    def delete_searchable(self, table: str, condition: str, values: Mapping[str, object]) -> None:
        self.execute_sql(f"{_forget(table)} WHERE {condition}", values)
        self.execute_sql(f"DELETE FROM {table} WHERE {condition}", values)

    def count_likely(self, table: str, trigrams: str, tenant_id: int) -> int | None:
        counted = f"SELECT count(*) FROM {table}_search WHERE {table}_search MATCH ? AND {numbers_of(str(tenant_id))}"
        count: int = self.execute_sql(counted, (trigrams,)).fetchone()[0]
        return count

    def count_found(self, table: str, text: str, tenant_id: int) -> int | None:
        """Return how many records `found` finds: the index counts them exactly."""
        return self.count_likely(table, '"' + text.replace('"', '""') + '"', tenant_id)

    def place_tables(self) -> list[str]:
        return []

    def nodes(self) -> list[Node]:
        return []

    def making_tables(self, tables: Mapping[str, str]) -> list[str]:
        return []

    def unplaced_tables(self) -> list[str]:
        return []

    def ensure_partitions(self, ticks: Iterable[int], now_ticks: int, oldest_ms: int | None) -> None:
        """Do nothing: there are no partitions."""

    def count_expired(self, oldest_ms: int) -> int:
        return sqlite_purge.count_expired(self, oldest_ms * TICKS_PER_MS)

    def purge(self, oldest_ms: int, batch: int, purge_derived: PurgeDerived) -> Iterator[int]:
        return sqlite_purge.purge(self, oldest_ms, batch, purge_derived)

    def condition(self) -> Condition:
        mode = self.execute_sql("PRAGMA journal_mode").fetchone()[0]
        return Condition(file=self.path, is_in_wal_mode=mode == "wal", was_in_wal_mode=self.was_in_wal_mode)

    def damage(self) -> list[str]:
        self.start_deadline()
        return sqlite_backup.damage_of(self.connection())  # type: ignore[no-untyped-call]  # by peewee's stubs

    def backup_command(self, path: Path) -> list[str]:
        return []

    def back_up(self, path: Path, report: Report) -> None:
        sqlite_backup.back_up(self.connection(), path, report)  # type: ignore[no-untyped-call]  # by peewee's stubs


def _forget(table: str) -> str:
    """Return the beginning of the statement that takes records out of the index of texts, which needs their texts."""
    return f"""INSERT INTO {table}_search ({table}_search, rowid, text)
    SELECT 'delete', number, {_SEARCHED} FROM {table}"""


def _has(cursor: sqlite3.Cursor, table: Table, key: Sequence[Any]) -> bool:
    """Say whether a table has a row of this key."""
    is_it = " AND ".join(f"{name} = ?" for name in table.key)
    return cursor.execute(f"SELECT 1 FROM {table.name} WHERE {is_it}", key).fetchone() is not None


def _with_references(
    cursor: sqlite3.Cursor, table: Table, key: Sequence[Any], row: Sequence[Any], long: Iterable[int]
) -> list[Any]:
    """Store the `long` values of a row apart; return the row with references to them (docs/adr/0021)."""
    values = list(row)
    for n in long:
        columns = ", ".join((*table.key, "text"))
        marks = ", ".join("?" * (len(key) + 1))
        cursor.execute(f"INSERT INTO long_text ({columns}) VALUES ({marks})", (*key, row[n]))
        values[n] = str(cursor.lastrowid).encode()
    return values
