"""The delivery index: when recent deliveries are moved, names of any kind and number, and items that are too much."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from notifhist.clock import Clock
from notifhist.errors import BadRequest
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.document import Document
from notifhist.schemas.fields import MAX_TIMESTAMP
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from notifhist.store.database.postgresql import PostgresqlDatabase
from notifhist.store.database.sql import rows
from notifhist.store.deliveries import derive, names, recording
from notifhist.store.deliveries.derive import MAX_RESULTS
from notifhist.store.deliveries.reading import list_deliveries
from notifhist.store.history.recording import add_attempt, replace_item
from notifhist.transfer.load import Loader, Source
from tests.conftest import NOW_MS, every_row
from tests.delivery_rows import assert_every_delivery_is_right, remembered_codes
from tests.http.helpers import id_at, item_at
from tests.records import all_items, count_items
from tests.recount import assert_counts_are_true
from tests.unit.drafts import CHECK, NOW_TICKS, drafts_of, item, record_now


def listed(db: Database, limit: int = 1000, **filters: Any) -> tuple[list[Document], int]:
    """Return the first deliveries that a query finds, and how many there are."""
    page = list_deliveries(db, DeliveriesQuery("t", 0, MAX_TIMESTAMP, limit, **filters), None)
    return orjson.loads(b"[%b]" % b",".join(page.deliveries.pieces)), page.total


def count_in(db: Database, table: str) -> int:
    return int(rows(db, f"SELECT count(*) FROM {table}")[0][0])


def assert_all_is_right(db: Database) -> None:
    assert_every_delivery_is_right(db, "t", all_items(db))
    assert_counts_are_true(db, "t")


# Recent deliveries.


def record_one_by_one(db: Database, number: int) -> None:
    for n in range(number):
        record_now(db, [item(n)])


def add_attempts(db: Database, number: int) -> None:
    results = [{"notification_id": "nt"}]
    record_now(db, drafts_of([item_at(NOW_MS, n, notification_results=results) for n in range(number)]))
    assert count_in(db, "delivery_recent") == 0
    for n in range(number):
        add_attempt(db, CHECK, id_at(NOW_MS, n), "nt", {}, None)


def replace_one_by_one(db: Database, number: int) -> None:
    for n in range(number):
        replace_item(db, CHECK, item_at(NOW_MS, n), NOW_TICKS)


@pytest.mark.long
@pytest.mark.parametrize("change", [record_one_by_one, add_attempts, replace_one_by_one])
def test_whatever_makes_deliveries_recent_the_recent_ones_are_few(
    db: Database, change: Callable[[Database, int], None]
) -> None:
    change(db, 400)
    most = recording._MOVE_FROM + recording._COUNT_AFTER
    assert 0 < count_in(db, "delivery_recent") <= most
    assert count_in(db, "delivery_recent") + count_in(db, "delivery") == 400
    assert_all_is_right(db)


def test_reading_the_recent_ones_costs_the_same_however_many_have_been_moved(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_COUNT_AFTER", 5)
    monkeypatch.setattr(recording, "_MOVE_FROM", 5)
    record_one_by_one(db, 300)
    assert count_in(db, "delivery_recent") <= 10
    if isinstance(db, PostgresqlDatabase):
        pages = rows(db, "SELECT pg_relation_size('delivery_recent') / 8192")[0][0]
        assert pages <= 3  # 8, unless the space of those that are moved is given back


@pytest.mark.parametrize(("number", "recent"), [(99, 99), (100, 0)])
def test_many_deliveries_at_once_are_never_recent(db: Database, number: int, recent: int) -> None:
    results: list[Document] = [{}] * number
    record_now(db, drafts_of([item_at(NOW_MS, 0)]))
    record_now(db, drafts_of([item_at(NOW_MS, 1)]))  # the names are remembered now
    record_now(db, drafts_of([item_at(NOW_MS, 2, notification_results=results)]))
    assert count_in(db, "delivery_recent") == 2 + recent
    record_now(db, drafts_of([item_at(NOW_MS + 1, n) for n in range(number)]))
    assert count_in(db, "delivery") >= 2 * (number - recent)
    assert_all_is_right(db)


def test_an_item_with_a_thousand_results_is_listed_in_their_ids_order(db: Database) -> None:
    results = [{"notification_id": f"nt{n}", "success": n % 2 == 0} for n in range(1000)]
    record_now(db, drafts_of([item_at(NOW_MS, 0, notification_results=results)]))
    deliveries, total = listed(db)
    assert total == 1000
    assert [each["id"] for each in deliveries] == sorted(each["id"] for each in deliveries)
    assert sorted(each["position"] for each in deliveries) == list(range(1000))
    assert listed(db, outcomes=("failed",))[1] == 500
    (one,), total = listed(db, notification_ids=("nt7", "nt1000"))
    assert (one["position"], total) == (7, 1)
    assert_all_is_right(db)


# Names.


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["x" * 1_000_000, "é\u0301🚨" * 1000, "\0", "a\0b", "", "'", '"', "%", "\\", "X", "null"]
)
def test_a_name_is_found_whatever_it_is(db: Database, name: str) -> None:
    members = {"state": name, "notification_plan_id": name, "transaction_id": name}
    result = {"notification_id": name, "notification_type": name, "notification_details": {"url": name}}
    others = [item_at(NOW_MS, n, state=f"{name}{n}", transaction_id=f"{name}{n}") for n in range(1, 4)]
    record_now(db, drafts_of([item_at(NOW_MS, 0, notification_results=[result], **members), *others]))
    for parameter in ("states", "notification_plan_ids", "transaction_ids", "notification_ids", "notification_types"):
        wanted: dict[str, Any] = {parameter: (name,)}
        (delivery,), total = listed(db, **wanted)
        assert (delivery["state"], delivery["target"], total) == (name, name, 1)
    assert_all_is_right(db)


def test_more_names_than_are_remembered(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_REMEMBERED", 5)
    for n in range(9):
        record_now(db, [item(n, state=f"STATE {n}", notification_plan_id=f"np {n}")])
    for start in range(9):
        wanted = tuple(f"STATE {n}" for n in range(start, 9))
        for n in range(9):
            assert listed(db, states=(f"STATE {n}",), notification_plan_ids=(f"np {n}",))[1] == 1
        assert listed(db, states=wanted)[1] == len(wanted)
        assert listed(db, states=(*wanted, "unheard of"), entity_ids=("e",))[1] == len(wanted)
        assert len(remembered_codes(db, 1)) <= 5 + len(wanted)
    assert_all_is_right(db)


def test_the_same_name_is_another_one_for_another_tenant_and_filter(db: Database) -> None:
    for n in range(3):
        record_now(db, [item(n, CheckPath(f"other {n}", "x", "x", "x"), state=f"S{n}", notification_plan_id="S0")])
    record_now(db, [item(0, state="S2", notification_plan_id="S1"), item(1, state="S1", notification_plan_id="S2")])
    assert [each["state"] for each in listed(db, states=("S1",))[0]] == ["S1"]
    assert [each["state"] for each in listed(db, notification_plan_ids=("S1",))[0]] == ["S2"]
    assert listed(db, states=("S0",)) == ([], 0)
    assert_all_is_right(db)


# What is too much.


def test_what_has_too_many_results_is_refused_and_changes_nothing(db: Database) -> None:
    record_now(db, [item(0, notification_results=[{"notification_id": "nt"}])])
    too_many: list[Document] = [{}] * (MAX_RESULTS + 1)
    before = every_row(db)
    with pytest.raises(BadRequest):
        record_now(db, [item(1), item(2, notification_results=too_many)])
    with pytest.raises(BadRequest):
        replace_item(db, CHECK, item_at(NOW_MS, 0, notification_results=too_many), NOW_TICKS)
    assert every_row(db) == before


def test_an_attempt_that_makes_deliveries_too_long_is_refused_and_changes_nothing(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_now(db, [item(0, notification_results=[{"notification_id": "nt"}])])
    before = every_row(db)
    monkeypatch.setattr(derive, "MAX_CHARACTERS", 1000)
    with pytest.raises(BadRequest):
        add_attempt(db, CHECK, id_at(NOW_MS, 0), "nt", {"message": "x" * 1000}, None)
    assert every_row(db) == before


def long_items(number: int) -> list[Document]:
    """Return items whose deliveries have 36 million characters each."""
    return [item_at(NOW_MS, n, status="x" * 900_000, notification_results=[{}] * 20) for n in range(number)]


def test_items_whose_deliveries_are_too_long_together_are_not_recorded_by_one_body(db: Database) -> None:
    before = every_row(db)
    with pytest.raises(BadRequest) as raised:
        record_now(db, drafts_of(long_items(2)))
    assert raised.value.message == "The body does not fit."
    assert every_row(db) == before


@pytest.mark.long
def test_a_file_may_have_such_items_and_only_one_with_too_many_results_is_bad(db: Database, tmp_path: Path) -> None:
    owner = {"tenant": "t", "entity_id": "e", "alarm_id": "a", "check_id": "c"}
    too_many = item_at(NOW_MS, 9, notification_results=[{}] * (MAX_RESULTS + 1))
    path = tmp_path / "items.ndjson"
    path.write_bytes(b"\n".join(orjson.dumps({**owner, "item": each}) for each in [*long_items(2), too_many]))
    loader = Loader(db, Clock(NOW_MS))
    loader.load(Source(path, None))
    assert loader.bad == [f"{path}:3: The item does not fit. It may have {MAX_RESULTS} results."]
    assert (loader.stored, count_items(db)) == (0, 0)
    loader.load(Source(path, None), skip_bad=True)
    assert (loader.stored, count_items(db), listed(db, limit=1)[1]) == (2, 2, 40)
