"""What threads that share a replica say of it. With a replica that lags: tests/system/test_replicas.py."""

from threading import Thread

import peewee

from notifhist.store.database import ensure_connected, open_database
from notifhist.store.replicas import Replica, note_write
from tests.conftest import TENANT


class FailsAnother(Replica):
    """A replica that fails another thread while the first one asks it."""

    asked = 0

    def _replayed(self, anew: bool = False) -> int:
        self.asked += 1
        if self.asked == 1:
            thread = Thread(target=self.failed, args=[peewee.OperationalError("closed")])
            thread.start()
            thread.join()
        return super()._replayed(anew)


def test_a_success_that_comes_late_does_not_undo_the_failure_of_another_thread(postgres_database: str) -> None:
    primary = open_database(postgres_database)
    ensure_connected(primary)
    note_write(primary, TENANT)
    replica = FailsAnother(open_database(postgres_database))
    try:
        replica.has_all_of(primary, TENANT)
        asked = replica.asked
        assert asked > 0
        assert not replica.has_all_of(primary, TENANT)
        assert replica.asked == asked
    finally:
        replica.db.close()
        primary.close()
