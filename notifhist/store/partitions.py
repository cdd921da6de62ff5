"""Partitions of time: on PostgreSQL the items of a week are a table of their own, which can be dropped whole.

Weeks are counted from the epoch on. What lies in none of them is in the default partition. SQLite has no
partitions. Why it is so: docs/adr/0011-partitions-by-the-week.md.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable
from weakref import WeakKeyDictionary

import peewee

from notifhist.config import MS_PER_DAY, hide_password
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.database import Database, PostgresqlDatabase, SqliteDatabase, sqlstate

WEEK_TICKS = 7 * MS_PER_DAY * TICKS_PER_MS
OTHER = "history_item_other"
"""The default partition."""

_PREFIX = "history_item_w"
_WEEKS_BACK, _WEEKS_AHEAD = 53, 4
_READERS_WAIT, _WRITERS_WAIT, _WORK = "50ms", "1s", "2s"
"""How long they may queue behind who waits for a lock, and how long a statement may take while it is held."""
_LOCK_NOT_AVAILABLE, _QUERY_CANCELED = "55P03", "57014"
_PAUSES_TO_MAKE_S = (0.05, 0.1)
_PAUSES_TO_DROP_S = (0.5,) * 60
_LOOK_AGAIN_S, _LOOK_MUCH_LATER_S = 60, 3600
"""When to try again, usually, and where there is too much to move."""

log = logging.getLogger(__name__)
_found: "WeakKeyDictionary[PostgresqlDatabase, dict[int, float]]" = WeakKeyDictionary()
"""Until when a week need not be looked for; for ever, once its partition has been found."""


def prepare(db: Database, ticks: Iterable[int], now_ticks: int, oldest_ms: int | None) -> None:
    """Make the partitions for items of these times, unless they are there. Call it outside of a transaction.

    Only for weeks from that of `oldest_ms` on (at most a year back, as if nothing expires) to some weeks ahead
    of `now_ticks`, so that nobody makes thousands of them by odd times. Fails for nothing: an item without a
    partition of its week is kept in the default partition.
    """
    if isinstance(db, SqliteDatabase):
        return
    found = _found.setdefault(db, {})
    for week in sorted({each // WEEK_TICKS for each in ticks}):
        if time.monotonic() >= found.get(week, 0.0) and week in _weeks_around(now_ticks, oldest_ms):
            found[week] = _look_for(db, week)


def name_of(week: int) -> str:
    """Return the name of the partition of a week."""
    return f"{_PREFIX}{week}"


def exists(db: PostgresqlDatabase, week: int) -> bool:
    """Say whether there is a table for the items of a week."""
    # Not to_regclass: within a transaction that may go by what it knew before.
    found = "SELECT 1 FROM pg_class WHERE relname = %s AND pg_table_is_visible(oid)"
    return bool(db.execute_sql(found, (name_of(week),)).fetchall())  # type: ignore[no-untyped-call]


def weeks(db: PostgresqlDatabase) -> list[int]:
    """Return the weeks that have a partition, oldest first."""
    rows = db.execute_sql(  # type: ignore[no-untyped-call]
        """SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'history_item'::regclass AND relname ~ %s""",
        (f"^{_PREFIX}[0-9]+$",),
    ).fetchall()
    return sorted(int(name.removeprefix(_PREFIX)) for (name,) in rows)


def drop(db: PostgresqlDatabase, week: int) -> None:
    """Drop the partition of a week with all its items.

    For a moment that needs the table to itself. Who waits for that holds up all who come after, so it waits
    briefly, and often. Raises OperationalError if others leave no such moment for half a minute.
    """

    def drop_now() -> None:
        with db.atomic():
            _execute(db, _lock_timeout(_READERS_WAIT), f"DROP TABLE IF EXISTS {name_of(week)}")

    _try_often(drop_now, _PAUSES_TO_DROP_S)


def _weeks_around(now_ticks: int, oldest_ms: int | None) -> range:
    now = now_ticks // WEEK_TICKS
    oldest = now - _WEEKS_BACK if oldest_ms is None else oldest_ms * TICKS_PER_MS // WEEK_TICKS
    return range(max(oldest, now - _WEEKS_BACK, 0), now + _WEEKS_AHEAD + 1)


def _look_for(db: PostgresqlDatabase, week: int) -> float:
    """Find or make a partition; return until when it need not be looked for, by the monotonic clock."""
    try:
        if not exists(db, week):
            _try_often(lambda: _make(db, week), _PAUSES_TO_MAKE_S)
    except peewee.DatabaseError as error:
        if sqlstate(error) is None:
            raise  # the connection is gone
        reason = hide_password(str(error))
        log.warning("no partition is made for week %s, its items go to %s: %s", week, OTHER, reason)
        return time.monotonic() + (
            _LOOK_MUCH_LATER_S if sqlstate(error) == _QUERY_CANCELED else _LOOK_AGAIN_S
        )
    return math.inf


def _make(db: PostgresqlDatabase, week: int) -> None:
    """Make a partition, and move there what the default partition has of its week.

    Who records waits, so that nobody is amid putting an item of that week into the default partition. Readers
    wait while items move: who had looked up the partitions before would find these in neither.
    """
    name, begin, end = name_of(week), week * WEEK_TICKS, (week + 1) * WEEK_TICKS
    with db.atomic():
        db.lock_name(_PREFIX)
        if exists(db, week):
            return  # somebody has made it meanwhile
        _execute(
            db,
            f"SET LOCAL statement_timeout = '{_WORK}'",
            f"CREATE TABLE {name} (LIKE history_item INCLUDING ALL) WITH (toast_tuple_target = 4080)",
            _lock_timeout(_WRITERS_WAIT),
            "LOCK TABLE ONLY history_item IN SHARE ROW EXCLUSIVE MODE",
            _lock_timeout(_READERS_WAIT),
            "LOCK TABLE ONLY history_item IN ACCESS EXCLUSIVE MODE",
            f"WITH moved AS (DELETE FROM {OTHER} WHERE ticks >= {begin} AND ticks < {end} RETURNING *) "  # noqa: S608
            f"INSERT INTO {name} SELECT * FROM moved",
            f"ALTER TABLE history_item ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})",
        )


def _lock_timeout(value: str) -> str:
    return f"SET LOCAL lock_timeout = '{value}'"


def _execute(db: PostgresqlDatabase, *statements: str) -> None:
    for statement in statements:
        db.execute_sql(statement)  # type: ignore[no-untyped-call]  # by peewee's stubs


def _try_often(change: Callable[[], None], pauses_s: Iterable[float]) -> None:
    """Do what needs a lock; where that is not to be had, again after each of the pauses."""
    for pause_s in pauses_s:
        try:
            return change()
        except peewee.OperationalError as error:
            if sqlstate(error) != _LOCK_NOT_AVAILABLE:
                raise
        time.sleep(pause_s)
    return change()
