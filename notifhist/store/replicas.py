"""Reads from a replica of a PostgreSQL, which lags: a tenant reads there only once it has all that the tenant wrote.

With each write the primary keeps how far its log had come then, by tenant; a replica tells how far it has
replayed that log. So nobody reads less than he has recorded. Why: docs/adr/0012-reading-from-replicas.md.
"""

import logging
import threading
from time import monotonic
from typing import Any

import peewee

from notifhist.config import hide_password
from notifhist.store.database import Database, PostgresqlDatabase, give_up, lease, was_too_much

_RETRY_S = 5.0
"""How long a replica that fails is left alone."""
_NEVER_WROTE, _UNKNOWN = 0, -1
# Positions in the log, as numbers of bytes; null on a server that replays none.
_REPLAYED = "SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END"
_LAST_WRITE = "SELECT (lsn - '0/0')::bigint FROM last_write WHERE tenant = %s"
_NOTE = """INSERT INTO last_write VALUES (%s, pg_current_wal_insert_lsn())
ON CONFLICT (tenant) DO UPDATE SET lsn = greatest(last_write.lsn, excluded.lsn)"""

log = logging.getLogger(__name__)


class Replica:
    """A replica, and what is known of it."""

    def __init__(self, db: PostgresqlDatabase) -> None:
        self.db = db
        self._retry_at = 0.0
        self._known = threading.local()
        """Of this thread's connection, how far its server has come: behind one name there may be several."""

    def has_all_of(self, primary: Database, tenant: str) -> bool:
        """Say whether it can be read from, and has all that the tenant wrote; leases a connection to it.

        Asks the primary one question, and the replica one if it was not that far when last asked.
        """
        if monotonic() < self._retry_at:
            return False
        written = next((lsn for (lsn,) in _ask(primary, _LAST_WRITE, tenant)), _NEVER_WROTE)
        try:
            lease(self.db)
            return self._replayed() >= written or self._replayed(anew=True) >= written
        except peewee.PeeweeException as error:
            self.failed(error)
            return False

    def failed(self, error: Exception) -> None:
        """Leave it alone for a while, unless it was only asked for too much."""
        give_up(self.db)
        if not was_too_much(error):
            self._retry_at = monotonic() + _RETRY_S
            reason = hide_password(str(error))
            log.warning("the replica fails, reads come from the primary for %s s: %s", _RETRY_S, reason)

    def _replayed(self, anew: bool = False) -> int:
        connection = self.db.connection()  # type: ignore[no-untyped-call]  # by peewee's stubs
        if anew or getattr(self._known, "connection", None) is not connection:
            ((replayed,),) = _ask(self.db, _REPLAYED)
            self._known.connection = connection
            self._known.replayed = _UNKNOWN if replayed is None else replayed
        replayed = self._known.replayed
        return int(replayed)


def note_write(primary: Database, tenant: str) -> None:
    """Keep that the tenant has just written; to be called once that is committed."""
    primary.execute_sql(_NOTE, (tenant,))


def _ask(db: Database, sql: str, *values: str) -> list[tuple[Any]]:
    rows: list[tuple[Any]] = db.execute_sql(sql, values).fetchall()
    return rows
