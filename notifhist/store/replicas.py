"""Reads from a replica of a PostgreSQL, which lags: a tenant reads there only once it has all that the tenant wrote.

With each write of a tenant the primary notes how far its log had come; a replica says how far it has replayed that
log. So nobody reads less than they have recorded. Why: docs/adr/0012-reading-from-replicas.md.
"""

import logging
import threading
from time import monotonic

import peewee

from notifhist.config import hide_password
from notifhist.store.database import Database, discard_connection, ensure_connected, exceeded_limits
from notifhist.store.database.sql import changed, first, rows

_RETRY_S = 5.0
"""How long a replica that fails is left alone."""
_NEVER_WROTE, _UNKNOWN = 0, -1
# Positions in the log, as numbers of bytes; null on a server that replays none.
_REPLAYED = "SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END"
_LAST_WRITE = "SELECT (lsn - '0/0')::bigint FROM last_write WHERE tenant = :tenant"
_NOTE = """INSERT INTO last_write VALUES (:tenant, pg_current_wal_insert_lsn())
ON CONFLICT (tenant) DO UPDATE SET lsn = greatest(last_write.lsn, excluded.lsn)"""

log = logging.getLogger(__name__)


class Replica:
    """A replica, and what is known of it."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._retry_at = 0.0
        self._known = threading.local()
        """How far the server of this thread's connection has come: one name may stand for several servers."""

    def has_all_of(self, primary: Database, tenant: str) -> bool:
        """Say whether it can be read from, and has all that the tenant wrote; connects this thread to it.

        Asks the primary one question, and the replica one if it was not that far when last asked.
        """
        if monotonic() < self._retry_at:
            return False
        found = first(primary, _LAST_WRITE, tenant=tenant)
        written = found[0] if found else _NEVER_WROTE
        try:
            ensure_connected(self.db)
            return self._replayed() >= written or self._replayed(anew=True) >= written
        except peewee.PeeweeException as error:
            self.failed(error)
            return False

    def failed(self, error: Exception) -> None:
        """Leave it alone for a while, unless a query only ran into a limit."""
        discard_connection(self.db)
        if not exceeded_limits(error):
            self._retry_at = monotonic() + _RETRY_S
            reason = hide_password(str(error))
            log.warning("the replica fails, reads come from the primary for %s s: %s", _RETRY_S, reason)

    def _replayed(self, anew: bool = False) -> int:
        connection = self.db.connection()
        if anew or getattr(self._known, "connection", None) is not connection:
            ((replayed,),) = rows(self.db, _REPLAYED)
            self._known.connection = connection
            self._known.replayed = _UNKNOWN if replayed is None else replayed
        return int(self._known.replayed)


def note_write(primary: Database, tenant: str) -> None:
    """Note that the tenant has just written; to be called once that is committed."""
    changed(primary, _NOTE, tenant=tenant)
