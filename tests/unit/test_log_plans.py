"""The statements for a page of logs use the indexes that have these logs alone, so no page reads the others."""

from itertools import product
from typing import Any

import orjson
import pytest

from notifhist.schemas.query import CheckPath, ItemLogsQuery
from notifhist.store.database import Database, SqliteDatabase
from notifhist.store.deliveries import logs
from tests.conftest import NOW_MS
from tests.http.helpers import item_at
from tests.records import move_recent_deliveries, record_items

TENANTS = ("small", "t", "other")
ITEMS = 2000
"""How many a tenant has; every 20th is a change, every 50th is suppressed."""


@pytest.fixture
def filled(db: Database) -> Database:
    """A history of three tenants, as the engine's planner knows it in production."""
    for tenant in TENANTS:
        for entity in range(4):
            check = CheckPath(tenant, f"en{entity}", "al", "ch")
            items = [
                item_at(
                    *(NOW_MS - n * 1000, entity),
                    state="OK",
                    previous_state=None if n % 20 == 0 else "OK",
                    suppressions=["sp"] if n % 50 == 0 else None,
                )
                for n in range(ITEMS // 4 if tenant != "small" else 30)
            ]
            record_items(db, check, items, now_ticks=NOW_MS * 10_000)
        move_recent_deliveries(db, tenant)
    if db.nodes():
        pytest.skip("The nodes of a cluster make plans of their own.")
    if not isinstance(db, SqliteDatabase):
        db.execute_sql("ANALYZE")
    return db


def indexes_of(db: Database, sql: str, values: Any) -> set[str]:
    """Return the indexes that a statement uses, those of partitions by the name that they all have."""
    if isinstance(db, SqliteDatabase):
        steps = [step for *_, step in db.execute_sql(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()]
        words = [step.split() for step in steps]
        assert not [step for step in steps if step.startswith("SCAN delivery ") or step == "SCAN delivery"]
        return {each[each.index("INDEX") + 1] for each in words if "INDEX" in each} | {
            "the key" for each in words if "PRIMARY" in each
        }
    ((plan,),) = db.execute_sql(f"EXPLAIN (FORMAT JSON) {sql}", values).fetchall()
    used = set(_values_of(plan if isinstance(plan, list) else orjson.loads(plan), "Index Name"))
    above = """SELECT child.relname, parent.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    JOIN pg_class AS parent ON parent.oid = inhparent"""
    names = dict(db.execute_sql(above).fetchall())
    return {names.get(each, each) for each in used}


def _values_of(plan: Any, name: str) -> list[str]:
    if isinstance(plan, list):
        return [value for each in plan for value in _values_of(each, name)]
    if not isinstance(plan, dict):
        return []
    return [value for key, each in plan.items() for value in ([each] if key == name else _values_of(each, name))]


def plans(db: Database, monkeypatch: pytest.MonkeyPatch, query: ItemLogsQuery, suppressions: bool) -> list[set[str]]:
    """Return the indexes that each statement of a page uses."""
    executed: list[tuple[str, Any]] = []
    execute = db.execute_sql
    with monkeypatch.context() as patched:

        def noted(sql: str, params: Any = None, *more: Any) -> Any:
            executed.append((sql, params))
            return execute(sql, params, *more)

        patched.setattr(db, "execute_sql", noted)
        page = (logs.list_suppressions if suppressions else logs.list_changes)(db, query, None)
    assert page.count > 1
    return [indexes_of(db, *each) for each in executed if "delivery_recent" in each[0] or "history_item" in each[0]]


def ask(**more: Any) -> ItemLogsQuery:
    return ItemLogsQuery("t", from_ms=0, to_ms=NOW_MS, limit=20, **more)


INDEXES = [
    ({}, False, "delivery_change"),
    ({"entity_id": "en1"}, False, "delivery_entity_change"),
    ({}, True, "delivery_suppressed"),
]
"""What is asked, whether for suppressions, and the index that has these logs alone."""


def test_a_page_is_a_range_of_the_index_of_its_logs(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for (asked, suppressions, index), reverse in product(INDEXES, [False, True]):
        used = plans(filled, monkeypatch, ask(**asked, reverse=reverse), suppressions)[0]
        of_deliveries = {each for each in used if each.startswith("delivery_") and "recent" not in each}
        assert of_deliveries == {index}, (asked, reverse)


def test_previous_states_are_looked_up_by_key(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    _, before, states = plans(filled, monkeypatch, ask(), suppressions=False)
    assert "delivery_series_id" in states
    assert {each for each in before if "history_item" in each or each == "the key"}


def test_a_long_log_is_looked_up_by_its_index(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [item_at(NOW_MS, n, status="x" * 20_000, previous_state="X") for n in (7, 8)]
    record_items(filled, CheckPath("t", "enLong", "al", "ch"), items, now_ticks=NOW_MS * 10_000)
    move_recent_deliveries(filled, "t")
    _, first, second = plans(filled, monkeypatch, ask(entity_id="enLong"), suppressions=False)
    assert "delivery_change" in first
    assert first == second
