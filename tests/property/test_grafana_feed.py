"""The attempts of a notification become the same items, in whatever order and pieces, and however often they come."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from notifhist.feeds.feed import Origin
from notifhist.feeds.grafana import map_push
from notifhist.schemas.document import Document
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from notifhist.store.history.derived import record_derived
from notifhist.store.history.items import ITEM_RECORDER
from tests.delivery_rows import assert_every_delivery_is_right
from tests.feed_pushes import Line, alert_line, event_of, push_of
from tests.recount import assert_counts_are_true

ATTEMPTS = st.lists(
    st.fixed_dictionaries(
        {
            "uuid": st.uuids(version=4).map(str),
            "flush": st.sampled_from(["2026-11-26T21:04:30.000418276Z", "2026-11-26T21:09:30Z"]),
            "integration": st.sampled_from(["slack", "email"]),
            "index": st.integers(0, 2),
            "at": st.integers(0, 3),
            "error": st.sampled_from(["", "refused"]),
            "states": st.lists(st.sampled_from(["firing", "resolved"]), max_size=3),
        }
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda attempt: attempt["uuid"],
)
NOW_TICKS = 17_957_270_700_000_000
Attempt = dict[str, Any]


def lines_of(attempt: Attempt) -> list[Line]:
    """Return the lines of an attempt about any number of alerts."""
    event = event_of(attempt, pipelineTime=attempt["flush"])
    alerts = [
        alert_line(number, uuid=attempt["uuid"], status=state, labels={"instance": f"host{number}"})
        for number, state in enumerate(attempt["states"])
    ]
    return [event, *alerts]


def push(db: Database, tenant: str, attempts: Sequence[Attempt]) -> None:
    mapped = map_push(push_of(*(line for each in attempts for line in lines_of(each))), Origin(tenant, NOW_TICKS))
    assert not mapped.ignored
    record_derived(db, tenant, mapped.items, NOW_TICKS, None, 0)


def stored(db: Database, tenant: str) -> list[tuple[CheckPath, Document]]:
    """Return the tenant's items, once the deliveries and their counts have been compared with them."""
    owned = [(owner, orjson.loads(each.text)) for owner, each in ITEM_RECORDER.all(db) if owner.tenant == tenant]
    assert_every_delivery_is_right(db, tenant, owned)
    assert_counts_are_true(db, tenant)
    places = [(CheckPath("", owner.entity_id, owner.alarm_id, owner.check_id), item) for owner, item in owned]
    return sorted(places, key=lambda each: (*vars(each[0]).values(), each[1]["timestamp"]))


def test_any_order_repetition_and_splitting_gives_the_same_items(db: Database) -> None:
    numbers = count()

    @settings(max_examples=25)
    @given(attempts=ATTEMPTS, data=st.data())
    def check(attempts: list[Attempt], data: st.DataObject) -> None:
        number = next(numbers)
        at_once, in_pieces = f"at-once-{number}", f"in-pieces-{number}"
        push(db, at_once, attempts)
        rest = data.draw(st.permutations(attempts + data.draw(st.lists(st.sampled_from(attempts), max_size=4))))
        while rest:
            size = data.draw(st.integers(1, len(rest)))
            push(db, in_pieces, rest[:size])
            rest = rest[size:]
        assert without_ids(stored(db, in_pieces)) == without_ids(stored(db, at_once))

    check()


def without_ids(items: list[tuple[CheckPath, Document]]) -> list[tuple[CheckPath, Document]]:
    """Return items without the ids that are made of the tenant's name."""
    return [(check, {**item, "id": "", "transaction_id": ""}) for check, item in items]
