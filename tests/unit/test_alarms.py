"""The alarms of a tenant: their newest state, outcome, change and failures, of items stored in any way."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifhist.schemas.document import Document
from notifhist.schemas.query import AlarmPath, CheckPath
from notifhist.store.database import Database
from notifhist.store.deliveries.alarms import MAX_COUNTED, Alarm, find_details, list_alarms
from tests.conftest import NOW_MS, TENANT
from tests.http.helpers import item_at
from tests.records import move_recent_deliveries, record_items

HOUR = 3_600_000


def check(entity: str = "en", alarm: str = "al", name: str = "ch", tenant: str = TENANT) -> CheckPath:
    return CheckPath(tenant, entity, alarm, name)


def result(success: bool = True) -> Document:
    return {"notification_id": "nt", "notification_type": "email", "success": success}


def item(hours_ago: float, state: str = "OK", previous: str | None = None, *successes: bool) -> Document:
    members: Document = {"state": state, "notification_results": [result(each) for each in successes]}
    members |= {"previous_state": previous} if previous else {}
    return item_at(round(NOW_MS - hours_ago * HOUR), **members)


def record_all(db: Database, its: list[tuple[CheckPath, Document]]) -> None:
    for path, document in its:
        record_items(db, path, [document])


def names(alarms: list[Alarm]) -> list[tuple[str, str]]:
    return [(each.path.entity_id, each.path.alarm_id) for each in alarms]


def test_an_alarm_has_the_state_of_the_newest_item_of_all_its_checks(db: Database, settle: Callable[[], None]) -> None:
    record_all(db, [(check(name="a"), item(3, "OK")), (check(name="b"), item(2, "CRITICAL"))])
    record_all(db, [(check(name="a"), item(5, "WARNING")), (check("en", "other"), item(1, "WARNING"))])
    settle()
    first, other = list_alarms(db, TENANT, None).found
    assert (first.path, first.state, first.timestamp) == (AlarmPath(TENANT, "en", "al"), "CRITICAL", NOW_MS - 2 * HOUR)
    assert first.states == {"b": "CRITICAL", "a": "OK"}
    assert [each.check_id for each in first.checks] == ["b", "a"]
    assert (other.path.alarm_id, other.state) == ("other", "WARNING")


def test_alarms_are_sorted_by_code_point_and_those_that_are_not_wanted_left_out(db: Database) -> None:
    paths = [check(entity, alarm) for entity in ("b", "B", "é") for alarm in ("z", "Z")]
    record_all(db, [(each, item(1)) for each in paths])
    record_all(db, [(check(tenant="other"), item(1))])
    assert names(list_alarms(db, TENANT, None).found) == [(e, a) for e in ("B", "b", "é") for a in ("Z", "z")]
    assert names(list_alarms(db, TENANT, None, lambda alarm: alarm.alarm_id == "z").found) == [
        (entity, "z") for entity in ("B", "b", "é")
    ]
    assert list_alarms(db, "nobody", None) == ([], None)


def test_what_has_expired_is_not_there(db: Database, settle: Callable[[], None]) -> None:
    record_all(db, [(check(alarm="old"), item(9)), (check(alarm="new"), item(1)), (check(alarm="new"), item(8))])
    settle()
    assert names(list_alarms(db, TENANT, NOW_MS - 5 * HOUR).found) == [("en", "new")]


def test_details_are_of_the_newest_item_and_change(db: Database, settle: Callable[[], None]) -> None:
    its = [
        *(item(9, "OK", "CRITICAL", False), item(8, "WARNING", "OK", False, False)),
        *(item(7, "WARNING", "WARNING", True), item(6, "WARNING", "WARNING", True, False)),
    ]
    record_all(db, [(check(), each) for each in its])
    record_all(db, [(check("en", "silent"), item(2, "CRITICAL", "CRITICAL"))])
    settle()
    alarms = list_alarms(db, TENANT, None).found
    details, silent = find_details(db, alarms, NOW_MS - 8 * HOUR)
    assert (details.outcomes, details.since_ms, details.failures) == (("sent", "failed"), NOW_MS - 8 * HOUR, 3)
    assert (silent.outcomes, silent.since_ms, silent.failures) == (("not_sent",), None, 0)
    assert not silent.is_suppressed
    assert find_details(db, [], 0) == []


def test_failures_are_counted_up_to_a_number(db: Database, settle: Callable[[], None]) -> None:
    record_all(db, [(check(), item(n / 100, "OK", "OK", False)) for n in range(MAX_COUNTED + 5)])
    settle()
    assert find_details(db, list_alarms(db, TENANT, None).found, 0)[0].failures == MAX_COUNTED


NUMBERS = count()
OUTCOMES = {True: "sent", False: "failed", None: "not_sent"}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_alarms_are_what_a_look_at_all_items_says(db: Database, data: st.DataObject) -> None:
    tenant = f"tenant {next(NUMBERS)}"
    places = st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from("12"))
    drawn = data.draw(
        st.lists(st.tuples(places, st.sampled_from("OWC"), st.sampled_from([True, False, None])), max_size=30)
    )
    its = [
        (check(*place, tenant=tenant), item(9 - n / 10, state, "O", *([] if ok is None else [ok])))
        for n, (place, state, ok) in enumerate(drawn)
    ]
    record_all(db, its)
    if data.draw(st.booleans()):
        move_recent_deliveries(db, tenant)
    newest = {(path.entity_id, path.alarm_id): (path, document) for path, document in its}
    alarms = list_alarms(db, tenant, None).found
    assert {(each.path.entity_id, each.path.alarm_id): (each.state, each.checks[0].check_id) for each in alarms} == {
        alarm: (document["state"], path.check_id) for alarm, (path, document) in newest.items()
    }
    for alarm, details in zip(alarms, find_details(db, alarms, 0), strict=True):
        _, document = newest[alarm.path.entity_id, alarm.path.alarm_id]
        results = document["notification_results"]
        assert details.outcomes == (OUTCOMES[results[0]["success"] if results else None],)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_of_a_series_a_few_places_of_an_index_are_looked_at(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    record_all(db, [(check(alarm=f"al{n}"), item(n, "OK", "OK", False)) for n in range(20)])
    move_recent_deliveries(db, TENANT)
    plans: list[str] = []
    execute_sql = db.execute_sql

    def explain_and_execute(sql: str, params: Any = None) -> Any:
        if "FROM delivery" in sql:
            plans.extend(str(row[3]) for row in execute_sql(f"EXPLAIN QUERY PLAN {sql}", params).fetchall())
        return execute_sql(sql, params)

    monkeypatch.setattr(db, "execute_sql", explain_and_execute)
    find_details(db, list_alarms(db, TENANT, 0).found, 0)
    found = {each.split(" USING ")[1].split(" (")[0] for each in plans if "delivery USING" in each}
    assert found == {"INDEX delivery_series_id", "INDEX delivery_failure"}
    assert not [each for each in plans if each.startswith("SCAN delivery")]
