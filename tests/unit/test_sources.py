"""Which errors of the primary send a reader to the replica. With outages: tests/http/test_without_primary.py."""

from collections.abc import Iterator

import peewee
import pytest

from notifhist.store.database import Database, ensure_connected, exceeded_limits, given_up_as, open_database
from notifhist.store.database.sql import rows
from notifhist.store.replicas import Replica
from notifhist.store.sources import Sources
from tests.gate import following
from tests.unit.tenant_rows import connection_of


@pytest.fixture
def sources(postgres_database: str) -> Iterator[Sources]:
    """A primary, connected, and a replica, which in truth is the primary."""
    with following(postgres_database) as url:
        primary, replica = (open_database(each, statement_timeout_s=0.2) for each in (postgres_database, url))
        ensure_connected(primary)
        yield Sources(primary, Replica(replica))
        for each in (primary, replica):
            each.close()


def fail(db: Database, statement: str) -> Exception:
    with pytest.raises(peewee.PeeweeException) as raised:
        rows(db, statement)
    return raised.value


def test_after_an_answer_that_was_late_one_read_goes_on_at_the_replica(sources: Sources) -> None:
    rows(sources.primary, "SELECT set_config('statement_timeout', '0', false)")
    connection_of(sources.primary).longest_wait_s = 0.2
    error = fail(sources.primary, "SELECT pg_sleep(30)")
    assert given_up_as(error) == "late"
    with pytest.raises(peewee.OperationalError):
        sources.instead(error, may_lag=False)
    assert sources.instead(error, may_lag=True).may_lag
    assert not sources.connect(may_lag=False).may_lag


def test_a_connection_that_was_ended_is_made_again(sources: Sources) -> None:
    error = fail(sources.primary, "SELECT pg_terminate_backend(pg_backend_pid())")
    source = sources.instead(error, may_lag=True)
    assert (source.db, source.may_lag) == (sources.primary, False)
    assert rows(source.db, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("statement", ["SELECT pg_sleep(30)", "SELECT nothing", "SELECT 1 / 0"])
def test_who_asks_the_wrong_thing_is_sent_nowhere_else(statement: str, sources: Sources) -> None:
    error = fail(sources.primary, statement)
    assert exceeded_limits(error) == (statement == "SELECT pg_sleep(30)")
    with pytest.raises(peewee.PeeweeException) as raised:
        sources.instead(error, may_lag=True)
    assert raised.value is error


def test_without_a_replica_there_is_nowhere_else(sources: Sources) -> None:
    alone = Sources(sources.primary)
    error = fail(sources.primary, "SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(peewee.PeeweeException) as raised:
        alone.instead(error, may_lag=True)
    assert raised.value is error
    alone.failed(None, error)
    assert not alone.connect(may_lag=True).may_lag
