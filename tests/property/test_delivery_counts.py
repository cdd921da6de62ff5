"""The counts of deliveries are those of a recount, also when the oldest are deleted, where few fill a bucket."""

from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import CheckPath
from notifhist.store.counted import counts
from notifhist.store.counted.cut import cut
from notifhist.store.database import Database
from notifhist.store.deliveries.recording import move_recent
from notifhist.store.deliveries.table import DELIVERIES
from notifhist.store.history.recording import delete_item
from notifhist.store.tenants import ensure_tenant
from tests.conftest import NOW_MS
from tests.http.helpers import id_at
from tests.property.strategies import examples
from tests.records import record_items
from tests.recount import assert_counts_are_true

_LENGTHS = [each.part_ms for each in DELIVERIES.levels] + [DELIVERIES.levels[0].bucket_ms]
TIMES = st.one_of(
    st.sampled_from((NOW_MS, NOW_MS, NOW_MS + 1, NOW_MS + 300)),
    st.builds(
        lambda length, parts, ms: max(NOW_MS // length * length + parts * length + ms, 0),
        st.sampled_from(_LENGTHS),
        st.integers(-3, 3),
        st.integers(-2, 2),
    ),
)
"""Many of one moment, and many at the first and last milliseconds of buckets of every size."""
_RESULTS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"notification_id": st.sampled_from("ab"), "success": st.booleans(), "in_progress": st.booleans()}
    ),
    max_size=3,
)
ITEMS = st.fixed_dictionaries(
    {"timestamp": TIMES, "state": st.sampled_from(("OK", "CRITICAL")), "notification_results": _RESULTS},
    optional={"notification_plan_id": st.sampled_from("pq"), "suppressions": st.just(["s"])},
)


class Deliveries(RuleBasedStateMachine):
    """A tenant's deliveries, of which the oldest are deleted now and then."""

    def __init__(self, db: Database, tenant: str) -> None:
        super().__init__()
        self.db, self.checks = db, [CheckPath(tenant, entity, "a", "c") for entity in "ef"]
        self.tenant, self._numbers = tenant, count()
        self.items: list[tuple[CheckPath, Document]] = []
        with db.writing():
            self.tenant_id = ensure_tenant(db, tenant)

    @rule(items=st.lists(ITEMS, min_size=1, max_size=8), check=st.integers(0, 1))
    def record(self, items: list[Document], check: int) -> None:
        new = [{"id": id_at(item["timestamp"], number=next(self._numbers)), **item} for item in items]
        record_items(self.db, self.checks[check], new)
        self.items += [(self.checks[check], item) for item in new]
        with self.db.writing():
            move_recent(self.db, self.tenant_id, self.tenant)

    @rule(item=ITEMS, number=st.integers(4, 9))
    def record_a_burst(self, item: Document, number: int) -> None:
        self.record([item] * number, 0)

    @rule(number=st.integers(0, 999))
    def delete(self, number: int) -> None:
        if self.items:
            check, item = self.items.pop(number % len(self.items))
            delete_item(self.db, check, item["id"], None)

    @rule(before_ms=TIMES)
    def purge(self, before_ms: int) -> None:
        old = {"tenant_id": self.tenant_id, "before": before_ms * TICKS_PER_MS}
        with self.db.writing():
            self.db.lock_name(self.tenant)
            self.db.delete_searchable(DELIVERIES.name, "tenant_id = :tenant_id AND ticks < :before", old)
            cut(self.db, DELIVERIES, self.tenant_id, before_ms)
        self.items = [(check, item) for check, item in self.items if item["timestamp"] >= before_ms]
        self.recount()

    @rule()
    def recount(self) -> None:
        assert_counts_are_true(self.db, self.tenant)

    def teardown(self) -> None:
        self.recount()


def test_counts_are_those_of_a_recount(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "SPLIT_ABOVE", 3)
    numbers = count(1)

    class NewTenants(Deliveries):
        def __init__(self) -> None:
            super().__init__(db, f"cut-{next(numbers)}")

    run_state_machine_as_test(NewTenants, settings=settings(examples(0.4), stateful_step_count=25))
