"""Partitions of time on PostgreSQL: the rows of a week are a table of their own, which can be dropped whole.

Items and their deliveries are partitioned alike. Weeks are counted from the epoch on. Rows of a week without a
partition are in the default partition. Why it is so: docs/adr/0011-partitions-by-the-week.md.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import peewee

from notifhist.config import MS_PER_DAY, hide_password
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.database.dialect import Database
from notifhist.store.database.errors import is_undefined_table, sqlstate
from notifhist.store.database.sql import rows

WEEK_TICKS = 7 * MS_PER_DAY * TICKS_PER_MS

_LOCK = "history_item_w"
"""The name that is locked while partitions are made; all versions lock the same."""
_WEEKS_BACK, _WEEKS_AHEAD = 53, 4
_READERS_WAIT, _WRITERS_WAIT = "50ms", "1s"
"""How long readers, and writers, may queue behind the request for the table lock."""
_WORK = "2s"
"""How long a statement may take while the lock is held."""
_LOCK_NOT_AVAILABLE, _QUERY_CANCELED = "55P03", "57014"
_PAUSES_TO_MAKE_S = (0.05, 0.1)
_PAUSES_TO_DROP_S = (0.5,) * 60
_RETRY_S, _RETRY_MOVE_S = 60, 3600
"""Seconds until the next attempt: usually, and if a default partition had too many rows to move."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Weekly:
    """A table with a partition for each week, by `ticks`, 100 ns since the epoch."""

    table: str

    @property
    def default(self) -> str:
        """The name of the partition that has the rows of all other weeks."""
        return f"{self.table}_other"

    def name_of(self, week: int) -> str:
        """Return the name of the partition of a week."""
        return f"{self.table}_w{week}"


ITEMS, DELIVERIES = Weekly("history_item"), Weekly("delivery")
WEEKLY = (ITEMS, DELIVERIES)
"""In the order in which transactions that record lock them."""


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

    def exists(self, week: int, of: Weekly = ITEMS) -> bool:
        """Say whether the week has a partition."""
        # Not to_regclass: within a transaction that may answer from a cache.
        found = "SELECT 1 FROM pg_class WHERE relname = :name AND pg_table_is_visible(oid)"
        return bool(rows(self._db, found, name=of.name_of(week)))

    def weeks(self) -> list[int]:
        """Return the weeks that have a partition, oldest first."""
        prefix = ITEMS.name_of(0)[:-1]
        found = rows(
            self._db,
            """SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = (:table)::regclass AND relname ~ :pattern""",
            table=ITEMS.table,
            pattern=f"^{prefix}[0-9]+$",
        )
        return sorted(int(name.removeprefix(prefix)) for (name,) in found)

    def drop(self, week: int) -> bool:
        """Drop the partitions of a week with all its items and their deliveries; return False if they are gone.

        That needs exclusive locks for a moment, and all later queries queue behind a waiting lock request. So it
        waits 50 ms for each, 61 times at most. Raises OperationalError if it does not get the locks in half a minute.
        """

        def drop_now() -> None:
            with self._db.atomic():
                items, deliveries = (each.name_of(week) for each in WEEKLY)
                drops = (f"DROP TABLE {items}", f"DROP TABLE IF EXISTS {deliveries}")
                self._execute(_lock_timeout(_READERS_WAIT), *drops)

        try:
            _try_often(drop_now, _PAUSES_TO_DROP_S)
        except peewee.ProgrammingError as error:
            if not is_undefined_table(error):
                raise
            return False  # another purge has dropped them
        return True

    def _find_or_make(self, week: int) -> float:
        """Find or make the partitions of a week; return its time for `_known_until`."""
        try:
            if self._missing(week):
                _try_often(lambda: self._make(week), _PAUSES_TO_MAKE_S)
        except peewee.DatabaseError as error:
            if (code := sqlstate(error)) is None:
                raise  # the connection is gone
            reason = hide_password(str(error))
            log.warning("no partition is made for week %s, its items go to %s: %s", week, ITEMS.default, reason)
            return time.monotonic() + (_RETRY_MOVE_S if code == _QUERY_CANCELED else _RETRY_S)
        return math.inf

    def _missing(self, week: int) -> list[Weekly]:
        """Return the tables without a partition of the week: deliveries are younger than items."""
        return [each for each in WEEKLY if not self.exists(week, each)]

    def _make(self, week: int) -> None:
        """Make the partitions, and move the rows of their week there from the default partitions.

        Writers wait, so that none is inserting a row of that week into a default partition meanwhile. Readers wait
        while rows move: a reader that looked up the partitions before would find the rows in neither.
        """
        with self._db.atomic():
            self._db.lock_name(_LOCK)
            missing = self._missing(week)  # another host may have made them meanwhile
            tables = ", ".join(f"ONLY {each.table}" for each in missing)
            if missing:
                self._execute(
                    f"SET LOCAL statement_timeout = '{_WORK}'",
                    *(
                        f"CREATE TABLE {each.name_of(week)} (LIKE {each.table} INCLUDING ALL) "
                        "WITH (toast_tuple_target = 4080)"
                        for each in missing
                    ),
                    *self._db.making_tables({each.name_of(week): each.table for each in missing}),
                    _lock_timeout(_WRITERS_WAIT),
                    f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE",
                    # A purge deletes from these by their names: what it deletes amid the move would come back.
                    f"LOCK TABLE {', '.join(each.default for each in missing)} IN SHARE ROW EXCLUSIVE MODE",
                    _lock_timeout(_READERS_WAIT),
                    f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE",
                    *(statement for each in missing for statement in _fill_and_attach(each, week)),
                )

    def _execute(self, *statements: str) -> None:
        for statement in statements:
            self._db.execute_sql(statement)


def _fill_and_attach(of: Weekly, week: int) -> Iterator[str]:
    name, begin, end = of.name_of(week), week * WEEK_TICKS, (week + 1) * WEEK_TICKS
    yield f"INSERT INTO {name} SELECT * FROM {of.default} WHERE ticks >= {begin} AND ticks < {end}"
    yield f"DELETE FROM {of.default} WHERE ticks >= {begin} AND ticks < {end}"
    yield f"ALTER TABLE {of.table} ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})"


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
