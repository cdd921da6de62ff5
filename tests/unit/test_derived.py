"""The items of a feed are recorded in one transaction, each by its rule."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import permutations
from typing import Any
from unittest.mock import patch

import pytest

from notifhist.errors import BadRequest
from notifhist.feeds import merging
from notifhist.feeds.feed import Derived, Rule
from notifhist.schemas.document import Document
from notifhist.schemas.query import CheckPath
from notifhist.serializers import as_json
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.deliveries import recording as delivery_index
from notifhist.store.deliveries.derive import MAX_RESULTS
from notifhist.store.history import attempts
from notifhist.store.history import items as item_store
from notifhist.store.history.derived import RecordedItems, record_derived
from notifhist.store.history.recording import add_attempt, replace_item
from tests.conftest import NOW_MS, every_row
from tests.delivery_rows import assert_every_delivery_is_right
from tests.http.helpers import item_at
from tests.records import all_items
from tests.recount import assert_counts_are_true
from tests.unit.drafts import NOW_TICKS

DEDUP_MS = 60_000
CHECK = CheckPath("t", "e", "a", "c")


def one(rule: Rule, after_ms: int = 0, number: int = 0, check: str = "c", **members: Any) -> Derived:
    return Derived("e", "a", check, item_at(NOW_MS + after_ms, number, **members), rule)


def sent(after_ms: int = 0, check: str = "c", **members: Any) -> Derived:
    """Return an item that is stored whatever the newest item is."""
    results = [{"notification_id": "slack[0]", "success": True}]
    return one(Rule.CREATE, after_ms, check=check, notification_results=results, **members)


def repeated(transaction: str, after_ms: int = 0, number: int = 0, check: str = "c") -> Derived:
    return one(Rule.UNLESS_REPEATED, after_ms, number, check, transaction_id=transaction)


def suppressed(by: str, after_ms: int = 0, check: str = "c") -> Derived:
    return one(Rule.UNLESS_SAME_SUPPRESSION, after_ms, check=check, suppressions=[by])


def attempt(uuid: str, at: int, success: bool = False, integration: str = "slack[0]", check: str = "c") -> Derived:
    """Return an item of one attempt, as Grafana sends each by itself."""
    tried = {"message": f"said {uuid}", "uuid": uuid, "at": at, "success": success}
    index = int(integration[-2])
    result = {
        "notification_id": integration,
        "notification_type": integration[:-3],
        "notification_details": {"integrationIdx": index},
        "success": success,
        "message": tried["message"],
        "attempts": [tried],
    }
    return one(Rule.MERGE, check=check, transaction_id="t", notification_results=[result])


def take(db: Database, *derived: Derived, after_ms: int = 0) -> RecordedItems:
    """Record items that came in `after_ms` after NOW."""
    return record_derived(db, "t", derived, NOW_TICKS + after_ms * 10_000, None, DEDUP_MS)


def stored(db: Database, check: str = "c") -> list[Document]:
    return [item for place, item in all_items(db) if place.check_id == check]


def assert_all_is_right(db: Database) -> None:
    assert_every_delivery_is_right(db, "t", all_items(db))
    assert_counts_are_true(db, "t")


def test_nothing_is_nothing(db: Database) -> None:
    before = every_row(db)
    assert take(db) == RecordedItems()
    assert every_row(db) == before


def test_the_same_id_again_changes_nothing(db: Database) -> None:
    first = sent(state="OK")
    assert take(db, first).new == [first.item]
    before = every_row(db)
    for _ in range(2):
        assert take(db, sent(state="CRITICAL")).unchanged == {"known": 1}
    assert every_row(db) == before
    assert_all_is_right(db)


def test_items_of_one_id_in_several_checks(db: Database) -> None:
    result = take(db, *(repeated("x", check=check) for check in "abc"))
    assert len(result.new) == 3
    assert {place.check_id for place, _ in all_items(db)} == set("abc")
    assert_all_is_right(db)


@pytest.mark.parametrize(
    ("items", "kept"),
    [
        ([repeated("x"), repeated("x", 59_999)], "x"),
        ([repeated("x"), repeated("x", 60_000)], "xx"),
        ([repeated("x"), repeated("y", 1), repeated("x", 2), repeated("y", 3)], "xy"),
        ([repeated("x"), repeated("x", 50_000), repeated("x", 65_000)], "xx"),
        ([repeated("x", 5), repeated("x", 0)], "x"),
        ([repeated("x"), sent(1, transaction_id="z"), repeated("x", 2)], "xz"),
        ([sent(0, transaction_id="x"), repeated("x", 1)], "x"),
    ],
    ids=[
        "soon",
        "later",
        "another between",
        "not from the repetition",
        "an older one",
        "one of another feed",
        "is one",
    ],
)
def test_a_repetition_is_of_the_same_check_and_of_the_last_minute(
    db: Database, items: Sequence[Derived], kept: str
) -> None:
    for each in items:
        take(db, each, after_ms=each.item["timestamp"] - NOW_MS)
    assert "".join(item["transaction_id"] for item in stored(db)) == kept


SUPPRESSIONS = [
    ([suppressed("a", 1), suppressed("a", 2), suppressed("a", 3)], [1]),
    ([suppressed("a", 1), suppressed("b", 2), suppressed("a", 3)], [1, 2, 3]),
    ([suppressed("a", 1), sent(2), suppressed("a", 3), suppressed("a", 4)], [1, 2, 3]),
    ([sent(2), suppressed("a", 1)], [1, 2]),
    ([suppressed("a", 3), suppressed("a", 1)], [3]),
    ([one(Rule.CREATE, 1, suppressions=["a"], notification_results=[{}]), suppressed("a", 2)], [1, 2]),
]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("items", "kept"), SUPPRESSIONS)
def test_a_suppression_is_recorded_once_until_something_else_is(
    db: Database, items: list[Derived], kept: list[int], together: bool
) -> None:
    for some in [items] if together else [[each] for each in items]:
        take(db, *some)
    assert [item["timestamp"] - NOW_MS for item in stored(db)] == kept
    assert_all_is_right(db)


def test_the_newest_items_of_many_checks_are_looked_at_together(db: Database) -> None:
    for check in "abc":
        take(db, sent(0, check), suppressed(check, 1, check))
    result = take(db, *(suppressed("b", 2, check) for check in "abcd"))
    assert result.unchanged == {"same_suppression": 1}
    assert [len(stored(db, check)) for check in "abcd"] == [3, 2, 3, 1]


ATTEMPTS = [
    attempt("u1", 10),
    attempt("u2", 30, success=True),
    attempt("u3", 20),
    attempt("u4", 5, integration="email[1]"),
]


@pytest.mark.parametrize("order", list(permutations(range(len(ATTEMPTS)))), ids=str)
def test_attempts_are_merged_in_any_order(sqlite_database: str, order: Sequence[int]) -> None:
    db = open_database(sqlite_database)
    ensure_connected(db)
    for n in order:
        take(db, ATTEMPTS[n])
        assert take(db, ATTEMPTS[n]).unchanged == {"known": 1}
    (item,) = stored(db)
    slack, email = item["notification_results"]
    assert [each["uuid"] for each in slack["attempts"]] == ["u1", "u3", "u2"]
    assert (slack["success"], slack["message"]) == (True, "said u2")
    assert email["success"] is False
    assert_all_is_right(db)
    db.close()


def test_attempts_of_one_body_are_one_item_and_of_two_bodies_too(db: Database) -> None:
    assert len(take(db, *ATTEMPTS[:2], attempt("u9", 1, check="d")).new) == 2
    result = take(db, *ATTEMPTS, attempt("u8", 2, check="d"), attempt("u8", 2, check="d"))
    assert (result.new, result.merged) == ([], 2)
    assert [len(item["notification_results"]) for item in stored(db)] == [2]
    assert [len(item["notification_results"][0]["attempts"]) for item in stored(db, "d")] == [2]
    assert_all_is_right(db)


def test_so_many_attempts_of_a_result_are_kept_and_the_others_counted(db: Database) -> None:
    with patch.object(merging, "MAX_ATTEMPTS", 3):
        for n in range(2, 5):
            take(db, attempt(f"u{n}", n))
        later = take(db, attempt("u6", 6, success=True))
        assert (later.merged, later.unchanged) == (1, {"too_many_attempts": 1})
        too_old = take(db, attempt("u3", 3), attempt("u9", 1, check="d"))
        assert (len(too_old.new), too_old.merged, too_old.unchanged) == (1, 0, {"too_many_attempts": 1})
        assert take(db, attempt("u4", 4)).unchanged == {"known": 1}
    (result,) = stored(db)[0]["notification_results"]
    assert [each["uuid"] for each in result["attempts"]] == ["u2", "u4", "u6"]
    assert result["success"] is True
    assert_all_is_right(db)


def test_what_is_merged_at_once_has_a_bound(db: Database) -> None:
    take(db, attempt("u1", 1), attempt("u1", 1, check="d"))
    with patch.object(attempts, "_MAX_CHARACTERS", len(as_json.text(stored(db)[0]))):
        result = take(db, attempt("u2", 2), attempt("u2", 2, check="d"), attempt("u1", 1, check="new"))
    assert (len(result.new), result.merged, result.unchanged) == (1, 1, {"too_large": 1})
    assert_all_is_right(db)


def test_an_item_that_is_full_does_not_cost_the_others(db: Database) -> None:
    full = item_at(NOW_MS, notification_results=[{"notification_id": f"n{n}"} for n in range(MAX_RESULTS)])
    replace_item(db, CHECK, full, NOW_TICKS)
    take(db, attempt("u1", 1, check="d"))
    before = stored(db)
    result = take(db, attempt("u2", 2), attempt("u2", 2, check="d"), attempt("u2", 2, check="new"))
    assert (len(result.new), result.merged, result.unchanged) == (1, 1, {"too_large": 1})
    assert stored(db) == before
    assert_all_is_right(db)


def test_what_fails_while_it_is_stored_leaves_nothing(db: Database) -> None:
    take(db, attempt("u1", 1))
    before = every_row(db)
    body = [attempt("u2", 2), attempt("u3", 3, integration="email[1]"), attempt("u4", 4, check="new")]
    with patch.object(delivery_index, "replace", side_effect=OSError("full")), pytest.raises(OSError, match="full"):
        take(db, *body)
    assert every_row(db) == before
    result = take(db, *body)
    assert (len(result.new), result.merged) == (1, 1)
    assert_all_is_right(db)


def test_merging_into_many_items_keeps_all_counts_right(db: Database) -> None:
    for uuid, integration in (("u1", "slack[0]"), ("u2", "slack[0]"), ("u3", "email[1]"), ("u4", "email[1]")):
        again = [attempt(uuid, int(uuid[1]), uuid == "u2", integration, check=f"c{n}") for n in range(120)]
        result = take(db, *again)
        assert len(result.new) + result.merged == 120
        assert_all_is_right(db)


def test_what_clients_added_stays(db: Database) -> None:
    take(db, ATTEMPTS[0])
    item_id = ATTEMPTS[0].item["id"]
    add_attempt(db, CHECK, item_id, "slack[0]", {"message": "by hand", "at": 15}, None)
    assert take(db, ATTEMPTS[1]).merged == 1
    messages = [each["message"] for each in stored(db)[0]["notification_results"][0]["attempts"]]
    assert messages == ["said u1", "by hand", "said u2"]
    replace_item(db, CHECK, item_at(NOW_MS, notification_results=[{"success": True}, {}]), NOW_TICKS)
    assert take(db, ATTEMPTS[0]).merged == 1
    assert_all_is_right(db)


def test_all_items_are_stored_or_none(db: Database) -> None:
    take(db, sent(0))
    before = every_row(db)
    fails = patch.object(item_store, "_MAX_XML_BYTES", 1000), patch.object(item_store, "_SHORT_CHARACTERS", 1000)
    with fails[0], fails[1], pytest.raises(BadRequest):
        take(db, sent(1), one(Rule.MERGE, 2, text="x" * 2000))
    assert every_row(db) == before


def in_threads(url: str, calls: Sequence[Sequence[Derived]]) -> list[RecordedItems]:
    """Record several bodies at once, each by a connection of its own."""
    together = threading.Barrier(len(calls))

    def send(derived: Sequence[Derived]) -> RecordedItems:
        db = open_database(url)
        ensure_connected(db)
        with closing(db):
            together.wait()
            return take(db, *derived)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(send, calls))


def test_of_equal_bodies_at_once_one_is_the_notification(database_url: str, db: Database) -> None:
    results = in_threads(database_url, [[repeated("x", number=n, check=check) for check in "abc"] for n in range(6)])
    assert sum(len(result.new) for result in results) == 3
    assert sum(result.unchanged["repeated"] for result in results) == 15
    assert_all_is_right(db)


def test_attempts_at_once_are_all_there(database_url: str, db: Database) -> None:
    bodies = [[attempt(f"u{n}", n, check=check) for check in ("cd" if n % 2 else "dc")] for n in range(8)]
    results = in_threads(database_url, bodies)
    assert sum(len(result.new) for result in results) == 2
    for check in "cd":
        (item,) = stored(db, check)
        (result,) = item["notification_results"]
        assert [each["uuid"] for each in result["attempts"]] == [f"u{n}" for n in range(8)]
    assert_all_is_right(db)
