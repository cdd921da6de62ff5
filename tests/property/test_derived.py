"""Items of feeds are recorded as if each came by itself, one after the other, however they are put into bodies."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from notifhist.feeds.feed import Derived, Rule
from notifhist.feeds.merging import merged
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.item_ids import ItemKey, key_of
from notifhist.store.database import Database
from notifhist.store.history.derived import record_derived
from tests.conftest import NOW_MS
from tests.delivery_rows import assert_every_delivery_is_right
from tests.http.helpers import item_at
from tests.records import all_items
from tests.recount import assert_counts_are_true

DEDUP_MS = 3
Body = tuple[int, Sequence[Derived]]
"""How many ms after NOW a body came in, and its items."""


class Model:
    """What is stored, by check: a plain reading of the rules."""

    def __init__(self) -> None:
        self.items: dict[str, dict[ItemKey, Document]] = defaultdict(dict)

    def take(self, derived: Derived, now_ms: int) -> None:
        """Store an item by its rule."""
        stored, item, key = self.items[derived.check_id], derived.item, key_of(derived.item["id"])
        newest = stored[max(stored)] if stored else None
        if derived.rule is Rule.UNLESS_REPEATED:
            since_ms = now_ms - DEDUP_MS
            same = [each for each in stored.values() if each.get("transaction_id") == item["transaction_id"]]
            if any(each["timestamp"] > since_ms for each in same):
                return
        if derived.rule is Rule.UNLESS_SAME_SUPPRESSION and newest is not None:
            is_same = newest.get("suppressions") == item["suppressions"]
            if is_same and not newest["notification_results"]:
                return
        if derived.rule is Rule.MERGE and key in stored:
            stored[key] = merged(stored[key], item) or stored[key]
        stored.setdefault(key, item)


def members_of(rule: Rule, name: str) -> Document:
    """Return what an item of a rule has; `name` tells it from others."""
    if rule is Rule.UNLESS_REPEATED:
        return {"transaction_id": name}
    if rule is Rule.UNLESS_SAME_SUPPRESSION:
        return {"suppressions": [name]}
    attempt = {"uuid": name, "at": ord(name), "success": name > "b", "message": name}
    result = {"notification_id": f"nt{ord(name) % 2}", "notification_details": {"integrationIdx": ord(name) % 2}}
    return {"notification_results": [{**result, "attempts": [attempt]}]}


@st.composite
def derived_items(draw: st.DrawFn) -> Derived:
    """Draw an item; those of one check, time and rule have one id, and of one transaction if they have one."""
    rule, name = draw(st.sampled_from(list(Rule))), draw(st.sampled_from("abc"))
    number = list(Rule).index(rule) + (len(Rule) * ord(name) if rule is Rule.UNLESS_REPEATED else 0)
    item = item_at(NOW_MS + draw(st.integers(0, 6)), number, **members_of(rule, name))
    return Derived("e", "a", draw(st.sampled_from(("c", "d"))), item, rule)


BODIES = st.lists(st.tuples(st.integers(0, 9), st.lists(derived_items(), max_size=6)), max_size=6)


def test_items_are_recorded_as_if_one_by_one(db: Database) -> None:
    numbers = count()

    @given(BODIES)
    def holds(bodies: Sequence[Body]) -> None:
        tenant, model = f"t{next(numbers)}", Model()
        for after_ms, items in bodies:
            record_derived(db, tenant, items, (NOW_MS + after_ms) * TICKS_PER_MS, None, DEDUP_MS)
            for each in items:
                model.take(each, NOW_MS + after_ms)
        stored: dict[str, Any] = defaultdict(dict)
        its = [(check, item) for check, item in all_items(db) if check.tenant == tenant]
        for check, item in its:
            stored[check.check_id][key_of(item["id"])] = item
        assert stored == {check: items for check, items in model.items.items() if items}
        assert_every_delivery_is_right(db, tenant, its)
        assert_counts_are_true(db, tenant)

    holds()
