"""Expiry: what is not shown any more is deleted, and its space given back, while everybody else goes on.

`oldest_ms`: the time before which everything has expired, ms since the epoch, UTC.
"""

import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import peewee

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store import partitions
from notifhist.store.database import Database, PostgresqlDatabase, SqliteDatabase
from notifhist.store.models import HistoryItemRow, SeriesRow
from notifhist.store.sql import Statement, given

_SERIES_BATCH = 500
_MOST_OF_A_WEEK = 10_000
"""Items that are deleted one by one of a week that has not expired as a whole."""
_PAGES_MOVED = 64
"""Pages, of 32 kB, that SQLite moves in one transaction to make the file shorter."""
_WRITERS_WAIT_MS = 50


def count_expired(db: Database, oldest_ms: int) -> int:
    """Return how many items `purge` will delete."""
    low = oldest_ms * TICKS_PER_MS
    if isinstance(db, SqliteDatabase):
        return int(_COUNT.rows(db, low=low)[0][0])
    tables = [partitions.name_of(week) for week in _expired_weeks(db, low)]
    return _count(db, partitions.OTHER, low) + sum(_count(db, each) for each in tables) + _rest(db, low)


def purge(db: Database, oldest_ms: int, batch: int) -> Iterator[int]:
    """Delete what has expired and give its space back; yield how many items, after each transaction.

    SQLite deletes up to `batch` items at once. PostgreSQL does so in the default partition, and drops each week
    that has expired as a whole. Of the week in which `oldest_ms` lies the expired items are deleted if they are
    few; many stay until that week is over. Raises OperationalError where a week is in use all the time.
    """
    low = oldest_ms * TICKS_PER_MS
    return (
        _purge_sqlite(db, low, batch) if isinstance(db, SqliteDatabase) else _purge_postgresql(db, low, batch)
    )


def _purge_sqlite(db: SqliteDatabase, low: int, batch: int) -> Iterator[int]:
    """Go from series to series: the items of one lie side by side, those of one time lie all over the file."""
    # What is deleted is overwritten otherwise, where SQLite is built like that: half as much again to write.
    db.pragma("secure_delete", "off")
    after = 0
    while rows := _EXPIRED_SERIES.rows(db, after=after, low=low):
        series = deque(series_id for (series_id,) in rows)
        after = series[-1]
        while series:
            with db.turn():
                deleted = _delete_of_series(db, series, low, batch)
            yield deleted
    _shrink(db)


def _delete_of_series(db: SqliteDatabase, series: deque[int], low: int, batch: int) -> int:
    """Delete up to `batch` expired items of the first of the series, which leave it once they have no more."""
    row, deleted = HistoryItemRow, 0
    with db.writing():
        while series and deleted < batch:
            expired = (row.series_id == series[0]) & (row.ticks < low)
            rows = _BEHIND_BATCH.rows(db, series_id=series[0], low=low, batch=batch - deleted)
            for ticks, rest in rows:
                expired &= peewee.Tuple(row.ticks, row.rest) < peewee.Tuple(ticks, rest)
            deleted += row.delete().where(expired).execute(db)
            if not rows:
                series.popleft()
    return deleted


def _shrink(db: SqliteDatabase) -> None:
    """Give unused pages back to the file system, if the file was made so that it can."""
    connection: sqlite3.Connection = db.connection()  # type: ignore[no-untyped-call]  # by peewee's stubs
    unused = db.pragma("freelist_count") if db.pragma("auto_vacuum") else 0
    for _ in range(0, unused, _PAGES_MOVED):
        with db.turn():
            connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_MOVED})")  # `execute` moves but one
    # The file gets shorter when its log is written back. That waits for readers, and writers for it.
    patience_ms = db.pragma("busy_timeout")
    db.pragma("busy_timeout", _WRITERS_WAIT_MS)
    for _ in range(20):
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            break
        time.sleep(2 * _WRITERS_WAIT_MS / 1000)
    db.pragma("busy_timeout", patience_ms)


def _purge_postgresql(db: PostgresqlDatabase, low: int, batch: int) -> Iterator[int]:
    for week in _expired_weeks(db, low):
        items = _count(db, partitions.name_of(week))
        partitions.drop(db, week)
        yield items
    if _rest(db, low):
        rest = partitions.name_of(low // partitions.WEEK_TICKS)
        yield _execute(db, f"DELETE FROM {rest} WHERE ticks < %s", low)  # noqa: S608 - our own name
    key = "series_id, ticks, rest"
    some = f"SELECT {key} FROM {partitions.OTHER} WHERE ticks < %s ORDER BY ticks LIMIT %s"  # noqa: S608
    deleted = batch
    while deleted == batch:
        deleted = _execute(db, f"DELETE FROM {partitions.OTHER} WHERE ({key}) IN ({some})", low, batch)  # noqa: S608
        yield deleted


def _expired_weeks(db: PostgresqlDatabase, low: int) -> list[int]:
    return [week for week in partitions.weeks(db) if (week + 1) * partitions.WEEK_TICKS <= low]


def _rest(db: PostgresqlDatabase, low: int) -> int:
    """Return how many items have expired of the week that `low` lies in, if they are few; else 0."""
    week = low // partitions.WEEK_TICKS
    if not partitions.exists(db, week):
        return 0
    some = f"SELECT 1 FROM {partitions.name_of(week)} WHERE ticks < %s LIMIT %s"  # noqa: S608 - our own name
    rows = db.execute_sql(f"SELECT count(*) FROM ({some}) AS few", (low, _MOST_OF_A_WEEK + 1))  # type: ignore[no-untyped-call]  # noqa: S608
    count = int(rows.fetchone()[0])
    return count if count <= _MOST_OF_A_WEEK else 0


def _count(db: PostgresqlDatabase, table: str, low: int | None = None) -> int:
    """Return how many items a partition has, or how many of them are older than `low`."""
    older, values = ("", ()) if low is None else (" WHERE ticks < %s", (low,))
    rows = db.execute_sql(f"SELECT count(*) FROM {table}{older}", values)  # type: ignore[no-untyped-call]  # noqa: S608
    return int(rows.fetchone()[0])


def _execute(db: PostgresqlDatabase, sql: str, *values: int) -> int:
    """Execute a statement in a transaction of its own; return how many rows it has changed."""
    return int(db.execute_sql(sql, values).rowcount)  # type: ignore[no-untyped-call]


_row = HistoryItemRow


def _expired(series_id: Any) -> Any:
    return _row.select(_row.ticks).where(_row.series_id == series_id, _row.ticks < given("low"))


_COUNT = Statement(
    lambda db: (
        _row.select(peewee.fn.COUNT(_row.ticks))
        .join(SeriesRow, on=SeriesRow.id == _row.series_id)
        .where(_row.ticks < given("low"))
    )
)
_EXPIRED_SERIES = Statement(
    lambda db: (
        SeriesRow.select(SeriesRow.id)
        .where(SeriesRow.id > given("after"), peewee.fn.EXISTS(_expired(SeriesRow.id)))
        .order_by(SeriesRow.id)
        .limit(_SERIES_BATCH)
    )
)
_BEHIND_BATCH = Statement(
    lambda db: (
        _expired(given("series_id"))
        .select(_row.ticks, _row.rest)
        .order_by(_row.ticks, _row.rest)
        .limit(1)
        .offset(given("batch"))
    )
)
