"""Which database a request is answered from: the primary, or its replica, which lags.

While there is a primary, a tenant reads from the replica only what has all that it wrote. While there is none, who only
reads is answered from the replica all the same, and the answer says so. Why: docs/adr/0030-reads-without-a-primary.md.
"""

import logging
from threading import Lock, Thread
from time import sleep
from typing import NamedTuple

import peewee

from notifhist.config import hide_password
from notifhist.store.database import ERRORS, Database, discard_connection, ensure_connected, given_up_as, is_lost
from notifhist.store.replicas import Replica

LOOK_AGAIN_S = 0.5
"""How long after a look for the primary, which was in vain, the next one begins."""

log = logging.getLogger(__name__)


class Source(NamedTuple):
    """A database that this thread is connected to, and answers from.

    `may_lag`: it is the replica, without a primary that could tell what it lacks. `newest_ms` is the time of the newest
    change that it has then, ms since the epoch, UTC, if it knows.
    """

    db: Database
    replica: Replica | None = None
    may_lag: bool = False
    newest_ms: int | None = None


class Sources:
    """The primary and its replica, if there is one, for all threads of a process.

    While the primary is known to be gone, no thread connects to it but one of our own, which looks for it.
    """

    def __init__(self, primary: Database, replica: Replica | None = None) -> None:
        self.primary, self.replica = primary, replica
        self._of_primary = Source(primary)
        self._is_gone = False
        self._lock = Lock()

    def connect(self, *, may_lag: bool) -> Source:
        """Return the primary; the replica, if the primary is gone and the answer `may_lag`. Raises one of ERRORS."""
        try:
            self._connect_to_primary()
        except ERRORS as error:
            if self.replica is None or not is_lost(error):
                raise
            self._note_gone(error)
            if not may_lag:
                raise
            return self._lagging(self.replica, error)
        return self._of_primary

    def of_tenant(self, tenant: str, *, may_lag: bool = True) -> Source:
        """Return the replica, if it has all that the tenant recorded, else what `connect` does, which was called.

        Raises one of ERRORS.
        """
        try:
            if self.replica is not None and self.replica.has_all_of(self.primary, tenant):
                return Source(self.replica.db, self.replica)
        except ERRORS as error:  # the primary's
            return self.instead(error, may_lag=may_lag)
        return self._of_primary

    def instead(self, error: Exception, *, may_lag: bool) -> Source:
        """Return where to go on after the primary has failed: the primary again, or the replica.

        Raises `error` if it is no reason to go on elsewhere, one of ERRORS if nothing can be reached.
        """
        if self.replica is None or not may_lag or not is_lost(error):
            raise error
        discard_connection(self.primary)
        if not given_up_as(error):  # a connection that was closed does not say that there is no primary
            return self.connect(may_lag=True)
        if given_up_as(error) == "silent":  # one that was late answers others
            self._note_gone(error)
        return self._lagging(self.replica, error)

    def failed(self, source: Source | None, error: Exception) -> None:
        """Do not use this thread's connection to `source` (None: the primary) again, after `error`."""
        if source is not None and source.replica is not None:
            source.replica.failed(error)
        else:
            discard_connection(self.primary)

    def _connect_to_primary(self) -> None:
        if self._is_gone and (self.primary.is_closed() or not self.primary.is_current()):
            discard_connection(self.primary)
            raise peewee.OperationalError("the primary is gone, as was found before")
        ensure_connected(self.primary)

    def _lagging(self, replica: Replica, error: Exception) -> Source:
        """Return the replica, after the primary failed with `error`. Raises that if the replica fails too."""
        try:
            newest_ms = replica.newest_ms()
        except ERRORS:
            raise error from None
        return Source(replica.db, replica, may_lag=True, newest_ms=newest_ms)

    def _note_gone(self, error: Exception) -> None:
        with self._lock:
            if self._is_gone:
                return
            self._is_gone = True
        log.warning("the primary is gone, reads come from the replica and may lag: %s", hide_password(str(error)))
        try:
            Thread(target=self._look_for_primary, name="looks for the primary", daemon=True).start()
        except RuntimeError:  # the system has no thread left: the next request looks itself
            self._is_gone = False

    def _look_for_primary(self) -> None:
        try:
            while not self._is_there():
                sleep(LOOK_AGAIN_S)
            log.warning("the primary is there")
        finally:
            self._is_gone = False

    def _is_there(self) -> bool:
        try:
            ensure_connected(self.primary)
        except ERRORS:
            return False
        finally:
            discard_connection(self.primary)
        return True
