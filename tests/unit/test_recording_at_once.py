"""Several calls record at once: one waits for the other, and none waits for ever."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.database.sql import rows
from notifhist.store.recording import Draft, Recorded
from tests.records import count_items, count_runs
from tests.recount import assert_counts_are_true
from tests.unit.drafts import item, record_now, run


def opened(url: str) -> Database:
    database = open_database(url)
    ensure_connected(database)
    return database


def record_elsewhere(url: str, drafts: Sequence[Draft]) -> Recorded:
    database = opened(url)
    try:
        return record_now(database, drafts)
    finally:
        database.close()


def test_calls_with_the_same_records_in_opposite_order_all_succeed(database_url: str, db: Database) -> None:
    tenants = [f"tenant {n}" for n in range(6)]
    rounds, senders = 8, 3
    together = threading.Barrier(senders, timeout=60)

    def drafts(number: int) -> list[Draft]:
        of_tenants = [
            draft
            for tenant in tenants
            for n in range(3)
            for draft in (
                item(n, CheckPath(tenant, "e", "a", f"{number}")),
                item(number, CheckPath(tenant, "e", "a", "all")),
                run(number * 10 + n, tenant),
            )
        ]
        return of_tenants

    def send(sender: int) -> list[int]:
        database = opened(database_url)
        created = []
        try:
            for number in range(rounds):
                ordered = drafts(number)
                match sender:
                    case 1:
                        ordered.reverse()
                    case 2:  # alone, so it locks no more than it must
                        ordered = [draft for draft in ordered if draft.owner.tenant == tenants[number % 6]]
                together.wait()
                created.append(record_now(database, ordered).created)
        finally:
            database.close()
        return created

    with ThreadPoolExecutor(senders) as pool:
        created = list(pool.map(send, range(senders)))
    of_round = len({(draft.recorder, draft.identity) for draft in drafts(0)})
    assert [sum(numbers) for numbers in zip(*created, strict=True)] == [of_round] * rounds
    assert (count_items(db), count_runs(db)) == (rounds * 6 * 4, rounds * 6 * 3)
    for tenant in tenants:
        assert_counts_are_true(db, tenant)


@contextmanager
def locked(url: str, name: str) -> Iterator[None]:
    """Hold the lock of a name meanwhile."""
    database = opened(url)
    with database.writing():
        database.lock_name(name)
        yield
    database.close()


def wait_for(db: Database, waiting: int, *calls: Future[Recorded]) -> None:
    """Return once so many transactions wait for the lock of a name, or all of the calls are done."""

    def number() -> int:
        return int(rows(db, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")[0][0])

    deadline = time.monotonic() + 30
    while number() < waiting and not all(call.done() for call in calls):
        assert time.monotonic() < deadline
        time.sleep(0.01)


Make = Callable[[], list[Draft]]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        # The second one has a row of the first one's before it waits for the tenant's name.
        ("t", lambda: [item(0, CheckPath("t", "e", "a", "new")), item(1)], lambda: [item(1), run(1)]),
        # The name of a tenant is no other lock's.
        ("tenants", lambda: [run(1, "tenants"), run(1, "z")], lambda: [run(2, "z")]),
    ],
    ids=["items and runs", "a tenant named after a lock"],
)
def test_of_two_calls_that_wait_none_waits_for_the_other(
    database_url: str, db: Database, name: str, first: Make, second: Make
) -> None:
    record_now(db, [item(5)])  # there is the series of CHECK, so that its items need no lock of the name
    with ThreadPoolExecutor(2) as pool:
        with locked(database_url, name):
            one = pool.submit(record_elsewhere, database_url, first())
            wait_for(db, 1, one)
            other = pool.submit(record_elsewhere, database_url, second())
            wait_for(db, 2, other)
        assert one.result(timeout=30).created + other.result(timeout=30).created == 3
