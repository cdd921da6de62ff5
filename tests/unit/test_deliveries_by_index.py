"""SQLite, which has no statistics, reads and counts deliveries by the index of their filter, whatever it is."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.store.database import Database
from notifhist.store.deliveries import reading, selection, summaries
from notifhist.store.deliveries.reading import list_deliveries
from notifhist.store.deliveries.table import DELIVERIES
from notifhist.store.history.recording import delete_item
from tests.conftest import NOW_MS
from tests.http.helpers import id_at, item_at
from tests.unit.drafts import CHECK, drafts_of, item, record_now

ITEMS = 200
VALUES = {
    "outcomes": "failed",
    "states": "CRITICAL",
    "notification_types": "email",
    "notification_ids": "nt",
    "notification_plan_ids": "np",
    "entity_ids": "e",
    "alarm_ids": "a",
    "check_ids": "c",
    "transaction_ids": "tr",
}
INDEXES = {
    **{each.parameter: each.column for each in DELIVERIES.filters if each.parameter},
    "alarm_ids": "series_id",
    "check_ids": "series_id",
    "transaction_ids": "transaction_hash",
}
"""The column whose index leads to the deliveries of a filter."""
ONE = {parameter: (value,) for parameter, value in VALUES.items()}
BY_SERIES = ("alarm_ids", "check_ids")
Plans = list[list[str]]

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def many(db: Database) -> Database:
    """A database with two deliveries of each of ITEMS items, one for each ms from NOW_MS on, all alike."""
    result = {"notification_id": "nt", "notification_type": "email", "success": False, "message": "Hello"}
    members = {"state": "CRITICAL", "notification_plan_id": "np", "transaction_id": "tr"}
    items = [item_at(NOW_MS + n, n, notification_results=[result, result], **members) for n in range(ITEMS)]
    record_now(db, drafts_of(items))
    return db


@pytest.fixture
def plans(many: Database, monkeypatch: pytest.MonkeyPatch) -> Plans:
    """How all statements found deliveries, a list for each statement."""
    explained: Plans = []
    execute_sql = many.execute_sql

    def explain_and_execute(sql: str, params: Any = None) -> Any:
        if "delivery" in sql:
            lines = [str(row[-1]) for row in execute_sql(f"EXPLAIN QUERY PLAN {sql}", params).fetchall()]
            if any(line.startswith(("SEARCH delivery ", "SCAN delivery ")) for line in lines):
                explained.append(lines)
        return execute_sql(sql, params)

    monkeypatch.setattr(many, "execute_sql", explain_and_execute)
    return explained


@pytest.fixture(params=[True, False], ids=["few", "many"])
def are_few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(selection, "_FEW", 1000 if request.param else 10)
    return bool(request.param)


def query(filters: Mapping[str, Any], **members: Any) -> DeliveriesQuery:
    """Return a query for deliveries from and to the midst of them, so that there are two edges to count at."""
    return DeliveriesQuery("t", NOW_MS + 51, NOW_MS + 150, 10, **filters, **members)


def found_by(plan: Sequence[str], table: str = "delivery") -> str:
    (line,) = {each for each in plan if each.startswith(f"SEARCH {table} ")}
    return line.removeprefix(f"SEARCH {table} ")


def by_index(column: str, *values: str, covering: bool = False) -> str:
    conditions = " AND ".join(["tenant_id=?", *(f"{each}=?" for each in values), "ticks>? AND ticks<?"])
    return f"USING {'COVERING ' if covering else ''}INDEX delivery_{column} ({conditions})"


# Pages.


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("parameter", VALUES)
@pytest.mark.usefixtures("are_few")
def test_a_page_by_a_value_is_read_by_the_index_of_its_filter(
    many: Database, plans: Plans, parameter: str, reverse: bool
) -> None:
    assert list_deliveries(many, query({parameter: ONE[parameter]}, reverse=reverse), None).total == 200
    column = INDEXES[parameter]
    assert found_by(plans[-1]) == by_index(column, column)
    assert found_by(plans[-1], "delivery_recent").startswith("USING PRIMARY KEY (tenant_id=?")
    # Those of both tables are merged. Those of a series are sorted, since there may be several series;
    # to be merged, too.
    assert plans[-1].count("USE TEMP B-TREE FOR ORDER BY") == (3 if parameter in BY_SERIES else 0)


@pytest.mark.parametrize("parameter", [each for each in VALUES if each not in BY_SERIES])
def test_a_page_by_several_values_is_read_by_time_unless_they_are_few(
    many: Database, plans: Plans, parameter: str, are_few: bool
) -> None:
    wanted = ("failed", "sent") if parameter == "outcomes" else (VALUES[parameter], "z")
    record_now(many, [item(999, state="z")])
    if parameter in ("notification_types", "notification_ids", "notification_plan_ids"):
        result = {"notification_type": "z", "notification_id": "z"}
        record_now(many, drafts_of([item_at(0, 0, notification_plan_id="z", notification_results=[result])]))
    assert list_deliveries(many, query({parameter: wanted}), None).total == 200
    column = INDEXES[parameter]
    has_own_index = are_few or parameter in ("transaction_ids", "entity_ids")  # no entity z
    assert found_by(plans[-1]) == (by_index(column, column) if has_own_index else by_index("time"))


@pytest.mark.usefixtures("are_few")
def test_of_several_filters_the_most_selective_one_leads(many: Database, plans: Plans) -> None:
    order = [
        *("transaction_ids", "alarm_ids", "notification_ids", "entity_ids", "notification_plan_ids"),
        *("notification_types", "outcomes", "states"),
    ]
    for n, parameter in enumerate(order):
        assert list_deliveries(many, query({each: ONE[each] for each in order[n:]}), None).total == 200
        assert found_by(plans[-1]) == by_index(INDEXES[parameter], INDEXES[parameter])


@pytest.mark.parametrize("sparse", [1, 2])
@pytest.mark.usefixtures("are_few")
def test_where_few_match_two_filters_they_are_looked_up_by_time_before_they_are_read(
    many: Database, plans: Plans, monkeypatch: pytest.MonkeyPatch, sparse: int
) -> None:
    """There are 400, of which 200 match."""
    monkeypatch.setattr(selection, "_SPARSE", sparse)
    asked = query({"outcomes": ("failed",), "notification_ids": ("nt",)})
    assert list_deliveries(many, asked, None).total == 200
    assert found_by(plans[-1]) == by_index("notification_id", "notification_id")
    looked_up = [each for each in plans[-1] if each.startswith("SEARCH entry ")]
    by_time = (
        "SEARCH entry USING COVERING INDEX delivery_time (tenant_id=? AND ticks=? AND clock_and_node=? AND outcome=?)"
    )
    assert looked_up == ([by_time] if sparse == 1 else [])


def test_a_page_without_filters_is_read_by_time(many: Database, plans: Plans) -> None:
    assert list_deliveries(many, query({}), None).total == 200
    assert found_by(plans[-1]) == by_index("time")


@pytest.mark.parametrize("filters", [{}, ONE], ids=["alone", "with all filters"])
@pytest.mark.parametrize(("needle", "is_indexed"), [("HELLO", True), ("hel", True), ("he", False)])
def test_few_that_are_searched_are_found_by_the_index_of_texts(
    many: Database, plans: Plans, are_few: bool, needle: str, is_indexed: bool, filters: Mapping[str, Any]
) -> None:
    assert list_deliveries(many, query(filters, search_query=needle), None).total == 200
    for plan in plans:
        if are_few and is_indexed:
            assert found_by(plan) == "USING INTEGER PRIMARY KEY (rowid=?)"
        else:
            assert found_by(plan) == (by_index("transaction_hash", "transaction_hash") if filters else by_index("time"))


# Counting.


@pytest.mark.parametrize(
    "parameters",
    [(), ("outcomes", "entity_ids"), ("states", "notification_ids"), ("notification_types", "notification_plan_ids")],
)
@pytest.mark.usefixtures("are_few")
def test_the_edges_of_a_range_are_counted_by_the_index_of_time_alone(
    many: Database, plans: Plans, parameters: tuple[str, ...]
) -> None:
    assert list_deliveries(many, query({each: ONE[each] for each in parameters}), None).total == 200
    counted, _ = plans
    assert found_by(counted) == by_index("time", covering=True)


@pytest.mark.parametrize("parameter", VALUES)
@pytest.mark.usefixtures("are_few")
def test_with_one_value_they_are_counted_by_the_index_of_its_filter_alone(
    many: Database, plans: Plans, parameter: str
) -> None:
    assert list_deliveries(many, query({parameter: ONE[parameter]}), None).total == 200
    counted, _ = plans
    assert found_by(counted) == by_index(INDEXES[parameter], INDEXES[parameter], covering=True)


@pytest.mark.parametrize("parameters", [(), ("states",), ("entity_ids",)])
def test_counts_by_names_read_no_delivery(many: Database, plans: Plans, parameters: tuple[str, ...]) -> None:
    asked = query({each: ONE[each] for each in parameters})
    bucket = reading.range_of(asked, None)
    by = summaries.COUNTED_BY["outcome"]
    assert summaries.count_deliveries(many, asked, None, by, [bucket]) == [{"failed": 200}]
    assert plans
    assert all("USING COVERING INDEX" in found_by(plan) for plan in plans)


def test_the_last_failure_of_a_receiver_is_found_by_its_index(many: Database, plans: Plans) -> None:
    (receiver,) = summaries.list_receivers(many, query({}), None)
    assert receiver["counts"] == {"failed": 200}
    counted, newest = plans
    assert found_by(counted) == by_index("time", covering=True)
    assert found_by(newest) == by_index("receiver", "receiver")
    assert "USE TEMP B-TREE FOR ORDER BY" not in newest


# The deliveries of an item.


def test_the_deliveries_of_an_item_are_found_by_its_series_and_time(many: Database, plans: Plans) -> None:
    delete_item(many, CHECK, id_at(NOW_MS, 0), None)
    assert len(plans) == 3  # they are read, taken out of the index of texts, and deleted
    for plan in plans:
        assert found_by(plan) == "USING INDEX delivery_series_id (tenant_id=? AND series_id=? AND ticks=?)"
