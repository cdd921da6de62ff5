"""Partitions of time on PostgreSQL: the items of a week are a table of their own, which can be dropped whole.

Weeks are counted from the epoch on. Items of a week without a partition are in the default partition.
Why it is so: docs/adr/0011-partitions-by-the-week.md.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable

import peewee

from notifhist.config import MS_PER_DAY, hide_password
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.database.dialect import Database
from notifhist.store.database.errors import sqlstate
from notifhist.store.database.sql import rows

WEEK_TICKS = 7 * MS_PER_DAY * TICKS_PER_MS
OTHER = "history_item_other"
"""The default partition."""

_PREFIX = "history_item_w"
_WEEKS_BACK, _WEEKS_AHEAD = 53, 4
_READERS_WAIT, _WRITERS_WAIT = "50ms", "1s"
"""How long readers, and writers, may queue behind the request for the table lock."""
_WORK = "2s"
"""How long a statement may take while the lock is held."""
_LOCK_NOT_AVAILABLE, _QUERY_CANCELED = "55P03", "57014"
_PAUSES_TO_MAKE_S = (0.05, 0.1)
_PAUSES_TO_DROP_S = (0.5,) * 60
_RETRY_S, _RETRY_MOVE_S = 60, 3600
"""Seconds until the next attempt: usually, and if the default partition had too many items to move."""

log = logging.getLogger(__name__)


class Partitions:
    """The partitions of one database, and which of them are known to be there."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known_until: dict[int, float] = {}
        """By week, the monotonic time until which its partition is not looked for; infinite once it is there."""

    def ensure(self, ticks: Iterable[int], now_ticks: int, oldest_ms: int | None) -> None:
        """Make the partitions for items of these times, unless they are there; not within a transaction.

        Only for weeks from that of `oldest_ms` (53 weeks back at most, or if nothing expires) to 4 weeks after
        `now_ticks`, so that nobody makes thousands of tables by odd times. A partition that cannot be made is no error:
        the default partition takes every item.
        """
        for week in sorted({each // WEEK_TICKS for each in ticks}):
            is_due = time.monotonic() >= self._known_until.get(week, 0.0)
            if is_due and week in _weeks_around(now_ticks, oldest_ms):
                self._known_until[week] = self._find_or_make(week)

    def exists(self, week: int) -> bool:
        """Say whether the week has a partition."""
        # Not to_regclass: within a transaction that may answer from a cache.
        found = "SELECT 1 FROM pg_class WHERE relname = :name AND pg_table_is_visible(oid)"
        return bool(rows(self._db, found, name=name_of(week)))

    def weeks(self) -> list[int]:
        """Return the weeks that have a partition, oldest first."""
        found = rows(
            self._db,
            """SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = 'history_item'::regclass AND relname ~ :pattern""",
            pattern=f"^{_PREFIX}[0-9]+$",
        )
        return sorted(int(name.removeprefix(_PREFIX)) for (name,) in found)

    def drop(self, week: int) -> None:
        """Drop the partition of a week with all its items.

        That needs an exclusive lock for a moment, and all later queries queue behind a waiting lock request. So it
        waits 50 ms at a time, 61 times at most. Raises OperationalError if it does not get the lock in half a minute.
        """

        def drop_now() -> None:
            with self._db.atomic():
                self._execute(_lock_timeout(_READERS_WAIT), f"DROP TABLE IF EXISTS {name_of(week)}")

        _try_often(drop_now, _PAUSES_TO_DROP_S)

    def _find_or_make(self, week: int) -> float:
        """Find or make the partition of a week; return its time for `_known_until`."""
        try:
            if not self.exists(week):
                _try_often(lambda: self._make(week), _PAUSES_TO_MAKE_S)
        except peewee.DatabaseError as error:
            if (code := sqlstate(error)) is None:
                raise  # the connection is gone
            reason = hide_password(str(error))
            log.warning("no partition is made for week %s, its items go to %s: %s", week, OTHER, reason)
            return time.monotonic() + (_RETRY_MOVE_S if code == _QUERY_CANCELED else _RETRY_S)
        return math.inf

    def _make(self, week: int) -> None:
        """Make a partition, and move the items of its week there from the default partition.

        Writers wait, so that none is inserting an item of that week into the default partition meanwhile. Readers wait
        while items move: a reader that looked up the partitions before would find the items in neither.
        """
        name, begin, end = name_of(week), week * WEEK_TICKS, (week + 1) * WEEK_TICKS
        with self._db.atomic():
            self._db.lock_name(_PREFIX)
            if self.exists(week):
                return  # another host has made it meanwhile
            self._execute(
                f"SET LOCAL statement_timeout = '{_WORK}'",
                f"CREATE TABLE {name} (LIKE history_item INCLUDING ALL) WITH (toast_tuple_target = 4080)",
                _lock_timeout(_WRITERS_WAIT),
                "LOCK TABLE ONLY history_item IN SHARE ROW EXCLUSIVE MODE",
                _lock_timeout(_READERS_WAIT),
                "LOCK TABLE ONLY history_item IN ACCESS EXCLUSIVE MODE",
                f"WITH moved AS (DELETE FROM {OTHER} WHERE ticks >= {begin} AND ticks < {end} RETURNING *) "
                f"INSERT INTO {name} SELECT * FROM moved",
                f"ALTER TABLE history_item ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})",
            )

    def _execute(self, *statements: str) -> None:
        for statement in statements:
            self._db.execute_sql(statement)


def name_of(week: int) -> str:
    """Return the name of the partition of a week."""
    return f"{_PREFIX}{week}"


def _weeks_around(now_ticks: int, oldest_ms: int | None) -> range:
    now = now_ticks // WEEK_TICKS
    oldest = now - _WEEKS_BACK if oldest_ms is None else oldest_ms * TICKS_PER_MS // WEEK_TICKS
    return range(max(oldest, now - _WEEKS_BACK, 0), now + _WEEKS_AHEAD + 1)


def _lock_timeout(value: str) -> str:
    return f"SET LOCAL lock_timeout = '{value}'"


def _try_often(change: Callable[[], None], pauses_s: Iterable[float]) -> None:
    """Make a change that needs a lock; retry after each of the pauses while the lock is not available."""
    for pause_s in pauses_s:
        try:
            return change()
        except peewee.OperationalError as error:
            if sqlstate(error) != _LOCK_NOT_AVAILABLE:
                raise
        time.sleep(pause_s)
    return change()
