"""How the register is read: by indexes, at a cost that depends on the series looked at, not on their items."""

import sqlite3

import pytest

from notifhist.schemas.query import CheckPath, EntityPath, RegisterQuery, Tenant
from notifhist.store.database import Database, SqliteDatabase
from notifhist.store.database.sql import rows
from notifhist.store.history import listing, newest, states
from notifhist.store.history.listing import Level, groups_of, list_groups
from notifhist.store.history.register import find_alarm, find_check, find_entity
from notifhist.store.history.states import list_states
from tests.conftest import NOW_MS, TENANT
from tests.http.helpers import item_at
from tests.records import record_items

OLDEST_MS = NOW_MS - 30 * 86_400_000
INDEXES = {Level.ENTITIES: "series_alarms", Level.ALARMS: "series_alarms", Level.CHECKS: "series_checks"}


def fill(db: Database, series: int, items: int = 1, entity_id: str = "e", ms: int = NOW_MS) -> None:
    """Record items of as many alarms, each with a series."""
    recorded = [item_at(ms - k) for k in range(items)]
    for n in range(series):
        record_items(db, CheckPath(TENANT, entity_id, f"a{n:04}", f"c{n % 3}"), recorded, ms * 10_000)


def owner(level: Level) -> Tenant:
    return Tenant(TENANT) if level is Level.ENTITIES else EntityPath(TENANT, "e")


def plan(db: Database, text: str, **values: object) -> str:
    """Return how the database would answer a query, were the tables large."""
    if isinstance(db, SqliteDatabase):
        return "\n".join(row[3] for row in rows(db, f"EXPLAIN QUERY PLAN {text}", **values))
    with db.atomic():
        db.execute_sql("SET LOCAL citus.propagate_set_commands = 'local'")  # on all nodes, if there are several
        for name in ("seqscan", "bitmapscan", "sort"):
            db.execute_sql(f"SET LOCAL enable_{name} = off")
        return "\n".join(row[0] for row in rows(db, f"EXPLAIN {text}", **values))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("level", Level)
def test_series_are_listed_by_one_index(db: Database, level: Level, reverse: bool) -> None:
    fill(db, 3)
    if not isinstance(db, SqliteDatabase):
        db.execute_sql("ANALYZE")
    places = {f"after_{name}": value for name, value in listing._EDGES[reverse].items()}
    values = {"tenant": TENANT, "entity_id": "e", "count": 51, **places}
    told = plan(db, listing._series_sql(type(db), level, reverse), **values)
    assert INDEXES[level] in told
    if isinstance(db, SqliteDatabase):
        assert f"{level.value[0]}," in told, "it begins at the place"
        assert not [each for each in ("SCAN", "TEMP B-TREE") if each in told]
    else:
        assert "ROW(" in told.partition(INDEXES[level])[2].partition("Index Cond: ")[2]
        assert not [each for each in ("Seq Scan on series", "Sort  (") if each in told]


def test_the_newest_item_of_a_series_is_found_by_the_key(db: Database) -> None:
    text = newest._NEWEST.format(param="(SELECT CAST(:series_id AS bigint) AS series_id) AS param")
    told = plan(db, text, series_id=1, low=0)
    if isinstance(db, SqliteDatabase):
        assert "SEARCH history_item USING PRIMARY KEY (series_id=? AND ticks>?)" in told
    else:
        assert "Index Cond: ((series_id = '1'::bigint) AND (ticks >=" in told
        assert not [each for each in ("Seq Scan", "Sort  (") if each in told]


def test_earlier_items_are_found_by_the_key(db: Database) -> None:
    text = states._EARLIER.format(document=db.text_of("document"))
    told = plan(db, text, series_id=1, low=0, ticks=NOW_MS * 10_000, clock_and_node=0, count=10)
    by_key = "SEARCH history_item USING PRIMARY KEY" if isinstance(db, SqliteDatabase) else "_pkey"
    assert by_key in told
    assert "Seq Scan" not in told


def test_on_postgresql_the_indexes_sort_by_code_point_whatever_the_database_does(db: Database) -> None:
    if isinstance(db, SqliteDatabase):
        assert rows(db, "PRAGMA encoding") == [("UTF-8",)]  # its bytes sort so
        return
    found = rows(
        db,
        """SELECT (SELECT count(*) FROM unnest(indcollation) AS each WHERE each = '"C"'::regcollation)
        FROM pg_index WHERE indexrelid::regclass::text IN ('series_alarms', 'series_checks')""",
    )
    assert found == [(2,), (2,)]
    for level in Level:
        texts = [name for name in level.value if name != "id"]
        text = listing._series_sql(type(db), level, False)
        assert all(text.count(f'{name} COLLATE "C"') >= 2 for name in texts)


def steps(db: Database, call: object) -> int:
    """Return how many instructions SQLite's virtual machine executes in a call."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    connection: sqlite3.Connection = db.connection()
    connection.set_progress_handler(tick, 1)
    call()  # type: ignore[operator]
    connection.set_progress_handler(None, 1)
    return count


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_page_costs_no_more_with_a_hundred_times_the_items(db: Database) -> None:
    entity, tenant = EntityPath(TENANT, "e"), RegisterQuery(Tenant(TENANT), 10)
    pages = [
        lambda: list_groups(db, Level.ENTITIES, tenant, OLDEST_MS),
        lambda: list_groups(db, Level.CHECKS, RegisterQuery(entity, 10), OLDEST_MS),
        lambda: find_entity(db, entity, OLDEST_MS),
        lambda: find_check(db, entity, "c1", OLDEST_MS),
    ]
    fill(db, 20)
    before = [steps(db, page) for page in pages]
    fill(db, 20, items=100)
    assert [steps(db, page) for page in pages] == before


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
def test_the_rest_of_a_group_that_exists_is_not_looked_at(db: Database, limit: int, reverse: bool) -> None:
    fill(db, 40)
    fill(db, 1, entity_id="f")
    query = RegisterQuery(Tenant(TENANT), limit, reverse=reverse)
    whole, found = (list(groups_of(db, Level.ENTITIES, query, OLDEST_MS, are_whole)) for are_whole in (True, False))
    assert [group.id for group in whole] == [group.id for group in found] == (["f", "e"] if reverse else ["e", "f"])
    assert {group.id: len(group.series) for group in whole} == {"e": 40, "f": 1}
    assert {group.id: group.looked_at for group in found}["e"] <= min(limit + 1, 40)


@pytest.mark.parametrize("most", [1, 3, 50])
def test_groups_are_the_same_however_they_are_read(db: Database, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    for entity_id, ms in (("d", OLDEST_MS - 1), ("e", NOW_MS), ("f", OLDEST_MS - 1), ("g", NOW_MS)):
        fill(db, 5, entity_id=entity_id, ms=ms)
    monkeypatch.setattr(listing, "_MOST_SERIES", most)
    for level in Level:
        ids = [group.id for group in groups_of(db, level, RegisterQuery(owner(level), 1), OLDEST_MS)]
        assert ids == sorted(set(ids))
    found = list(groups_of(db, Level.ENTITIES, RegisterQuery(Tenant(TENANT), 1), OLDEST_MS))
    assert [(group.id, group.looked_at, len(group.series)) for group in found] == [
        *(("d", 5, 0), ("e", 5, 5), ("f", 5, 0), ("g", 5, 5))
    ]


def test_a_state_is_of_the_item_that_was_the_newest_when_the_page_was_read(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_DOCUMENTS_TOGETHER", 2)
    fill(db, 5, items=3)
    page = list_states(db, RegisterQuery(Tenant(TENANT), 10), OLDEST_MS)
    ((entity,),) = (page.values,)
    assert [each["alarm_id"] for each in entity["latest_alarm_states"]] == [f"a{n:04}" for n in range(5)]
    assert {each["timestamp"] for each in entity["latest_alarm_states"]} == {NOW_MS}
    assert not db.in_transaction()


def test_an_alarm_of_many_checks_is_found_whole(db: Database) -> None:
    for n in range(30):
        record_items(db, CheckPath(TENANT, "e", "a", f"c{n}"), [item_at(NOW_MS - abs(n - 20))], NOW_MS * 10_000)
    alarm = CheckPath(TENANT, "e", "a", "")
    assert find_alarm(db, alarm, OLDEST_MS)["check_id"] == "c20"
