"""Several threads and processes change the items of one tenant at once: each delivery is there once, and counted."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any

import orjson
import peewee
import pytest

from notifhist.errors import ItemConflict, NotFound
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.document import Document
from notifhist.schemas.fields import MAX_TIMESTAMP
from notifhist.schemas.query import CheckPath
from notifhist.store.counted import counts
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.database.sql import rows_of_each
from notifhist.store.deliveries import names, recording
from notifhist.store.deliveries.names import find_codes
from notifhist.store.deliveries.reading import list_deliveries
from notifhist.store.deliveries.recording import move_recent
from notifhist.store.history.recording import add_attempt, delete_item, replace_item
from notifhist.store.purge import purge
from notifhist.store.tenants import find_tenant
from tests.conftest import NOW_MS
from tests.delivery_rows import assert_every_delivery_is_right, codes_of, remembered_codes
from tests.http.helpers import id_at, item_at
from tests.records import all_items
from tests.recount import assert_counts_are_true
from tests.unit.drafts import CHECK, NOW_TICKS, drafts_of, item, record_now

on_postgresql = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
ALL = DeliveriesQuery("t", 0, MAX_TIMESTAMP, limit=1000)


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "SPLIT_ABOVE", 10)
    monkeypatch.setattr(recording, "_COUNT_AFTER", 3)
    monkeypatch.setattr(recording, "_MOVE_FROM", 5)
    monkeypatch.setattr(recording, "_DIRECT_FROM", 12)


@contextmanager
def opened(url: str, timeout_s: float = 0) -> Iterator[Database]:
    """Connect as another process does, with nothing remembered."""
    database = open_database(url, statement_timeout_s=timeout_s)
    ensure_connected(database)
    with closing(database):
        yield database


def in_threads(number: int, call: Callable[[int], Any]) -> list[Any]:
    """Call with 0, 1 … at once; return the results."""
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(call, range(number)))


def move(db: Database) -> int:
    with db.writing():
        return move_recent(db, find_tenant(db, "t") or 0, "t")


def purge_some(db: Database) -> None:
    """Delete a third of what senders record."""
    for _ in purge(db, NOW_MS + 250, 500):
        pass


def assert_all_is_right(db: Database) -> None:
    assert_every_delivery_is_right(db, "t", all_items(db))
    assert_counts_are_true(db, "t")


# All that changes items.


class Sender:
    """Changes a few items of a tenant, in an order of its own."""

    def __init__(self, db: Database, seed: int) -> None:
        self.db, self.random = db, random.Random(seed)
        self.added = 0

    def send(self) -> None:
        kinds = (self.record, self.record_many, self.replace, self.attempt, self.delete, self.move)
        for _ in range(60):
            if self.random.random() < 0.1:
                purge_some(self.db)
            with suppress(ItemConflict, NotFound):  # another one was faster
                self.random.choice(kinds)()

    def check(self) -> CheckPath:
        return CheckPath("t", "e", "a", self.random.choice("bc"))

    def item(self) -> Document:
        """Return an item of few ids, with some new names."""
        results = [
            {"notification_id": f"nt{self.random.randrange(30)}", "success": bool(self.random.randrange(2))}
            for _ in range(self.random.choice((0, 1, 2, 5)))
        ]
        number = self.random.randrange(12)
        return item_at(NOW_MS + number % 3 * 250, number, notification_results=results)

    def record(self) -> None:
        record_now(self.db, drafts_of([self.item()], self.check()))

    def record_many(self) -> None:
        by_id = {each["id"]: each for each in (self.item() for _ in range(6))}
        record_now(self.db, drafts_of(list(by_id.values()), self.check()), skip_conflicts=True)

    def replace(self) -> None:
        replace_item(self.db, self.check(), self.item(), NOW_TICKS)

    def attempt(self) -> None:
        add_attempt(self.db, self.check(), self.item()["id"], "nt1", {"message": "again"}, None)

    def delete(self) -> None:
        delete_item(self.db, self.check(), self.item()["id"], None)

    def move(self) -> None:
        move(self.db)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("are_processes", [True, False], ids=["processes", "threads of one process"])
def test_whatever_is_done_at_once_no_delivery_is_lost_or_doubled(
    database_url: str, db: Database, are_processes: bool
) -> None:
    record_now(db, [item(99)])

    def send(number: int) -> None:
        own = open_database(database_url) if are_processes else db
        ensure_connected(own)
        with closing(own):
            Sender(own, number).send()

    in_threads(4, send)
    ensure_connected(db)
    purge_some(db)  # an item that was recorded while it was purged may have left its deliveries behind
    assert_all_is_right(db)


@pytest.mark.usefixtures("few_are_many")
def test_no_attempt_is_lost_while_deliveries_are_moved(database_url: str, db: Database) -> None:
    record_now(db, drafts_of([item_at(NOW_MS, 0, notification_results=[{"notification_id": "nt"}])]))

    def send(number: int) -> None:
        with opened(database_url) as own:
            for n in range(20):
                if number == 2:
                    record_now(own, [item(100 + n)])
                    move(own)
                else:
                    add_attempt(own, CHECK, id_at(NOW_MS, 0), "nt", {"message": f"{number} {n}"}, None)

    in_threads(3, send)
    page = list_deliveries(db, ALL, None)
    listed = orjson.loads(b"[%b]" % b",".join(page.deliveries.pieces))
    assert sorted(each["attempts"] for each in listed) == [0] * 20 + [40]
    assert page.total == 21
    assert_all_is_right(db)


# What waits, and what does not.


@on_postgresql
def test_what_is_recent_needs_no_lock_of_the_tenants_name(database_url: str, db: Database) -> None:
    record_now(db, [item(0)])
    record_now(db, [item(1)])  # the names are remembered now
    with opened(database_url) as other, other.writing():
        other.lock_name("t")
        with opened(database_url, timeout_s=2) as impatient:
            # Another process has to look the names up once; they are there.
            assert record_now(impatient, [item(2)]).created == 1
            assert record_now(impatient, [item(3), item(4)]).created == 2
        assert list_deliveries(db, ALL, None).total == 5
    assert_all_is_right(db)


CHANGES: dict[str, Callable[[Database], object]] = {
    "a new name": lambda db: record_now(db, [item(1, state="NEW")]),
    "many": lambda db: record_now(db, [item(n) for n in range(1, 200)]),
    "one with many": lambda db: record_now(db, [item(1, notification_results=[{}] * 200)]),
    "an item replaced": lambda db: replace_item(db, CHECK, item_at(NOW_MS, 0), NOW_TICKS),
    "an attempt": lambda db: add_attempt(db, CHECK, id_at(NOW_MS, 0), "nt", {}, None),
    "an item deleted": lambda db: delete_item(db, CHECK, id_at(NOW_MS, 0), None),
    "moved": move,
}


@on_postgresql
@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_names_or_counted_deliveries_waits_for_the_tenants_name(
    database_url: str, db: Database, change: str
) -> None:
    record_now(db, drafts_of([item_at(NOW_MS, 0, notification_results=[{"notification_id": "nt"}])]))
    with opened(database_url, timeout_s=0.3) as impatient:
        find_codes(impatient, find_tenant(impatient, "t") or 0, [("state", "OK"), ("entity_id", "e")])
        with opened(database_url) as other, other.writing():
            other.lock_name("t")
            with pytest.raises(peewee.OperationalError, match="statement timeout"):
                CHANGES[change](impatient)
    CHANGES[change](db)
    assert_all_is_right(db)


@on_postgresql
def test_what_is_being_recorded_is_moved_later(database_url: str, db: Database) -> None:
    record_now(db, [item(0)])
    record_now(db, [item(1)])
    with opened(database_url, timeout_s=2) as other:
        with db.writing():
            record_now(db, [item(2)])
            assert move(other) == 2
            assert list_deliveries(other, ALL, None).total == 2
        assert list_deliveries(other, ALL, None).total == 3
        assert move(other) == 1
    assert_all_is_right(db)


def test_a_page_shows_each_delivery_once_while_they_are_moved(database_url: str, db: Database) -> None:
    record_now(db, [item(n) for n in range(5)])
    moved = threading.Event()

    def ask(number: int) -> list[int]:
        with opened(database_url) as own:
            totals = []
            while not moved.is_set():
                if number:
                    totals.append(list_deliveries(own, ALL, None).total)
                    assert list_deliveries(own, ALL, None).count == 5
                else:
                    for n in range(20):  # back to the recent ones, and away
                        replace_item(own, CHECK, item_at(NOW_MS, n % 5), NOW_TICKS)
                        move(own)
                    moved.set()
            return totals

    assert {total for totals in in_threads(3, ask) for total in totals} <= {5}
    assert_all_is_right(db)


# The codes of names.


def test_processes_that_give_codes_to_the_same_new_names_at_once_agree(database_url: str, db: Database) -> None:
    processes, rounds = 3, 10
    together = threading.Barrier(processes, timeout=60)

    def send(number: int) -> None:
        with opened(database_url) as own:
            for n in range(rounds):
                names_of_round = [f"of all {n}", f"of {number} in {n}", f"of {(number + 1) % processes} in {n}"]
                results = [{"notification_id": name} for name in random.Random(number).sample(names_of_round, 3)]
                together.wait()
                new = item_at(NOW_MS, 10 * n + number, state=f"STATE {n}", notification_results=results)
                record_now(own, drafts_of([new]))

    in_threads(processes, send)
    assert_all_is_right(db)
    tenant_id = find_tenant(db, "t") or 0
    codes = [code for (column, _), code in codes_of(db, tenant_id).items() if column == "notification_id"]
    assert sorted(codes) == list(range(1, rounds * (processes + 1) + 1))


def refuse(stored: Any) -> None:
    raise NotFound("Nothing.", "A precondition that never holds.")


@pytest.mark.parametrize("way", ["record", "replace"])
def test_a_transaction_that_is_undone_leaves_no_code_behind(database_url: str, db: Database, way: str) -> None:
    record_now(db, [item(0)])

    def named(number: int, name: str) -> Document:
        return item_at(NOW_MS, number, state=name, notification_results=[{"notification_id": name}])

    if way == "record":
        with pytest.raises(ItemConflict):
            record_now(db, drafts_of([named(1, "undone"), item_at(NOW_MS, 0, state="CONFLICT")]))
    else:
        with pytest.raises(NotFound):
            replace_item(db, CHECK, named(1, "undone"), NOW_TICKS, None, refuse)
    tenant_id = find_tenant(db, "t") or 0
    assert {name for _, name in remembered_codes(db, tenant_id)} <= {"OK", "e"}
    with opened(database_url) as other:
        record_now(other, drafts_of([named(2, "other")]))  # it gets the code that was given up
    record_now(db, drafts_of([named(1, "undone")]))
    record_now(db, drafts_of([named(3, "undone"), named(4, "other")]))
    for name in ("undone", "other"):
        assert list_deliveries(db, DeliveriesQuery("t", 0, MAX_TIMESTAMP, 9, states=(name,)), None).total == 2
    assert_all_is_right(db)


def test_a_tenant_whose_first_record_is_undone_is_not_remembered(database_url: str, db: Database) -> None:
    with pytest.raises(NotFound):
        replace_item(db, CHECK, item_at(NOW_MS, 0), NOW_TICKS, None, refuse)
    with opened(database_url) as other:
        record_now(other, [item(0, CheckPath("another", "e", "a", "c"))])
    record_now(db, [item(0)])
    assert list_deliveries(db, ALL, None).total == 1
    assert_all_is_right(db)


def test_a_connection_that_is_made_anew_forgets(database_url: str, db: Database) -> None:
    record_now(db, [item(0), item(1, state="WARNING")])
    record_now(db, [item(2), item(3, state="WARNING")])
    assert len(remembered_codes(db, find_tenant(db, "t") or 0)) == 3
    db.close()
    # There is another database now, as after a restore: other names have these codes, another tenant that number.
    with opened(database_url) as other:
        for table in ("tenant", "series", "history_item", "delivery_recent", "delivery_name"):
            other.execute_sql(f"DELETE FROM {table}")
        record_now(other, [item(1, CheckPath("another", "x", "a", "c"), state="CRITICAL")])
    ensure_connected(db)
    assert db.remembered == {}
    record_now(db, [item(0, state="WARNING")])
    assert list_deliveries(db, DeliveriesQuery("t", 0, MAX_TIMESTAMP, 9, states=("WARNING",)), None).total == 1
    assert_all_is_right(db)


def test_a_connection_remembers_names_though_another_thread_connects_meanwhile(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_now(db, [item(0)])
    found: list[Sequence[Any]] = []

    def rows_while_another_connects(*args: Any, **values: Any) -> list[Any]:
        found.append(rows_of_each(*args, **values))

        def connect(_: int) -> None:
            ensure_connected(db)
            db.close()

        in_threads(1, connect)
        return list(found[-1])

    query = DeliveriesQuery("t", 0, MAX_TIMESTAMP, 9, states=("OK",), entity_ids=("e",))
    with monkeypatch.context() as patched:
        patched.setattr(names, "rows_of_each", rows_while_another_connects)
        assert list_deliveries(db, query, None).total == 1
    assert [len(each) for each in found] == [2]
    assert len(remembered_codes(db, find_tenant(db, "t") or 0)) == 2
    assert list_deliveries(db, query, None).total == 1
