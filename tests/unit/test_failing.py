"""Since when receivers fail: after the last success, however the items were stored."""

from collections.abc import Callable, Sequence
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifhist.schemas.document import Document
from notifhist.schemas.query import CheckPath
from notifhist.store.counted import counts
from notifhist.store.database import Database
from notifhist.store.deliveries.failing import Failing, Receiver, failing_since
from tests.conftest import NOW_MS, TENANT
from tests.http.helpers import item_at
from tests.records import move_recent_deliveries, record_items

MINUTE, DAY = 60_000, 86_400_000
HOOK, MAIL, UNNAMED = (
    Receiver("ntHook", "webhook", None),
    Receiver("ntMail", "email", None),
    Receiver(None, "sms", None),
)
NUMBERS = count()


def result(receiver: Receiver, success: bool | None) -> Document:
    members = {**receiver._asdict(), "success": success}
    return {name: value for name, value in members.items() if value is not None}


def record(db: Database, its: Sequence[tuple[int, Document]], tenant: str = TENANT) -> None:
    """Record items with one result each, by their ages in ms."""
    items = [item_at(NOW_MS - age_ms, n, notification_results=[each]) for n, (age_ms, each) in enumerate(its)]
    for n in range(0, len(items), 20):
        record_items(db, CheckPath(tenant, "en", "al", "ch"), items[n : n + 20])


def since(db: Database, *receivers: Receiver, tenant: str = TENANT, oldest_ms: int | None = None) -> list[Failing]:
    return failing_since(db, tenant, receivers, NOW_MS, oldest_ms)


def test_it_is_the_first_failure_after_the_last_success(db: Database, settle: Callable[[], None]) -> None:
    ages = [(9 * DAY, True), (8 * DAY, False), (7 * DAY, True), (6 * DAY, False), (5 * DAY, None), (2 * MINUTE, False)]
    record(db, [(age, result(HOOK, success)) for age, success in ages])
    record(db, [(3 * DAY, result(MAIL, False)), (2 * DAY, result(MAIL, True)), (4 * DAY, result(UNNAMED, False))])
    settle()
    hook = Failing(NOW_MS - 7 * DAY, NOW_MS - 6 * DAY)
    assert since(db, HOOK, MAIL, UNNAMED) == [hook, Failing(NOW_MS - 2 * DAY, None), Failing(None, NOW_MS - 4 * DAY)]
    assert since(db, HOOK, oldest_ms=NOW_MS - 7 * DAY) == [hook]
    assert since(db, HOOK, oldest_ms=NOW_MS - 6 * DAY - MINUTE) == [Failing(None, NOW_MS - 6 * DAY)]
    assert since(db, Receiver("other", None, None)) == [Failing(None, None)]
    assert since(db, HOOK, tenant="nobody") == [Failing(None, None)]


def test_a_success_that_comes_late_is_not_the_last_one(db: Database) -> None:
    record(db, [(2 * DAY, result(HOOK, True)), (MINUTE, result(HOOK, False))])
    move_recent_deliveries(db, TENANT)
    record(db, [(3 * DAY, result(HOOK, True)), (DAY, result(MAIL, True)), (4 * DAY, result(MAIL, True))])
    assert since(db, HOOK, MAIL) == [Failing(NOW_MS - 2 * DAY, NOW_MS - MINUTE), Failing(NOW_MS - DAY, None)]


@pytest.mark.parametrize("split_above", [2, counts.SPLIT_ABOVE])
def test_what_is_still_to_come_says_nothing_of_now(
    db: Database, settle: Callable[[], None], monkeypatch: pytest.MonkeyPatch, split_above: int
) -> None:
    monkeypatch.setattr(counts, "SPLIT_ABOVE", split_above)
    ahead = (1, 30_000, 5 * 3_600_000, 3 * DAY, 40 * DAY, 400 * DAY)
    to_come = [(-ms, result(HOOK, True)) for ms in ahead for _ in range(2)]
    to_come += [(-ms, result(MAIL, success)) for ms in ahead for success in (False, True)]
    record(db, [*to_come, *((age, result(HOOK, age > 9 * DAY)) for age in (70 * DAY, 9 * DAY, 0))])
    settle()
    assert since(db, HOOK, MAIL) == [Failing(NOW_MS - 70 * DAY, NOW_MS - 9 * DAY), Failing(None, None)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_it_is_what_a_look_at_all_says(db: Database, data: st.DataObject) -> None:
    tenant = f"tenant {next(NUMBERS)}"
    ages = st.integers(-400, 400) | st.integers(-30 * 24 * 60, 30 * 24 * 60)
    drawn = data.draw(
        st.lists(st.tuples(ages, st.sampled_from([HOOK, MAIL]), st.sampled_from([True, False, None])), max_size=60)
    )
    usual = counts.SPLIT_ABOVE
    counts.SPLIT_ABOVE = data.draw(st.sampled_from([2, 10, usual]))
    try:
        record(db, [(age * MINUTE, result(receiver, success)) for age, receiver, success in drawn], tenant)
        if data.draw(st.booleans()):
            move_recent_deliveries(db, tenant)
    finally:
        counts.SPLIT_ABOVE = usual
    for receiver, found in zip((HOOK, MAIL), since(db, HOOK, MAIL, tenant=tenant), strict=True):
        its = [(NOW_MS - age * MINUTE, success) for age, each, success in drawn if each == receiver and age >= 0]
        last = max((at for at, success in its if success), default=None)
        first = min((at for at, success in its if success is False and (last is None or at > last)), default=None)
        assert found == Failing(last, first)
