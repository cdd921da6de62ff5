"""Reads from a replica of a PostgreSQL, which lags: a tenant reads there only once it has all that the tenant wrote.

At each write of a tenant the primary stores the position in its log; a replica tells the position up to which it has
replayed that log. So a tenant always reads its own writes. Why: docs/adr/0012-reading-from-replicas.md.
"""

import logging
import threading
from contextlib import suppress
from time import monotonic

import peewee

from notifhist.config import hide_password
from notifhist.store.database import Database, discard_connection, ensure_connected, exceeded_limits
from notifhist.store.database.sql import changed, first, rows

_RETRY_S = 5.0
"""How long a replica that fails is left alone."""
_TRY_AGAIN_S = 0.5
"""How long nobody connects to a replica that failed, while there is no primary either."""
_UNKNOWN = -1
_EVERYBODY = "/"
"""The row of all tenants; no name of a tenant has a slash."""
# Positions in the log, as numbers of bytes; null on a server that replays none.
_REPLAYED = "SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END"
# Whether it follows a primary, and the time at which that committed what was replayed last; null until something was.
_NEWEST = "SELECT pg_is_in_recovery(), floor(1000 * extract(epoch FROM pg_last_xact_replay_timestamp()))::bigint"
# Which cluster it is, and how many promotions it is from the first, or was when it last wrote down where it is.
_STANDING = """SELECT pg_is_in_recovery(), system_identifier, CASE WHEN pg_is_in_recovery() THEN timeline_id ELSE
('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int END
FROM pg_control_system(), pg_control_checkpoint()"""
_LAST_WRITE = """SELECT (lsn - '0/0')::bigint FROM last_write WHERE tenant IN (:tenant, :everybody)
ORDER BY lsn DESC LIMIT 1"""
_NOTE = """INSERT INTO last_write VALUES (:tenant, pg_current_wal_insert_lsn())
ON CONFLICT (tenant) DO UPDATE SET lsn = greatest(last_write.lsn, excluded.lsn)"""

log = logging.getLogger(__name__)


class Replica:
    """A replica, and its state as last seen."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._retry_at = self._try_at = 0.0
        self._known = threading.local()
        """The position of the server behind this thread's connection: one name may stand for several servers."""
        self._followed: dict[int, int] = {}
        """The clusters that it was seen to follow, and the newest timeline that it was on then."""

    def has_all_of(self, primary: Database, tenant: str) -> bool:
        """Say whether it can be read from, and has all that the tenant wrote; connects this thread to it.

        It costs a query on the primary, and one on the replica if its position as last seen is not enough. Where the
        primary has lost the positions, the position of now counts for everybody.
        """
        retry_at = self._retry_at
        if monotonic() < retry_at:
            return False
        if retry_at:  # one thread finds out whether it is back, and may wait for that; the others go on
            retry_at = self._retry_at = monotonic() + _RETRY_S
        found = first(primary, _LAST_WRITE, tenant=tenant, everybody=_EVERYBODY)
        if found is None:  # an unlogged table is empty after a crash or a promotion
            with suppress(peewee.InternalError):  # the primary may only be read; then it is
                note_write(primary, _EVERYBODY)
            return False
        written = int(found[0])
        try:
            ensure_connected(self.db)
            has_all = self._replayed() >= written or self._replayed(anew=True) >= written
            if self._retry_at == retry_at:  # else it has failed another thread since
                self._retry_at = 0.0
            return has_all
        except peewee.PeeweeException as error:
            self.failed(error)
            return False

    def newest_ms(self) -> int | None:
        """Return the time of the newest change that it has, ms since the epoch, UTC; None if it does not know.

        Connects this thread to it, however lately `has_all_of` failed: without a primary there is nothing else. Raises
        one of ERRORS; at once if this failed a moment ago, or one thread finds out whether it still does. So it does
        for a server that follows nobody, unless it did before, and was promoted since: a copy of its own, or a former
        primary, may lack what was recorded, or revoked, for months.
        """
        if self.db.is_closed() or not self.db.is_current():
            self._begin_try()
        try:
            ensure_connected(self.db)
            ((follows, newest_ms),) = rows(self.db, _NEWEST)
            if follows:
                self._replayed()
            elif not self._was_promoted():
                raise peewee.OperationalError("it follows no primary, and was never seen to")
        except peewee.PeeweeException as error:
            self._try_at = monotonic() + _TRY_AGAIN_S
            self.failed(error)
            raise
        self._try_at = 0.0
        return None if newest_ms is None else int(newest_ms)

    def _begin_try(self) -> None:
        discard_connection(self.db)
        try_at = self._try_at
        if monotonic() < try_at:
            raise peewee.OperationalError("the replica failed, too, a moment ago")
        if try_at:  # one thread finds out whether it is back, and may wait for that
            self._try_at = monotonic() + _RETRY_S

    def failed(self, error: Exception) -> None:
        """Do not look whether it has all of a tenant for `_RETRY_S`, unless a query only exceeded a limit."""
        discard_connection(self.db)
        if not exceeded_limits(error):
            self._retry_at = monotonic() + _RETRY_S
            reason = hide_password(str(error))
            log.warning("the replica fails, it is left alone for %s s while there is a primary: %s", _RETRY_S, reason)

    def _replayed(self, anew: bool = False) -> int:
        connection = self.db.connection()
        if anew or getattr(self._known, "connection", None) is not connection:
            if not anew:
                self._was_promoted()
            ((replayed,),) = rows(self.db, _REPLAYED)
            self._known.connection = connection
            self._known.replayed = _UNKNOWN if replayed is None else replayed
        return int(self._known.replayed)

    def _was_promoted(self) -> bool:
        """Say whether it followed a primary when this process saw it, and does no more; remember whom it follows."""
        try:
            ((follows, cluster, timeline),) = rows(self.db, _STANDING)
        except peewee.ProgrammingError:  # not every server lets us call these functions
            return False
        if follows:
            self._followed[cluster] = max(timeline, self._followed.get(cluster, 0))
        return not follows and timeline > self._followed.get(cluster, timeline)


def note_write(primary: Database, tenant: str) -> None:
    """Store the position of a tenant's write; call it after the commit."""
    changed(primary, _NOTE, tenant=tenant)
