"""The mapping of the events of Alertmanager's recorder."""

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifhist.feeds.alertmanager_events import map_events
from notifhist.feeds.feed import MAX_ITEMS, Derived, Rule
from notifhist.feeds.labels import fingerprint
from tests.feed_items import ACME, NOTIFICATION, SILENCED, any_json, assert_sound, event_of, line_of, only_item, spoilt
from tests.payloads import payload

ALERT = NOTIFICATION["data"]["notification"]["alerts"][0]["details"]
LABELS = {each["key"]: each["value"] for each in ALERT["labels"]["labels"]}
INHIBITED = event_of(
    "inhibitionMutedAlert",
    {
        "inhibitRules": [
            {
                "sourceMatchers": [{"rendered": 'severity="critical"'}],
                "targetMatchers": [{"rendered": 'severity="warning"'}, {"rendered": 'team="db"'}],
                "equalLabels": ["instance"],
            }
        ],
        "mutedAlert": SILENCED["data"]["silenceMutedAlert"]["mutedAlert"],
        "inhibitingFingerprints": ["5426933765594809259"],
    },
)


def only(event: Any) -> Derived:
    return only_item(map_events(event, ACME))


@pytest.mark.parametrize(
    ("event", "name", "rule"),
    [
        (NOTIFICATION, "alertmanager-recorder.mapped", Rule.CREATE),
        (SILENCED, "alertmanager-silenced.mapped", Rule.UNLESS_SAME_SUPPRESSION),
    ],
    ids=["notification", "silence"],
)
def test_the_examples(event: Any, name: str, rule: Rule) -> None:
    derived = only(event)
    assert json.dumps(line_of(derived)) == json.dumps(payload(name))
    assert derived.rule is rule


def test_a_list_of_events_is_read_too() -> None:
    mapped = map_events([NOTIFICATION, SILENCED, event_of("alertCreated", {}), "text"], ACME)
    assert len(mapped.items) == 2
    assert mapped.ignored == {"event_type": 1, "no_event": 1}


def test_a_list_of_events_may_make_a_thousand_items() -> None:
    odd: list[Any] = ["not looked at"]
    mapped = map_events([SILENCED] * MAX_ITEMS + odd * 3, ACME)
    assert (len(mapped.items), mapped.ignored) == (MAX_ITEMS, {"too_many": 3})


def test_the_last_notification_of_a_list_is_whole() -> None:
    body = NOTIFICATION["data"]["notification"]
    alerts = [{"details": {**ALERT, "fingerprint": str(n)}} for n in range(1, 1501)]
    events = [*[SILENCED] * (MAX_ITEMS - 1), event_of("notification", {**body, "alerts": alerts}), NOTIFICATION]
    mapped = map_events(events, ACME)
    assert (len(mapped.items), mapped.ignored) == (MAX_ITEMS - 1 + 1001, {"too_many": 1})


@pytest.mark.parametrize(
    "kind",
    [
        *("alertmanagerStartupEvent", "alertmanagerShutdownEvent", "alertCreated", "alertGrouped", "alertResolved"),
        *("silenceCreated", "silenceUpdated", "somethingNew"),
    ],
)
def test_other_types_are_counted(kind: str) -> None:
    mapped = map_events(event_of(kind, {}), ACME)
    assert (mapped.items, mapped.ignored) == ([], {"event_type": 1})


def test_labels_may_be_maps_and_alerts_have_no_level_of_details() -> None:
    event = deepcopy(NOTIFICATION)
    annotations = {"summary": "/var on db3 fills in 4 hours"}
    event["data"]["notification"]["alerts"] = [{**ALERT, "labels": LABELS, "annotations": annotations}]
    assert only(event) == only(NOTIFICATION)


def test_what_is_left_out_is_zero_or_false() -> None:
    event = deepcopy(NOTIFICATION)
    body = event["data"]["notification"]
    body["integration"] = {"name": "email", "index": "2"}
    body["alerts"][0]["details"] |= {"resolved": True, "fingerprint": "1"}
    del body["flushId"], body["groupInfo"]["groupUuid"]
    derived = only(event)
    (result,) = derived.item["notification_results"]
    assert result["notification_id"] == "email[2]"
    assert (derived.check_id, derived.item["state"], derived.item["transaction_id"]) == (f"{1:016x}", "resolved", "/0")
    assert derived.item["source"]["endsAt"] == ALERT["endsAt"]


@pytest.mark.parametrize("number", [None, "0", "-1", "1.5", str(2**64), "9" * 5000, 1.5, True])
def test_without_a_fingerprint_it_is_computed(number: Any) -> None:
    event = deepcopy(NOTIFICATION)
    event["data"]["notification"]["alerts"][0]["details"]["fingerprint"] = number
    assert only(event).check_id == fingerprint(LABELS)


def test_another_integration_has_an_item_of_its_own_and_the_same_transaction() -> None:
    event = deepcopy(NOTIFICATION)
    event["data"]["notification"]["integration"] = {"name": "email", "index": 1}
    first, second = only(NOTIFICATION), only(event)
    assert first.item["id"] != second.item["id"]
    assert first.item["transaction_id"] == second.item["transaction_id"]


def test_one_item_for_a_group() -> None:
    event = deepcopy(NOTIFICATION)
    other = deepcopy(event["data"]["notification"]["alerts"][0])
    other["details"] |= {"labels": {"labels": [{"key": "alertname", "value": "DiskWillFill"}]}, "resolved": True}
    event["data"]["notification"]["alerts"].append(other)
    (derived,) = map_events(event, replace(ACME, per_group=True)).items
    assert (derived.entity_id, derived.alarm_id, derived.check_id) == ("alertmanager-events", "DiskWillFill", "group")
    assert derived.item["state"] == "firing"
    assert derived.item["source"]["alert_count"] == 2


def test_inhibition_names_the_rule_by_its_matchers() -> None:
    derived = only(INHIBITED)
    name = '{severity="critical"} > {severity="warning",team="db"} equal (instance)'
    assert derived.item["suppressions"] == [name]
    assert derived.item["transaction_id"] == f"inhibition/{name}"
    assert derived.item["status"] == f"not sent: inhibited by {name}"
    assert derived.item["source"]["not_sent"] == "inhibition"
    assert derived.item["source"]["inhibition"]["inhibitingFingerprints"] == ["4b505781b5da03ab"]
    assert (derived.rule, derived.item["notification_results"]) == (Rule.UNLESS_SAME_SUPPRESSION, [])


def test_inhibition_names_the_rule_by_its_name() -> None:
    event = deepcopy(INHIBITED)
    rules = event["data"]["inhibitionMutedAlert"]["inhibitRules"]
    rules[0]["name"] = "critical over warning"
    rules.append({**rules[0], "equalLabels": []})
    assert only(event).item["suppressions"] == ["critical over warning"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({**NOTIFICATION, "@timestamp": "0001-01-01T00:00:00Z"}, "no_time"),
        ({**NOTIFICATION, "@timestamp": None}, "no_time"),
        (event_of("notification", {"alerts": [{"hash": "1"}]}), "no_alert"),
        (event_of("silenceMutedAlert", {}), "no_suppression"),
        (event_of("inhibitionMutedAlert", {"inhibitRules": [1]}), "no_suppression"),
        (None, "no_event"),
        ({"data": "text"}, "no_event"),
    ],
)
def test_what_is_odd_is_counted(event: Any, reason: str) -> None:
    mapped = map_events(event, ACME)
    assert (mapped.items, mapped.ignored) == ([], {reason: 1})


@given(spoilt(NOTIFICATION) | spoilt(SILENCED) | spoilt(INHIBITED) | any_json(), st.booleans())
def test_whatever_comes_items_are_sound(event: Any, per_group: bool) -> None:
    assert_sound(map_events(event, replace(ACME, per_group=per_group)))
    assert_sound(map_events([event, NOTIFICATION], replace(ACME, per_group=per_group)))
