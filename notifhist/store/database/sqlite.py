"""SQLite: one file, one writer at a time."""

import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import peewee

from notifhist.store.database import sqlite_purge
from notifhist.store.database.dialect import Table, or_add

_BUSY_TIMEOUT_S = 20
_FIRST_RETRY_S, _LAST_RETRY_S = 0.0001, 0.001
_READING = "DEFERRED"
_CHECK_EVERY_INSTRUCTIONS = 500_000
"""SQLite's virtual machine runs so many in some tens of ms, then the deadline of the statement is checked."""
_NUMBER_BITS = 40
"""A record's rowid is its tenant's number and then a number of so many bits."""
_PRAGMAS_OF_NEW_FILES = (
    ("page_size", 32_768),  # a page holds several whole items
    ("auto_vacuum", "incremental"),  # the space of deleted rows can be given back
)
_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "cache_size": -8_000,  # kB
}


class _Deadline:
    """Tells a connection to interrupt its statement after a time, by the monotonic clock."""

    def __init__(self) -> None:
        self.at = math.inf

    def __call__(self) -> bool:
        return time.monotonic() > self.at


class SqliteDatabase(peewee.SqliteDatabase):
    """SQLite in a file: WAL, so that writers never fail readers; synced at every commit."""

    pieces_of = 500

    def __init__(self, path: str, *, create: bool = False, statement_timeout_s: float = 0) -> None:
        self._timeout_s = statement_timeout_s
        self.path = Path(path).absolute()
        mode = "rwc" if create else "rw"
        super().__init__(
            # An ordinary open would make an empty database in the place of one that is gone.
            f"file:{quote(str(self.path))}?mode={mode}",
            uri=True,
            timeout=_BUSY_TIMEOUT_S,
            autoconnect=False,
            returning_clause=True,
            pragmas=_PRAGMAS,
        )
        self._opened = threading.local()
        self._writer = threading.Lock()

    def _connect(self) -> Any:
        until = time.monotonic() + _BUSY_TIMEOUT_S
        while True:
            try:
                connection = super()._connect()  # type: ignore[misc]  # peewee's stubs leave it out
            except sqlite3.OperationalError as error:
                # SQLite's busy timeout does not hold for a change of the journal mode.
                if not _is_busy(error) or time.monotonic() > until:
                    raise
                time.sleep(0.01)
            else:
                self._opened.inode = _inode(self.path)
                self._opened.deadline = deadline = _Deadline()
                if self._timeout_s:
                    connection.set_progress_handler(deadline, _CHECK_EVERY_INSTRUCTIONS)
                return connection

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Execute a statement; its time limit starts now."""
        self._start_deadline()
        return super().execute_sql(sql, params)  # type: ignore[no-untyped-call]  # by peewee's stubs

    def _start_deadline(self) -> None:
        if self._timeout_s and (deadline := getattr(self._opened, "deadline", None)):
            deadline.at = time.monotonic() + self._timeout_s

    def _set_pragmas(self, connection: sqlite3.Connection) -> None:
        if not self.path.stat().st_size:  # in a file with tables, auto_vacuum would wait for the write lock
            for name, value in _PRAGMAS_OF_NEW_FILES:
                connection.execute(f"PRAGMA {name} = {value}")
        super()._set_pragmas(connection)  # type: ignore[misc]  # peewee's stubs leave it out

    def is_current(self) -> bool:
        """Say whether this thread's connection leads to the file that is at the path now."""
        return _inode(self.path) == getattr(self._opened, "inode", None)

    def writing(self) -> Any:
        """Return a transaction that writes. It takes the write lock at once: a later upgrade could fail."""
        return self.atomic("IMMEDIATE")

    def begin(self, lock_type: str | None = None) -> None:
        """Begin a transaction; one that writes waits for other processes, retrying every millisecond at last.

        SQLite's own busy handler ends up retrying every 0.1 s, and the disk is idle meanwhile. The threads of this
        process wait for a lock instead, which wakes one of them.
        """
        if lock_type == _READING:
            super().begin(lock_type)  # a reader waits for nobody in WAL mode
            return
        until = time.monotonic() + _BUSY_TIMEOUT_S
        if not self._writer.acquire(timeout=_BUSY_TIMEOUT_S):
            raise peewee.OperationalError("database is locked")
        self._opened.writes = True
        try:
            self._wait_for_others(lock_type, until)
        except BaseException:
            self._release_writer()
            raise

    def _wait_for_others(self, lock_type: str | None, until: float) -> None:
        pause_s = _FIRST_RETRY_S
        self._set_busy_timeout(0)
        try:
            while not self._has_begun(lock_type, final=time.monotonic() > until):
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LAST_RETRY_S)
        finally:
            self._set_busy_timeout(_BUSY_TIMEOUT_S)

    def commit(self) -> Any:
        """Commit. If that fails, peewee rolls back next."""
        super().commit()
        self._release_writer()

    def rollback(self) -> Any:
        """Undo the transaction."""
        try:
            super().rollback()
        finally:
            self._release_writer()

    def _close(self, connection: Any) -> None:
        try:
            super()._close(connection)  # type: ignore[misc]  # peewee's stubs leave it out
        finally:
            self._release_writer()

    def _release_writer(self) -> None:
        if getattr(self._opened, "writes", False):
            self._opened.writes = False
            self._writer.release()

    def _has_begun(self, lock_type: str | None, final: bool) -> bool:
        try:
            super().begin(lock_type)
        except peewee.OperationalError as error:
            if final or not _is_busy(error.__context__):
                raise
            return False
        return True

    def _set_busy_timeout(self, seconds: int) -> None:
        self.execute_sql(f"PRAGMA busy_timeout = {seconds * 1000}")

    def reading(self) -> Any:
        """Return a transaction whose reads all see the same state."""
        return self.atomic(_READING)

    def named(self, text: str) -> str:
        """Return `text`: SQLite knows `:name`."""
        return text

    def execute_many(self, text: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Execute `text` for each mapping; all together have the time limit of one statement."""
        self._execute_many(text, rows)

    def _execute_many(self, sql: str, rows: Sequence[Any]) -> None:
        self._start_deadline()
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]  # by peewee's stubs
            self.cursor().executemany(sql, rows)  # type: ignore[no-untyped-call]

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
    def unindexed(column: str) -> str:
        """Return `column` such that no index is chosen for it: SQLite has no statistics to choose well by."""
        return f"+{column}"

    def given(self, columns: Mapping[str, str]) -> str:
        """Return the table of `:given`, a JSON array of rows."""
        extracted = ", ".join(f"json_extract(value, '$[{n}]') AS {name}" for n, name in enumerate(columns))
        return f"(SELECT {extracted} FROM json_each(:given)) AS given"

    def given_value(self, columns: Iterable[str], rows: Sequence[Sequence[Any]]) -> str:
        """Return rows as a JSON array."""
        return orjson.dumps(rows).decode()

    def insert_missing(self, table: Table, rows: Sequence[Sequence[Any]]) -> set[tuple[Any, ...]]:
        """Insert row by row, and take those that changed the table.

        Not by RETURNING, for which SQLite writes a temporary file at each statement.
        """
        conflict = f"ON CONFLICT ({', '.join(table.key)}) DO NOTHING"
        insert = f"{table.insert} VALUES ({', '.join('?' * len(table.columns))}) {conflict}"
        places = [list(table.columns).index(name) for name in table.key]
        inserted = set()
        self._start_deadline()
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]  # by peewee's stubs
            cursor = self.cursor()  # type: ignore[no-untyped-call]
            for row in rows:
                if cursor.execute(insert, row).rowcount > 0:
                    inserted.add(tuple([row[n] for n in places]))
        return inserted

    def insert_or_add(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows by one prepared statement."""
        values = ", ".join("?" * len(table.columns))
        self._execute_many(f"{table.insert} VALUES ({values}) {or_add(table)}", rows)

    def insert_searchable(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Number the records within their tenant's numbers, for the index knows them by rowid."""
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
        self.execute_many(
            f"INSERT INTO {table}_search (rowid, text) VALUES (:number, :search_text)", numbered
        )

    def update_searchable(self, table: str, row: Mapping[str, object]) -> None:
        """Replace the record; its old text must be given to take it out of the index."""
        is_it = "WHERE tenant_id = :tenant_id AND id = :id"
        forget = (
            f"INSERT INTO {table}_search ({table}_search, rowid, text) SELECT 'delete', number, search_text"
        )
        self.execute_sql(f"{forget} FROM {table} {is_it}", row)
        changes = ", ".join(f"{name} = :{name}" for name in row)
        self.execute_sql(f"UPDATE {table} SET {changes} {is_it}", row)
        index = f"INSERT INTO {table}_search (rowid, text) SELECT number, search_text FROM {table}"
        self.execute_sql(f"{index} {is_it}", row)

    @staticmethod
    def contains(column: str, text: str) -> str:
        """Return the condition that `column` contains `text`, literally."""
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

    def prepare_times(self, ticks: Iterable[int], now_ticks: int, oldest_ms: int | None) -> None:
        """Do nothing: SQLite has no partitions."""

    def count_expired(self, before: int) -> int:
        """Return how many items `purge` will delete."""
        return sqlite_purge.count_expired(self, before)

    def purge(self, before: int, batch: int) -> Iterator[int]:
        """Delete series by series, `batch` items at once at most; then make the file shorter."""
        return sqlite_purge.purge(self, before, batch)

    def migrating(self) -> Any:
        """Return a transaction in which only one host at a time migrates."""
        return self.atomic("EXCLUSIVE")


def _is_busy(error: BaseException | None) -> bool:
    """Say whether somebody else has the lock, for whatever reason, which the upper bits would tell."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
