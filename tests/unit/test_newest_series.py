"""The newest item of each series is kept, whatever happens to deliveries."""

import importlib
from collections.abc import Sequence
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifhist.schemas.document import Document
from notifhist.schemas.item_ids import ItemKey
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.deliveries.purge import purge
from notifhist.store.deliveries.recording import remove
from tests.conftest import NOW_MS
from tests.http.helpers import item_at
from tests.records import move_recent_deliveries, record_items

NUMBERS = count()
_KEPT = "SELECT series_id, ticks, clock_and_node, state FROM series_newest ORDER BY series_id"
_FOUND = """SELECT series_id, ticks, item_clock_and_node, coalesce(state, 0) FROM delivery
ORDER BY series_id, ticks, item_clock_and_node"""
STATES = st.sampled_from(["OK", "WARNING", "CRITICAL"])
STEPS = st.one_of(
    st.tuples(st.just("record"), st.integers(0, 1), st.integers(0, 5), STATES),
    st.tuples(st.just("remove"), st.integers(0, 20)),
    st.tuples(st.just("move")),
    st.tuples(st.just("purge"), st.integers(0, 5)),
)


def newest(db: Database) -> list[Sequence[object]]:
    """Return what is kept, as all deliveries that are not recent say it."""
    return [list(each) for each in {row[0]: row for row in rows(db, _FOUND)}.values()]


def item(ms: int, n: int, state: str) -> Document:
    return item_at(NOW_MS + ms, n, state=state, notification_results=[{"notification_id": "nt"}] * (n % 3))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=12))
def test_it_is_what_a_look_at_all_deliveries_finds(db: Database, steps: list[tuple[Any, ...]]) -> None:
    tenant = f"tenant {next(NUMBERS)}"
    for n, (name, *values) in enumerate(steps):
        if name == "move":
            move_recent_deliveries(db, tenant)
        elif name == "purge":
            list(purge(db, NOW_MS + values[0]))
        elif name == "remove":
            if items := rows(db, _FOUND):
                series_id, ticks, clock_and_node, _ = items[values[0] % len(items)]
                with db.writing():
                    remove(db, series_id, ItemKey(ticks, clock_and_node))
        else:
            record_items(db, CheckPath(tenant, "en", "al", f"ch{values[0]}"), [item(values[1], n, values[2])])
        assert [list(each) for each in rows(db, _KEPT)] == newest(db)


def test_a_database_from_before_gets_it(db: Database) -> None:
    its = [("chOne", 0), ("chOne", 4), ("chOne", 5), ("chTwo", 1), ("chTwo", 0)]
    for check, n in its:
        record_items(db, CheckPath("tenant", "en", "al", check), [item(n, n, "OK")])
    move_recent_deliveries(db, "tenant")
    wanted = newest(db)
    assert len(wanted) == 2
    db.execute_sql("DROP TABLE series_newest")
    importlib.import_module("notifhist.store.migrations.0009_newest_states").up(None, db)
    assert [list(each) for each in rows(db, _KEPT)] == wanted
