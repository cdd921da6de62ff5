"""PostgreSQL, through psycopg 3."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import orjson
import peewee

from notifhist.store.database.columns import (
    COUNT_COLUMNS,
    INSERT_COUNTS,
    INSERT_ITEMS,
    ITEM_COLUMNS,
    OR_ADD,
    UNLESS_THERE,
)

_LOCK_SPACE = 0x6E6F7469  # any number, as long as all hosts take the same
_TRUSTED_IDLE_S = 1.0


class PostgresqlDatabase(peewee.PostgresqlDatabase):
    """PostgreSQL, through psycopg 3."""

    JOINED = "STRING_AGG"
    """The aggregate that makes one text of many: of these and a separator."""
    TEXTS_AT_ONCE = 250
    """How many texts of a page to put together by one statement: the driver has each three times."""

    def __init__(self, url: str, *, statement_timeout_s: float = 0) -> None:
        self._timeout_s = statement_timeout_s
        super().__init__(
            url.replace("postgres://", "postgresql://", 1),
            prefer_psycopg3=True,
            autoconnect=False,
            connect_timeout=5,
            client_encoding="UTF8",
        )
        self._used = threading.local()

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[misc]  # peewee's stubs leave it out
        if self._timeout_s:
            connection.execute(f"SET statement_timeout = {round(self._timeout_s * 1000)}")
        return connection

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

    def joined(self, texts: Any, separator: str) -> Any:
        """Return all of a column's texts as one, text or UTF-8, in the order of the rows; null if there are none."""
        return peewee.Function(self.JOINED, (texts, separator))

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
        insert = f"{INSERT_ITEMS} {_from_json(ITEM_COLUMNS)} {UNLESS_THERE} RETURNING ticks, rest"
        inserted: list[tuple[int, int]] = self.execute_sql(insert, [_json(ITEM_COLUMNS, rows)]).fetchall()  # type: ignore[no-untyped-call]
        return inserted

    def add_counts(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add counts of runs to those that are there, in one round trip. A row has the columns COUNT_COLUMNS."""
        insert = f"{INSERT_COUNTS} {_from_json(COUNT_COLUMNS)} {OR_ADD}"
        self.execute_sql(insert, [_json(COUNT_COLUMNS, rows)])  # type: ignore[no-untyped-call]

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


def _from_json(types: Mapping[str, str]) -> str:
    """Return the SELECT of rows that are given as one text, see `_json`: its driver takes longer to write arrays."""
    columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
    return f"SELECT * FROM json_to_recordset(%s::json) AS given ({columns})"  # noqa: S608


def _json(names: Iterable[str], rows: Sequence[Sequence[Any]]) -> str:
    return orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()
