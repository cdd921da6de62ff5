"""The mapping of Grafana's notification history."""

import json
from functools import reduce
from itertools import permutations
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifhist.feeds import merging
from notifhist.feeds.feed import MAX_ITEMS, Mapped, Origin, Rule
from notifhist.feeds.grafana import MAX_ERROR, map_push
from notifhist.feeds.loki_push import read_push, unpack_snappy
from notifhist.feeds.merging import joined, merged
from notifhist.feeds.notifications import MAX_ALERTS
from tests.feed_pushes import alert_line, event_line, event_of, push_of
from tests.payloads import EMAIL_PUSH, FIRST_PUSH, PUSHES, packed_push, payload

ACME = Origin("acme", received_ticks=0)


def documents(mapped: Mapped) -> list[Any]:
    return [each.item for each in mapped.items]


def streams_of(*names: str) -> dict[str, Any]:
    return {"streams": [stream for name in names for stream in payload(name)["streams"]]}


def test_three_attempts_make_one_item() -> None:
    expected = payload("grafana-loki.mapped")
    mapped = map_push(streams_of(*PUSHES), ACME)
    (derived,) = mapped.items
    assert (derived.entity_id, derived.alarm_id) == (expected["entity_id"], expected["alarm_id"])
    assert (derived.check_id, derived.rule) == (expected["check_id"], Rule.MERGE)
    assert json.dumps(derived.item) == json.dumps(expected["item"])
    assert not mapped.ignored


@pytest.mark.parametrize("names", list(permutations(PUSHES)))
def test_the_order_of_attempts_does_not_matter(names: tuple[str, ...]) -> None:
    first, *others = [map_push(payload(name), ACME).items[0].item for name in names]
    item = reduce(lambda stored, derived: merged(stored, derived) or stored, others, first)
    assert item == payload("grafana-loki.mapped")["item"]


def test_a_push_in_protobuf_says_the_same_as_in_json() -> None:
    in_protobuf = read_push(unpack_snappy(packed_push(), 10_000))
    assert map_push(in_protobuf, ACME) == map_push(payload(FIRST_PUSH), ACME)


def test_an_event_without_alerts_makes_an_item_for_each_rule() -> None:
    mapped = map_push(push_of(event_line(ruleUIDs=["r1", "r/2"], groupLabels={"host": "db3"}, alertCount=7)), ACME)
    assert [(each.entity_id, each.alarm_id, each.check_id) for each in mapped.items] == [
        ("db3", "r1", "group"),
        ("db3", "r∕2", "group"),
    ]
    assert {each.item["id"] for each in mapped.items} == {mapped.items[0].item["id"]}
    assert mapped.items[0].item["source"]["alert_count"] == 7
    assert mapped.items[0].item["state"] == "firing"


def test_an_event_without_alerts_and_rules_is_not_lost() -> None:
    (derived,) = map_push(push_of(event_line(ruleUIDs=[], groupLabels={})), ACME).items
    assert (derived.entity_id, derived.alarm_id, derived.check_id) == ("grafana", "-", "group")


def test_alerts_without_an_event_are_counted() -> None:
    mapped = map_push(push_of(alert_line(0), alert_line(1)), ACME)
    assert (mapped.items, mapped.ignored) == ([], {"alert_without_event": 2})


def test_each_alert_has_an_item_and_all_have_the_same_id() -> None:
    lines = [alert_line(n, labels={"instance": f"host{n}", "alertname": "x/y"}, status="resolved") for n in (1, 0)]
    mapped = map_push(push_of(*lines, event_line()), ACME)
    assert [(each.entity_id, each.alarm_id) for each in mapped.items] == [("host0", "x∕y"), ("host1", "x∕y")]
    assert len({each.item["id"] for each in mapped.items}) == 1
    assert {each.item["state"] for each in mapped.items} == {"resolved"}


def test_above_a_thousand_alerts_one_item_counts_the_others() -> None:
    lines = [alert_line(n, labels={"instance": "host", "number": str(n)}) for n in range(MAX_ALERTS + 2)]
    *_, last = (items := map_push(push_of(event_line(), *lines), ACME).items)
    assert len(items) == MAX_ALERTS + 1
    assert (last.entity_id, last.check_id) == ("host", "group")
    assert (last.item["source"]["alert_count"], last.item["source"]["truncated"]) == (1002, True)


def test_one_item_for_the_group_if_the_url_says_so() -> None:
    lines = [alert_line(n, labels={"instance": "db3", "number": str(n), "alertname": "Disk"}) for n in range(3)]
    (derived,) = map_push(
        push_of(event_line(ruleUIDs=["r1"], alertCount=3), *lines), Origin("acme", 0, per_group=True)
    ).items
    assert (derived.entity_id, derived.alarm_id, derived.check_id) == ("db3", "r1", "group")
    assert derived.item["source"]["labels"] == {"alertname": "Disk", "instance": "db3"}
    assert derived.item["source"]["alert_count"] == 3


def test_the_external_label_instance_says_where_an_attempt_came_from() -> None:
    one, other, none = (
        map_push(push_of(event_line(), **labels), ACME).items[0].item
        for labels in ({"instance": "g1"}, {"instance": "g2"}, {})
    )
    assert len({one["id"], other["id"], none["id"]}) == 3
    senders = [each["notification_results"][0]["attempts"][0]["from"] for each in (one, other, none)]
    assert senders == ["g1", "g2", "grafana"]
    assert "external_labels" not in none["source"]


def test_retry_is_said_beside_an_error_only() -> None:
    (attempt,) = map_push(push_of(event_line(retry=True)), ACME).items[0].item["notification_results"][0]["attempts"]
    assert (attempt["success"], "retryable" in attempt) == (True, False)


@pytest.mark.parametrize(
    ("push", "ignored"),
    [
        (push_of(event_line(schemaVersion=1)), {"schema_1": 1}),
        (push_of(event_line(), event_line(), stream="notify-history"), {"schema_1": 2}),
        (push_of(event_line(schemaVersion=3)), {"unknown_schema": 1}),
        (push_of(event_line(), stream="state-history"), {"unknown_stream": 1}),
        (push_of(event_line(uuid="")), {"unknown_line": 1}),
        (push_of(event_line(receiver=None)), {"unknown_line": 1}),
        (push_of(event_line(pipelineTime="0001-01-01T00:00:00Z")), {"unknown_line": 1}),
        (push_of(event_line(pipelineTime="soon")), {"unknown_line": 1}),
        (push_of(event_line(integrationIdx=True)), {"unknown_line": 1}),
        (push_of(event_line(), at="never"), {"unknown_line": 1}),
        (push_of(event_line(), at="9" * 5000), {"unknown_line": 1}),
        (push_of(alert_line(None)), {"unknown_line": 1}),
        (push_of(alert_line(0, labels="none")), {"unknown_line": 1}),
        ({"streams": [{"stream": '{from="', "values": [["1", "{}"]]}]}, {"unknown_stream": 1}),
        ({"streams": [{"stream": {"from": "notify-history-events"}, "values": [[], 5, ["1", "no JSON"]]}]},
         {"unknown_line": 3}),
    ],
)  # fmt: skip
def test_what_it_does_not_know_is_counted(push: Any, ignored: dict[str, int]) -> None:
    mapped = map_push(push, ACME)
    assert (mapped.items, mapped.ignored) == ([], ignored)


@pytest.mark.parametrize("push", [None, 5, "text", [], {}, {"streams": None}, {"streams": [None, 5, {"values": {}}]}])
def test_a_push_without_streams_says_nothing(push: Any) -> None:
    assert map_push(push, ACME) == Mapped()


def test_a_push_may_make_a_thousand_items() -> None:
    rules = [str(rule) for rule in range(MAX_ITEMS // 2)]
    mapped = map_push(push_of(*(event_line(uuid=str(n), groupKey=str(n), ruleUIDs=rules) for n in range(4))), ACME)
    assert (len(mapped.items), mapped.ignored) == (MAX_ITEMS, {"too_many": 2})


def test_a_long_error_is_cut() -> None:
    (kept,) = map_push(push_of(event_line(error="x" * MAX_ERROR)), ACME).items[0].item["notification_results"]
    (cut,) = map_push(push_of(event_line(error="x" * (MAX_ERROR + 1))), ACME).items[0].item["notification_results"]
    assert kept["message"] == "x" * MAX_ERROR
    assert cut["message"] == cut["attempts"][0]["message"] == "x" * (MAX_ERROR - 1) + "…"


def test_of_more_attempts_than_are_kept_the_earliest_and_the_latest_are() -> None:
    with patch.object(merging, "MAX_ATTEMPTS", 3):
        mapped = map_push(push_of(*(event_line(at=f"{n}000000", uuid=f"u{n}") for n in range(1, 7))), ACME)
    (result,) = mapped.items[0].item["notification_results"]
    assert [each["uuid"] for each in result["attempts"]] == ["u1", "u5", "u6"]
    assert mapped.ignored == {"too_many_attempts": 3}


ATTEMPTS = st.lists(
    st.fixed_dictionaries(
        {
            "uuid": st.sampled_from("abcdefgh"),
            "integration": st.sampled_from(["slack", "email"]),
            "index": st.integers(0, 2),
            "at": st.integers(0, 3),
            "error": st.sampled_from(["", "refused"]),
            "state": st.sampled_from(["firing", "resolved"]),
        }
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda attempt: attempt["uuid"],
)


def lines_of(attempt: dict[str, Any]) -> list[Any]:
    event = event_of(attempt)
    return [event, alert_line(0, uuid=attempt["uuid"], status=attempt["state"])]


@given(attempts=ATTEMPTS, data=st.data(), most=st.sampled_from([3, merging.MAX_ATTEMPTS]))
def test_any_order_repetition_and_splitting_gives_the_same_item(
    attempts: list[dict[str, Any]], data: Any, most: int
) -> None:
    with patch.object(merging, "MAX_ATTEMPTS", most):
        assert_same_in_pieces(attempts, data)


def assert_same_in_pieces(attempts: list[dict[str, Any]], data: Any) -> None:
    (whole,) = map_push(push_of(*(line for each in attempts for line in lines_of(each))), ACME).items
    sent = attempts + data.draw(st.lists(st.sampled_from(attempts)))
    pushed = data.draw(st.permutations(sent))
    stored: Any = None
    while pushed:
        size = data.draw(st.integers(1, len(pushed)))
        push, pushed = pushed[:size], pushed[size:]
        (derived,) = map_push(push_of(*(line for each in push for line in lines_of(each))), ACME).items
        stored = derived.item if stored is None else merged(stored, derived.item) or stored
    assert stored == whole.item


def test_what_a_client_made_of_a_stored_item_is_no_obstacle() -> None:
    derived = map_push(payload(EMAIL_PUSH), ACME).items[0].item
    results = [
        {},
        {"notification_id": "email[1]", "attempts": [{"uuid": [], "at": "x"}, {"at": None}]},
        {"notification_id": "x", "notification_details": {"integrationIdx": {}}, "attempts": []},
    ]
    stored = {**derived, "notification_results": results}
    assert (item := merged(stored, derived)) is not None
    assert len(item["notification_results"]) == 3
    assert merged(item, derived) is None
    assert joined([item, derived, item]) == item
