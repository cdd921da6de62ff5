"""SQLite's connections and transactions: one file, one writer at a time, a time limit for each statement."""

import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import peewee

from notifhist.store.database.sqlite_wal import (
    count_connection,
    file_id,
    forget_connection,
    index_of,
    is_in_wal_mode,
    log_of,
)
from notifhist.store.database.writers import OTHERS_WAIT_S, WriteTurn

_BUSY_TIMEOUT_S = 20
"""How long a command waits for a lock. A request waits as long as a statement may take, if that is less."""
_FIRST_RETRY_S, _LAST_RETRY_S = 0.0001, 0.001
_READING = "DEFERRED"
_CHECK_EVERY_INSTRUCTIONS = 500_000
"""Instructions of SQLite's virtual machine, some tens of ms, after which a statement's deadline is checked."""
_PRAGMAS_OF_NEW_FILES = (
    ("page_size", 32_768),  # a page holds several whole items
    ("auto_vacuum", "incremental"),  # the space of deleted rows can be given back
)
_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "cache_size": -8_000,  # kB
    "cache_spill": 1_000,  # pages: a transaction of up to 32 MB is written once, at its end, not as the cache fills up
}


class _Deadline:
    """Tells a connection to interrupt its statement once `at` is past, by the monotonic clock."""

    def __init__(self) -> None:
        self.at = math.inf

    def __call__(self) -> bool:
        return time.monotonic() > self.at


class SqliteFile(peewee.SqliteDatabase):
    """A SQLite file: WAL, so that readers and writers do not wait for each other; synced at every commit."""

    def __init__(
        self, url: str, *, create: bool = False, statement_timeout_s: float = 0, tells_time: bool = True
    ) -> None:
        """`tells_time` has no effect: there is no clock but this machine's."""
        self._timeout_s = statement_timeout_s
        self._write_wait_s = min(statement_timeout_s or _BUSY_TIMEOUT_S, _BUSY_TIMEOUT_S)
        # Readers wait only where somebody has the whole file for himself, and then all threads do.
        self._busy_timeout_s = OTHERS_WAIT_S if statement_timeout_s else _BUSY_TIMEOUT_S
        self.path = Path(url.removeprefix("sqlite:///")).absolute()
        mode = "rwc" if create else "rw"
        super().__init__(
            # An ordinary open would make an empty database in the place of one that is gone.
            f"file:{quote(str(self.path))}?mode={mode}",
            uri=True,
            timeout=self._busy_timeout_s,
            autoconnect=False,
            returning_clause=True,
            pragmas=_PRAGMAS,
        )
        self._opened = threading.local()
        self._turn = WriteTurn()
        self.was_in_wal_mode = True
        """Whether the file was in that mode when it was connected to; each connection sees to it."""

    @property
    def remembered(self) -> dict[Any, Any]:
        """See Database."""
        found: dict[Any, Any] = self._opened.remembered
        return found

    def _connect(self) -> Any:
        self.was_in_wal_mode = is_in_wal_mode(self.path)
        self._opened.counted, is_foreign = count_connection(self.path)
        try:
            return self._connect_counted(is_foreign)
        except BaseException:
            self._forget_connection()
            raise

    def _connect_counted(self, is_foreign: bool) -> Any:
        if is_foreign:
            raise peewee.OperationalError(
                f"{log_of(self.path)} was written for another file than {self.path}: was a copy put in its place? "
                f"Stop the service, remove {log_of(self.path).name} and {index_of(self.path).name}, start it again"
            )
        until = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                connection = super()._connect()  # type: ignore[misc]  # peewee's stubs leave it out
            except sqlite3.OperationalError as error:
                # SQLite's busy timeout does not hold for a change of the journal mode.
                if not _is_busy(error) or time.monotonic() > until:
                    raise
                time.sleep(0.01)
            else:
                self._opened.file = file_id(self.path)
                self._opened.remembered = {}
                self._opened.deadline = deadline = _Deadline()
                if self._timeout_s:
                    connection.set_progress_handler(deadline, _CHECK_EVERY_INSTRUCTIONS)
                return connection

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Execute a statement; its time limit starts now."""
        self.start_deadline()
        return super().execute_sql(sql, params)  # type: ignore[no-untyped-call]  # by peewee's stubs

    def start_deadline(self) -> None:
        """Have the time limit of a statement start now."""
        if self._timeout_s and (deadline := getattr(self._opened, "deadline", None)):
            deadline.at = time.monotonic() + self._timeout_s

    def _set_pragmas(self, connection: sqlite3.Connection) -> None:
        if not self.path.stat().st_size:  # in a file with tables, auto_vacuum would wait for the write lock
            for name, value in _PRAGMAS_OF_NEW_FILES:
                connection.execute(f"PRAGMA {name} = {value}")
        super()._set_pragmas(connection)  # type: ignore[misc]  # peewee's stubs leave it out

    def is_current(self) -> bool:
        """Say whether this thread's connection leads to the file that is at the path now."""
        return file_id(self.path) == getattr(self._opened, "file", None)

    def may_be_written(self) -> bool:
        """Say whether this user may write to the file and to its log, or make that."""
        return all(_may_write(each) for each in (self.path, log_of(self.path), index_of(self.path)))

    def writing(self) -> Any:
        """Return a transaction that writes. It takes the write lock at once: a later upgrade could fail."""
        return self.atomic("IMMEDIATE")

    def begin(self, lock_type: str | None = None) -> None:
        """Begin a transaction; one that writes waits for other processes: it retries after 0.1 ms, later each ms.

        SQLite's own busy handler ends up retrying every 0.1 s, and the disk is idle meanwhile. The threads of this
        process wait for their turn instead, at which one of them wakes.
        """
        if lock_type == _READING:
            super().begin(lock_type)  # a reader waits for nobody in WAL mode
            return
        until = time.monotonic() + self._write_wait_s
        if not self._turn.take(until):
            raise peewee.OperationalError("database is locked, and another thread waits for it already")
        try:
            self._wait_for_others(lock_type, until)
        except BaseException:
            self._turn.give_up()
            raise
        self._opened.writes = True
        self._turn.start()

    def _wait_for_others(self, lock_type: str | None, until: float) -> None:
        pause_s = _FIRST_RETRY_S
        self._set_busy_timeout(0)
        try:
            while not self._has_begun(lock_type, final=time.monotonic() > until):
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LAST_RETRY_S)
        finally:
            self._set_busy_timeout(self._busy_timeout_s)

    def commit(self) -> Any:
        """Commit. If that fails, peewee rolls back next."""
        super().commit()
        self._release_writer()

    def rollback(self) -> Any:
        """Undo the transaction. It never fails: peewee calls it amid an error, and a second one would hide that.

        SQLite itself undoes a transaction that a full disk or a time limit ends.
        """
        try:
            if self.connection().in_transaction:  # type: ignore[no-untyped-call]  # by peewee's stubs
                super().rollback()
        except (peewee.PeeweeException, sqlite3.Error):
            with suppress(peewee.PeeweeException, sqlite3.Error):
                self.close()  # that undoes it too
        finally:
            self._release_writer()

    def _close(self, connection: Any) -> None:
        try:
            super()._close(connection)  # type: ignore[misc]  # peewee's stubs leave it out
        finally:
            self._forget_connection()
            self._release_writer()

    def _forget_connection(self) -> None:
        if hasattr(self._opened, "counted"):
            forget_connection(self._opened.counted)
            del self._opened.counted

    def _release_writer(self) -> None:
        if getattr(self._opened, "writes", False):
            self._opened.writes = False
            self._turn.end()

    def _has_begun(self, lock_type: str | None, final: bool) -> bool:
        try:
            super().begin(lock_type)
        except peewee.OperationalError as error:
            if final or not _is_busy(error.__context__):
                raise
            return False
        return True

    def _set_busy_timeout(self, seconds: float) -> None:
        self.execute_sql(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    def reading(self) -> Any:
        """Return a transaction whose reads all see the same state."""
        return self.atomic(_READING)

    def migrating(self) -> Any:
        """Return a transaction in which only one host at a time migrates."""
        return self.atomic("EXCLUSIVE")

    def execute_many(self, text: str, rows: Iterable[Any]) -> None:
        """Execute a statement once for each row of parameters; all together have the time limit of one."""
        self.start_deadline()
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]  # by peewee's stubs
            self.cursor().executemany(text, rows)  # type: ignore[no-untyped-call]


def _may_write(path: Path) -> bool:
    """Say whether this user may write to a file, or make it, if it is not there."""
    place = path if path.exists() else path.parent
    return os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _is_busy(error: BaseException | None) -> bool:
    """Say whether another connection has the lock; the upper bits of the code, its reason, are ignored."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
