"""Whatever a feed is sent: the answer is 200 or a clear error, and the items are sound and all there, or none is."""

import json
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Any

import orjson
import pytest
from flask import Flask
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifhist.errors import BadRequest
from notifhist.feeds.feed import Feed, Origin
from notifhist.feeds.loki_push import read_push
from notifhist.feeds.table import FEEDS, feed_of
from notifhist.schemas.history import ITEM
from notifhist.schemas.validation import validate
from notifhist.store.database import Database
from notifhist.store.history.items import ITEM_RECORDER
from tests.conftest import TENANT, MakeKey, authorized, every_row
from tests.delivery_rows import assert_every_delivery_is_right
from tests.feed_items import ACME, NOTIFICATION, SILENCED, WEBHOOK, any_json, assert_sound, spoilt
from tests.feed_pushes import alert_line, event_line, in_protobuf, push_of
from tests.http.helpers import assert_fault
from tests.payloads import APPRISE_RESULT, PUSHES, packed_push, payload

ENTRIES = st.tuples(
    st.sampled_from(["1795727071112233445", "0", "-1", "9" * 25, "x"]),
    st.one_of(
        spoilt(json.loads(event_line().text)).map(json.dumps),
        spoilt(json.loads(alert_line(0).text)).map(json.dumps),
        st.just(event_line().text),
        st.just(alert_line(0).text),
        st.text(max_size=5),
    ),
).map(list)
LABELS = st.sampled_from([{"from": f"notify-history-{name}", "instance": "g1"} for name in ("events", "alerts")])
PUSHES_OF_LINES = st.lists(
    st.fixed_dictionaries({"stream": LABELS, "values": st.lists(ENTRIES, max_size=4)}), min_size=1, max_size=3
).map(lambda streams: {"streams": streams})
PAYLOADS: dict[str, st.SearchStrategy[Any]] = {
    "alertmanager": spoilt(WEBHOOK),
    "alertmanager-events": st.one_of(
        spoilt(NOTIFICATION), spoilt(SILENCED), st.lists(spoilt(NOTIFICATION), max_size=3)
    ),
    "grafana": st.one_of(PUSHES_OF_LINES, PUSHES_OF_LINES, spoilt(payload(PUSHES[0]))),
    "apprise": spoilt({"entity_id": "e", "alarm_id": "a", "from": "m", "result": payload(APPRISE_RESULT)}),
}
"""What each feed may be sent, beside any JSON at all."""
of_each_feed = pytest.mark.parametrize("feed", FEEDS, ids=[feed.name for feed in FEEDS])


def test_each_feed_has_payloads_here() -> None:
    assert PAYLOADS.keys() == {feed.name for feed in FEEDS}


@of_each_feed
def test_whatever_it_is_sent_the_items_are_sound(feed: Feed) -> None:
    @settings(max_examples=50)
    @given(body=st.one_of(PAYLOADS[feed.name], PAYLOADS[feed.name], any_json()), per_group=st.booleans())
    def check(body: Any, per_group: bool) -> None:
        mapped = feed.map(body, Origin(ACME.tenant, ACME.received_ticks, per_group=per_group))
        assert_sound(mapped)
        orjson.dumps([derived.item for derived in mapped.items])

    check()


IN_PROTOBUF = [in_protobuf(payload(name)) for name in PUSHES] + [in_protobuf(push_of(event_line(), alert_line(0)))]


@given(body=st.sampled_from(IN_PROTOBUF), data=st.data())
def test_a_push_in_protobuf_is_read_or_refused(body: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(body)))
        body = body[:at] + data.draw(st.binary(max_size=3)) + body[at + data.draw(st.integers(0, 3)) :]
    with suppress(BadRequest):
        assert_sound(feed_of("grafana").map(read_push(body), ACME))


BODIES = st.one_of(
    st.binary(max_size=20),
    st.builds(lambda text, at: text[:at], st.just(packed_push()), st.integers(0, 2000)),
    st.sampled_from([b"[" * 5000, b"\xef\xbb\xbf{}", b'{"a":1e999}', b'"\\ud800"', b"{}" * 2, b"null"]),
)
TYPES = st.sampled_from(["application/json", "application/x-protobuf", "application/xml", "text/plain", ""])
CODINGS = st.sampled_from(["", "snappy", "gzip", "deflate", "zstd"])


def assert_whole(db: Database, tenant: str, created: int) -> None:
    """Assert that the tenant has as many items as were told, all of them sound, and their deliveries."""
    items = [(owner, orjson.loads(item.text)) for owner, item in ITEM_RECORDER.all(db) if owner.tenant == tenant]
    assert len(items) == created
    assert all(validate(ITEM, item) == item for _, item in items)
    assert_every_delivery_is_right(db, tenant, items)


@of_each_feed
def test_a_payload_is_recorded_whole_or_not_at_all(
    feed: Feed, unlimited: Flask, make_key: MakeKey, db: Database
) -> None:
    numbers = count()

    @settings(max_examples=15)
    @given(bodies=st.lists(PAYLOADS[feed.name].map(json.dumps), min_size=1, max_size=2))
    def check(bodies: Sequence[str]) -> None:
        tenant = f"{TENANT}-{next(numbers)}"
        client = authorized(unlimited, make_key(tenant=tenant))
        created = 0
        for body in bodies:
            answer = client.post(f"/feeds/{feed.name}{feed.push_path}", data=body, content_type="application/json")
            assert answer.status_code in (200, 400), answer.text  # 400: Infinity is no JSON
            created += json.loads(answer.data).get("created", 0)
        assert_whole(db, tenant, created)

    check()


@of_each_feed
def test_any_body_is_taken_or_refused(feed: Feed, unlimited: Flask, key: str, db: Database) -> None:
    client = authorized(unlimited, key)

    @settings(max_examples=40)
    @given(body=BODIES, content_type=TYPES, coding=CODINGS)
    @example(packed_push()[:-1], "application/x-protobuf", "snappy")
    @example(b"\xff\xff\xff\xff\x0f", "application/x-protobuf", "snappy")
    def check(body: bytes, content_type: str, coding: str) -> None:
        headers = {"Content-Encoding": coding} if coding else {}
        url = f"/feeds/{feed.name}{feed.push_path}"
        answer = client.post(url, data=body, content_type=content_type, headers=headers)
        assert answer.status_code in (200, 400, 413, 415), answer.text  # 413: bytes that say they unpack to more
        if answer.status_code != 200:
            assert_fault(answer, answer.status_code, json.loads(answer.data)["type"])

    check()


def test_a_body_whose_items_are_too_large_together_is_refused_whole(unlimited: Flask, key: str, db: Database) -> None:
    client, before = authorized(unlimited, key), every_row(db)
    group_key, labels = "k" * 1024 * 1024, [{"number": str(number)} for number in range(100)]
    alerts = [alert_line(number, labels=each) for number, each in enumerate(labels)]
    push = push_of(event_line(groupKey=group_key), *alerts)
    webhook = {"groupKey": group_key, "alerts": [{"labels": each} for each in labels]}
    for url, body in (("grafana/loki/api/v1/push", push), ("alertmanager", webhook)):
        answer = client.post(f"/feeds/{url}", json=body)
        assert answer.status_code == 413, answer.text
    assert every_row(db) == before
