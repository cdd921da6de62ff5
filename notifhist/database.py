"""The databases: how to open one, what its transactions are, and all SQL in which the two differ."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import peewee
from playhouse.migrations import Runner

from notifhist.config import ConfigError

_UNDEFINED_TABLE = "42P01"

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_SPACE = 0x6E6F7469  # any number, as long as all hosts take the same
_BUSY_TIMEOUT_S = 20
_LOOK_AGAIN_S = 0.001
_READING = "DEFERRED"
_TRUSTED_IDLE_S = 1.0

_PRAGMAS = {
    # These two count for a new file only: large pages hold whole items side by side, free ones are given back.
    "page_size": 32_768,
    "auto_vacuum": "incremental",
    "journal_mode": "wal",
    "synchronous": "full",
    "cache_size": -8_000,  # kB
}
ITEM_COLUMNS = {
    "series_id": "bigint",
    "ticks": "bigint",
    "rest": "bigint",
    "document": "text",
    "xml": "text",
    "xml_version": "integer",
}
"""The columns of `history_item` with their types."""
COUNT_COLUMNS = {
    "tenant_id": "bigint",
    "shift": "integer",
    "bucket": "bigint",
    "one": "bigint",
    "other": "bigint",
    "runs": "bigint",
    "is_divided": "boolean",
}
"""The columns of `run_count` with their types."""
_INSERT_COUNTS = f"INSERT INTO run_count ({', '.join(COUNT_COLUMNS)})"
_OR_ADD = (
    "ON CONFLICT (tenant_id, shift, bucket, one, other) DO UPDATE SET runs = run_count.runs + excluded.runs"
)
_INSERT_ITEMS = f"INSERT INTO history_item ({', '.join(ITEM_COLUMNS)})"
_UNLESS_THERE = "ON CONFLICT (series_id, ticks, rest) DO NOTHING RETURNING ticks, rest"
TRIGRAM = 3
"""Characters that a searched text must have to be found by an index."""


class SqliteDatabase(peewee.SqliteDatabase):
    """SQLite in a file: WAL, so that writers never fail readers; synced at every commit."""

    def __init__(self, path: str, *, create: bool = False) -> None:
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

    def _connect(self) -> Any:
        give_up_at = time.monotonic() + _BUSY_TIMEOUT_S
        while True:
            try:
                connection = super()._connect()  # type: ignore[misc]  # peewee's stubs leave it out
            except sqlite3.OperationalError as error:
                # SQLite does not wait for its turn to change the journal mode, as it does for all else.
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                    raise
                time.sleep(0.01)
            else:
                self._opened.inode = _inode(self.path)
                return connection

    def is_current(self) -> bool:
        """Say whether this thread's connection is one to the file that stands at the path now."""
        return _inode(self.path) == getattr(self._opened, "inode", None)

    def writing(self) -> Any:
        """Return a transaction that writes: it takes the lock at once, so that it need never be undone."""
        return self.atomic("IMMEDIATE")

    def begin(self, lock_type: str | None = None) -> None:
        """Begin a transaction. Who has to wait for the lock looks for it every millisecond.

        SQLite by itself would look again ever more rarely, at last every 0.1 s, and leave the disk idle.
        """
        if lock_type == _READING:
            super().begin(lock_type)  # it waits for nobody
            return
        give_up_at = time.monotonic() + _BUSY_TIMEOUT_S
        self._set_busy_timeout(0)
        try:
            while not self._has_begun(lock_type, final=time.monotonic() > give_up_at):
                time.sleep(_LOOK_AGAIN_S)
        finally:
            self._set_busy_timeout(_BUSY_TIMEOUT_S)

    def _has_begun(self, lock_type: str | None, final: bool) -> bool:
        try:
            super().begin(lock_type)
        except peewee.OperationalError as error:
            if final or getattr(error.__context__, "sqlite_errorcode", 0) != sqlite3.SQLITE_BUSY:
                raise
            return False
        return True

    def _set_busy_timeout(self, seconds: int) -> None:
        self.execute_sql(f"PRAGMA busy_timeout = {seconds * 1000}")  # type: ignore[no-untyped-call]

    def reading(self) -> Any:
        """Return a transaction whose reads all see the same state."""
        return self.atomic(_READING)

    def locked(self, query: Any) -> Any:
        """Return `query` such that its rows stay as they are until the transaction ends."""
        return query  # `writing` has locked them all

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
        count: int = self.execute_sql(counted, (phrase, first, last)).fetchone()[0]  # type: ignore[no-untyped-call]
        return count

    def insert_items(self, rows: Sequence[Sequence[Any]]) -> list[tuple[int, int]]:
        """Insert those of the items that are not there; return their `ticks` and `rest`.

        A row has the columns ITEM_COLUMNS.
        """
        insert = f"{_INSERT_ITEMS} VALUES ({', '.join('?' * len(ITEM_COLUMNS))}) {_UNLESS_THERE}"
        return [key for row in rows for key in self.execute_sql(insert, row).fetchall()]  # type: ignore[no-untyped-call]

    def add_counts(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add counts of runs to those that are there. A row has the columns COUNT_COLUMNS."""
        self.execute_many(f"{_INSERT_COUNTS} VALUES ({', '.join('?' * len(COUNT_COLUMNS))}) {_OR_ADD}", rows)

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
        """Execute `sql` for each row of parameters."""
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]  # by peewee's stubs
            self.cursor().executemany(sql, rows)  # type: ignore[no-untyped-call]

    def lock_name(self, name: str) -> None:
        """Make other transactions that lock the same name wait: `writing` has locked everyone out."""

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold one of many transactions in a row, and then let others write.

        SQLite's lock knows no queue: who waits for it looks again every 0.1 s, and would never find it free.
        """
        started = time.monotonic()
        yield
        time.sleep((time.monotonic() - started) / 2)

    def migrating(self) -> Any:
        """Return a transaction in which only one host at a time migrates."""
        return self.atomic("EXCLUSIVE")


class PostgresqlDatabase(peewee.PostgresqlDatabase):
    """PostgreSQL, through psycopg 3."""

    def __init__(self, url: str) -> None:
        super().__init__(
            url.replace("postgres://", "postgresql://", 1),
            prefer_psycopg3=True,
            autoconnect=False,
            connect_timeout=5,
            client_encoding="UTF8",
        )
        self._used = threading.local()

    def is_current(self) -> bool:
        """Say whether this thread's connection still works; one that did a moment ago is trusted."""
        last, self._used.at = getattr(self._used, "at", 0.0), time.monotonic()
        if self._used.at - last < _TRUSTED_IDLE_S:
            return self.is_connection_usable()
        try:
            self.execute_sql("SELECT 1")  # type: ignore[no-untyped-call]  # by peewee's stubs
        except peewee.PeeweeException:
            return False
        return True

    def writing(self) -> Any:
        """Return a transaction that writes."""
        return self.atomic()

    def reading(self) -> Any:
        """Return a transaction whose reads all see the same state."""
        return self.atomic(isolation_level="REPEATABLE READ")

    def locked(self, query: Any) -> Any:
        """Return `query` such that its rows stay as they are until the transaction ends."""
        return query.for_update()

    def contains(self, column: Any, text: Any) -> Any:
        """Return the condition that `column` contains `text`, literally."""
        return peewee.fn.STRPOS(column, text) > 0

    def found(self, run: Any, text: Any, first: Any, last: Any) -> Any:
        """Return the condition that the search text of `run` contains `text` of TRIGRAM characters or more."""
        trigrams = peewee.fn.notifhist_trigrams
        likely = peewee.Expression(trigrams(run.search_text), "@>", trigrams(text))
        return likely & self.contains(run.search_text, text)

    def count_found(self, text: str, first: int, last: int) -> int | None:
        """Return None: the index knows only which runs are likely."""
        return None

    def insert_items(self, rows: Sequence[Sequence[Any]]) -> list[tuple[int, int]]:
        """Insert those of the items that are not there, in one round trip; return their `ticks` and `rest`.

        A row has the columns ITEM_COLUMNS.
        """
        insert = f"{_INSERT_ITEMS} {_from_arrays(ITEM_COLUMNS)} {_UNLESS_THERE}"
        inserted: list[tuple[int, int]] = self.execute_sql(insert, _columns(rows)).fetchall()  # type: ignore[no-untyped-call]
        return inserted

    def add_counts(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add counts of runs to those that are there, in one round trip. A row has the columns COUNT_COLUMNS."""
        insert = f"{_INSERT_COUNTS} {_from_arrays(COUNT_COLUMNS)} {_OR_ADD}"
        self.execute_sql(insert, _columns(rows))  # type: ignore[no-untyped-call]

    def index_texts(self, texts: Sequence[tuple[int, str]]) -> None:
        """Do nothing: the index is one of the table's own."""

    def forget_texts(self, texts: Sequence[tuple[int, str]]) -> None:
        """Do nothing: the index is one of the table's own."""

    def unindexed(self, column: Any) -> Any:
        """Return `column`: PostgreSQL's planner knows what it holds."""
        return column

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Execute `sql` for each row of parameters; in few round trips."""
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]  # by peewee's stubs
            self.cursor().executemany(sql.replace("?", "%s"), rows)  # type: ignore[no-untyped-call]

    def lock_name(self, name: str) -> None:
        """Make other transactions that lock the same name wait for the end of this one."""
        self._take_lock("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", _LOCK_SPACE, name)

    def turn(self) -> AbstractContextManager[None]:
        """Hold one of many transactions in a row, and then let others write: they wait for no such lock."""
        return nullcontext()

    @contextmanager
    def migrating(self) -> Iterator[None]:
        """Hold a transaction in which only one host at a time migrates."""
        with self.atomic():
            self._take_lock("SELECT pg_advisory_xact_lock(%s)", _LOCK_SPACE)
            yield

    def _take_lock(self, sql: str, *parameters: object) -> None:
        self.execute_sql(sql, parameters)  # type: ignore[no-untyped-call]  # by peewee's stubs


Database = SqliteDatabase | PostgresqlDatabase


def is_unreachable(error: peewee.PeeweeException) -> bool:
    """Say whether `error` is what a database raises that is gone, locked, full, damaged or not migrated."""
    if isinstance(error, peewee.OperationalError | peewee.InterfaceError | peewee.InternalError):
        return True
    return type(error) is peewee.DatabaseError or sqlstate(error) == _UNDEFINED_TABLE


def sqlstate(error: peewee.PeeweeException) -> str | None:
    """Return PostgreSQL's code of what went wrong; None if it has said nothing, and of SQLite."""
    return getattr(error.__cause__ or error.__context__, "sqlstate", None)


def open_database(url: str, *, create: bool = False) -> Database:
    """Return the database at `url` (see `NOTIFHIST_DATABASE_URL`), without connecting.

    `create` makes a SQLite file that is missing; otherwise that is an error when it is connected to.
    Raises ConfigError where the driver is missing.
    """
    if url.startswith("sqlite:///"):
        return SqliteDatabase(url.removeprefix("sqlite:///"), create=create)
    try:
        import psycopg  # noqa: F401 - an extra
    except ImportError:
        raise ConfigError("PostgreSQL needs a driver: pip install 'notifhist[postgres]'") from None
    return PostgresqlDatabase(url)


def lease(db: Database) -> None:
    """Make sure that this thread has a connection that works; it keeps it for the next request.

    Raises what the database raises; see `is_unreachable`.
    """
    if not db.is_closed():
        if db.is_current():
            return
        give_up(db)
    db.connect(reuse_if_open=True)


def give_up(db: Database) -> None:
    """Close this thread's connection, whatever state it is in, so that the next lease opens a new one."""
    # peewee closes nothing amid a transaction; dropped only, a connection would keep its locks for a while.
    db._state.transactions.clear()  # type: ignore[union-attr]  # peewee's stubs leave it out
    with suppress(peewee.PeeweeException):
        db.close()


def migrate(db: Database) -> list[str]:
    """Create or upgrade the tables; safe to repeat, and by several hosts at once.

    Returns the names of the migrations applied. The database must be connected.
    """
    with db.migrating():
        applied: list[str] = Runner(db, directory=str(_MIGRATIONS)).up()
    return applied


def pending_migrations(db: Database) -> list[str]:
    """Return the names of the migrations that are yet to be applied."""
    return [each.name for each in Runner(db, directory=str(_MIGRATIONS)).status() if each.applied is None]


def _from_arrays(types: Mapping[str, str]) -> str:
    """Return the SELECT of rows that are given as one array for each column."""
    return f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in types.values())})"  # noqa: S608


def _columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
