"""How SQLite deletes expired items while others write, and makes the file shorter."""

import sqlite3
import time
from collections import deque
from collections.abc import Iterator

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.database.dialect import Database, PurgeDerived
from notifhist.store.database.sql import changed, first, rows

_SERIES_PER_QUERY = 500
_PAGES_MOVED = 64
"""Pages, of 32 kB, that one transaction moves to make the file shorter."""
_WRITERS_WAIT_MS = 50

_COUNT = """SELECT count(item.ticks) FROM series CROSS JOIN history_item AS item
WHERE item.series_id = series.id AND item.ticks < :before"""
_EXPIRED_SERIES = f"""SELECT id FROM series WHERE (tenant_id, id) > (:after >> 32, :after) AND EXISTS (
    SELECT 1 FROM history_item WHERE series_id = series.id AND ticks < :before)
ORDER BY tenant_id, id LIMIT {_SERIES_PER_QUERY}"""
_AFTER_BATCH = """SELECT ticks, clock_and_node FROM history_item WHERE series_id = :series_id AND ticks < :before
ORDER BY ticks, clock_and_node LIMIT 1 OFFSET :batch"""
_DELETE = "DELETE FROM history_item WHERE series_id = :series_id AND ticks < :before"
_DELETE_BATCH = f"{_DELETE} AND (ticks, clock_and_node) < (:ticks, :clock_and_node)"


def count_expired(db: Database, before: int) -> int:
    """See Database."""
    return int(rows(db, _COUNT, before=before)[0][0])


def purge(db: Database, oldest_ms: int, batch: int, purge_derived: PurgeDerived) -> Iterator[int]:
    """See Database. The items of one series are neighbours in the file; those of one time are scattered."""
    # Where SQLite is built to overwrite deleted content with zeros, that writes 1.5 times as much.
    db.execute_sql("PRAGMA secure_delete = off")
    yield from purge_derived(oldest_ms)
    before, after = oldest_ms * TICKS_PER_MS, 0
    while found := rows(db, _EXPIRED_SERIES, after=after, before=before):
        series = deque(series_id for (series_id,) in found)
        after = series[-1]
        while series:
            with db.pausing_after():
                deleted = _delete_batch(db, series, before, batch)
            yield deleted
    _shrink(db)


def _delete_batch(db: Database, series: deque[int], before: int, batch: int) -> int:
    """Delete up to `batch` items of the first series; a series without expired items leaves `series`."""
    deleted = 0
    with db.writing():
        while series and deleted < batch:
            values = {"series_id": series[0], "before": before}
            if end := first(db, _AFTER_BATCH, **values, batch=batch - deleted):
                deleted += changed(db, _DELETE_BATCH, **values, ticks=end[0], clock_and_node=end[1])
            else:
                deleted += changed(db, _DELETE, **values)
                series.popleft()
    return deleted


def _shrink(db: Database) -> None:
    """Give unused pages back to the file system, if the file was made with auto_vacuum."""
    connection: sqlite3.Connection = db.connection()
    unused = _pragma(db, "freelist_count") if _pragma(db, "auto_vacuum") else 0
    for _ in range(0, unused, _PAGES_MOVED):
        with db.pausing_after():
            connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_MOVED})")  # `execute` moves one page
    # The file gets shorter when the WAL is written back, which waits for readers while writers wait for it.
    patience_ms = _pragma(db, "busy_timeout")
    db.execute_sql(f"PRAGMA busy_timeout = {_WRITERS_WAIT_MS}")
    for _ in range(20):
        if not rows(db, "PRAGMA wal_checkpoint(TRUNCATE)")[0][0]:  # else it was busy
            break
        time.sleep(2 * _WRITERS_WAIT_MS / 1000)
    db.execute_sql(f"PRAGMA busy_timeout = {patience_ms}")


def _pragma(db: Database, name: str) -> int:
    return int(rows(db, f"PRAGMA {name}")[0][0])
