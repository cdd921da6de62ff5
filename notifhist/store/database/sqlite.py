"""SQLite: one file, one writer at a time."""

import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import peewee

from notifhist.store.database.columns import (
    COUNT_COLUMNS,
    INSERT_COUNTS,
    INSERT_ITEMS,
    ITEM_COLUMNS,
    OR_ADD,
    UNLESS_THERE,
)

_BUSY_TIMEOUT_S = 20
_LOOK_AGAIN_S, _LOOK_AGAIN_AT_LAST_S = 0.0001, 0.001
_READING = "DEFERRED"
_TICKS, _REST = (list(ITEM_COLUMNS).index(name) for name in ("ticks", "rest"))
_INSTRUCTIONS = 500_000
"""Of SQLite's virtual machine, some tens of ms: so often it is asked whether a statement takes too long."""
_PRAGMAS_OF_NEW_FILES = (
    ("page_size", 32_768),  # whole items lie side by side
    ("auto_vacuum", "incremental"),  # what is deleted can be given back
)
_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "cache_size": -8_000,  # kB
}


class _Deadline:
    """When the statement that runs on a connection has to be done, by the monotonic clock."""

    def __init__(self) -> None:
        self.at = math.inf

    def __call__(self) -> bool:
        return time.monotonic() > self.at


class SqliteDatabase(peewee.SqliteDatabase):
    """SQLite in a file: WAL, so that writers never fail readers; synced at every commit."""

    JOINED = "GROUP_CONCAT"
    """The aggregate that makes one text of many: of these and a separator."""
    TEXTS_AT_ONCE = 500
    """How many texts of a page to put together by one statement: fewer take less memory, and longer."""

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
        give_up_at = time.monotonic() + _BUSY_TIMEOUT_S
        while True:
            try:
                connection = super()._connect()  # type: ignore[misc]  # peewee's stubs leave it out
            except sqlite3.OperationalError as error:
                # SQLite does not wait for its turn to change the journal mode, as it does for all else.
                if not _is_busy(error) or time.monotonic() > give_up_at:
                    raise
                time.sleep(0.01)
            else:
                self._opened.inode = _inode(self.path)
                self._opened.deadline = deadline = _Deadline()
                if self._timeout_s:
                    connection.set_progress_handler(deadline, _INSTRUCTIONS)
                return connection

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Execute a statement, which has its time from now on."""
        self._start_clock()
        return super().execute_sql(sql, params)  # type: ignore[no-untyped-call]  # by peewee's stubs

    def _start_clock(self) -> None:
        if self._timeout_s and (deadline := getattr(self._opened, "deadline", None)):
            deadline.at = time.monotonic() + self._timeout_s

    def _set_pragmas(self, connection: sqlite3.Connection) -> None:
        if not self.path.stat().st_size:  # of any other, the second would wait for the write lock
            for name, value in _PRAGMAS_OF_NEW_FILES:
                connection.execute(f"PRAGMA {name} = {value}")
        super()._set_pragmas(connection)  # type: ignore[misc]  # peewee's stubs leave it out

    def is_current(self) -> bool:
        """Say whether this thread's connection is one to the file that stands at the path now."""
        return _inode(self.path) == getattr(self._opened, "inode", None)

    def writing(self) -> Any:
        """Return a transaction that writes: it takes the lock at once, so that it need never be undone."""
        return self.atomic("IMMEDIATE")

    def begin(self, lock_type: str | None = None) -> None:
        """Begin a transaction. Who has to wait for another process looks soon again, at last every millisecond.

        SQLite by itself would look ever more rarely, at last every 0.1 s, and leave the disk idle. This process's
        own threads do not look: one of those that wait is woken.
        """
        if lock_type == _READING:
            super().begin(lock_type)  # it waits for nobody
            return
        give_up_at = time.monotonic() + _BUSY_TIMEOUT_S
        if not self._writer.acquire(timeout=_BUSY_TIMEOUT_S):
            raise peewee.OperationalError("database is locked")
        self._opened.writes = True
        try:
            self._wait_for_others(lock_type, give_up_at)
        except BaseException:
            self._let_others_write()
            raise

    def _wait_for_others(self, lock_type: str | None, give_up_at: float) -> None:
        pause_s = _LOOK_AGAIN_S
        self._set_busy_timeout(0)
        try:
            while not self._has_begun(lock_type, final=time.monotonic() > give_up_at):
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LOOK_AGAIN_AT_LAST_S)
        finally:
            self._set_busy_timeout(_BUSY_TIMEOUT_S)

    def commit(self) -> Any:
        """Commit. If that fails, peewee rolls back next."""
        super().commit()
        self._let_others_write()

    def rollback(self) -> Any:
        """Undo the transaction."""
        try:
            super().rollback()
        finally:
            self._let_others_write()

    def _close(self, connection: Any) -> None:
        try:
            super()._close(connection)  # type: ignore[misc]  # peewee's stubs leave it out
        finally:
            self._let_others_write()

    def _let_others_write(self) -> None:
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

    def locked(self, query: Any) -> Any:
        """Return `query` such that its rows stay as they are until the transaction ends."""
        return query  # `writing` has locked them all

    def joined(self, texts: Any, separator: str) -> Any:
        """Return all of a column's texts as one, text or UTF-8, in the order of the rows; null if there are none."""
        return peewee.Function(self.JOINED, (texts, separator)).cast("blob")  # bytes need not be decoded

    def contains(self, column: Any, text: Any) -> Any:
        """Return the condition that `column` contains `text`, literally."""
        return peewee.fn.INSTR(column, text) > 0

    def found(self, run: Any, text: Any, first: Any, last: Any) -> Any:
        """Return the condition that the search text of `run` contains `text` of TRIGRAM characters or more.

        `first` and `last`: between which numbers the tenant's runs are.
        """
        index = peewee.Table("run_search")
        phrase = peewee.Value('"').concat(peewee.fn.REPLACE(text, '"', '""')).concat('"')
        matches = peewee.Expression(index.c.text, "MATCH", phrase)
        return run.number << index.select(index.c.rowid).where(matches, index.c.rowid.between(first, last))

    def count_found(self, text: str, first: int, last: int) -> int | None:
        """Return how many runs `found` finds, by its index alone; None if that does not know."""
        phrase = '"' + text.replace('"', '""') + '"'
        counted = "SELECT count(*) FROM run_search WHERE text MATCH ? AND rowid BETWEEN ? AND ?"
        count: int = self.execute_sql(counted, (phrase, first, last)).fetchone()[0]
        return count

    def insert_items(self, rows: Sequence[Sequence[Any]]) -> list[tuple[int, int]]:
        """Insert those of the items that are not there; return their `ticks` and `rest`.

        A row has the columns ITEM_COLUMNS.
        """
        insert = f"{INSERT_ITEMS} VALUES ({', '.join('?' * len(ITEM_COLUMNS))}) {UNLESS_THERE}"
        # Not by RETURNING: for that SQLite keeps a copy of all that it changes, in a file that it makes each time.
        return [(row[_TICKS], row[_REST]) for row in rows if self.execute_sql(insert, row).rowcount]

    def add_counts(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add counts of runs to those that are there. A row has the columns COUNT_COLUMNS."""
        self.execute_many(f"{INSERT_COUNTS} VALUES ({', '.join('?' * len(COUNT_COLUMNS))}) {OR_ADD}", rows)

    def index_texts(self, texts: Sequence[tuple[int, str]]) -> None:
        """Make new runs' search texts, by number, be found."""
        self.execute_many("INSERT INTO run_search (rowid, text) VALUES (?, ?)", texts)

    def forget_texts(self, texts: Sequence[tuple[int, str]]) -> None:
        """Undo `index_texts` with the same texts."""
        self.execute_many("INSERT INTO run_search (run_search, rowid, text) VALUES ('delete', ?, ?)", texts)

    def unindexed(self, column: Any) -> Any:
        """Return `column` such that no index is chosen for it: SQLite knows too little to choose well."""
        return peewee.NodeList((peewee.SQL("+"), column), glue="")

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Execute `sql` for each row of parameters; all together have the time of a statement."""
        self._start_clock()
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]  # by peewee's stubs
            self.cursor().executemany(sql, rows)  # type: ignore[no-untyped-call]

    def lock_name(self, name: str) -> None:
        """Make other transactions that lock the same name wait: `writing` has locked everyone out."""

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold one of many transactions in a row, and then let others write.

        SQLite's lock knows no queue: other processes look now and then, and would hardly ever find it free.
        """
        started = time.monotonic()
        yield
        time.sleep((time.monotonic() - started) / 2)

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
