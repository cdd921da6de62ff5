"""The mapping of the webhooks of Alertmanager and Grafana."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifhist.feeds.alertmanager import map_notification
from notifhist.feeds.feed import Derived, Rule
from notifhist.feeds.notifications import MAX_ALERTS
from tests.feed_items import ACME, WEBHOOK, any_json, assert_sound, changed, line_of, only_item, spoilt, webhook_of
from tests.payloads import payload


def only(body: Any) -> Derived:
    return only_item(map_notification(body, ACME))


def test_the_example() -> None:
    derived = only(WEBHOOK)
    assert json.dumps(line_of(derived)) == json.dumps(payload("alertmanager-webhook.mapped"))
    assert derived.rule is Rule.UNLESS_REPEATED


def test_alerts_of_a_notification_share_its_id() -> None:
    body = webhook_of({"fingerprint": "a", "status": "resolved"}, {"fingerprint": "b"}, status="firing")
    first, second = map_notification(body, ACME).items
    assert [(each.check_id, each.item["state"]) for each in (first, second)] == [("a", "resolved"), ("b", "firing")]
    assert first.item["id"] == second.item["id"]
    assert first.item["transaction_id"] == second.item["transaction_id"]


@pytest.mark.parametrize(
    "other",
    [
        changed(WEBHOOK, receiver="pager"),
        changed(WEBHOOK, groupKey="{}"),
        changed(WEBHOOK, status="resolved"),
        webhook_of({"status": "resolved"}),
        webhook_of({"startsAt": "2026-11-26T21:05:00Z"}),
        webhook_of({"endsAt": "2026-11-26T21:06:00Z"}),
        webhook_of({"fingerprint": "0"}),
        webhook_of({}, {}),
    ],
)
def test_another_notification_has_another_transaction(other: dict[str, Any]) -> None:
    transactions = [map_notification(body, ACME).items[0].item["transaction_id"] for body in (WEBHOOK, other)]
    assert transactions[0] != transactions[1]


def test_a_member_of_a_cluster_sends_the_same_notification() -> None:
    alerts = [{"fingerprint": "a"}, {"fingerprint": "b"}]
    bodies = [webhook_of(*alerts), webhook_of(*reversed(alerts), externalURL="http://am-1.example.net:9093")]
    first, second = (map_notification(body, ACME).items[0].item["transaction_id"] for body in bodies)
    assert first == second


def test_an_end_and_further_members_are_kept() -> None:
    body = webhook_of({"endsAt": "2026-11-26T21:30:00Z"}, truncatedAlerts=7, notification_reason="first notification")
    source = only(body).item["source"]
    assert source["endsAt"] == "2026-11-26T21:30:00Z"
    assert (source["truncatedAlerts"], source["notification_reason"]) == (7, "first notification")


def grafana_of(**alert: Any) -> dict[str, Any]:
    """Return the webhook of a contact point: it strips labels of its own, but sends the fingerprint of all of them."""
    return webhook_of(
        {"ruleUID": "fe8w3kq1tn8cgd", "fingerprint": "1b4c559a3bcb72aa", "valueString": "[ B=93 ]", **alert},
        version="1",
        orgId=1,
        title="[FIRING:1]",
        state="alerting",
    )


def test_grafana_is_told_by_its_version_and_its_rule_is_the_alarm() -> None:
    derived = only(grafana_of())
    assert (derived.alarm_id, derived.check_id) == ("fe8w3kq1tn8cgd", "1b4c559a3bcb72aa")
    (result,) = derived.item["notification_results"]
    assert result["message"].startswith("Grafana notified this receiver;")
    assert "success" not in result
    source = derived.item["source"]
    assert (source["feed"], source["orgId"], source["valueString"]) == ("alertmanager", 1, "[ B=93 ]")


def test_annotations_that_grafana_keeps_for_itself_are_left_out() -> None:
    derived = only(grafana_of(annotations={"__orgId__": "1", "description": "full"}))
    assert derived.item["source"]["annotations"] == {"description": "full"}
    assert derived.item["status"] == "full"


def test_one_item_for_a_group() -> None:
    body = webhook_of({"fingerprint": "a"}, {"fingerprint": "b", "status": "resolved"})
    (derived,) = map_notification(body, replace(ACME, per_group=True)).items
    assert (derived.entity_id, derived.check_id) == ("db3.example.net:9100", "group")
    assert derived.item["state"] == "firing"
    assert derived.item["source"]["alert_count"] == 2
    assert derived.item["source"]["labels"] == body["commonLabels"]


def test_a_thousand_alerts_have_items_and_the_others_one_together() -> None:
    labels = [{"host": f"h{n}", "alertname": "Down"} for n in range(MAX_ALERTS + 5)]
    alerts = [{"fingerprint": each["host"], "labels": each} for each in labels]
    items = map_notification(webhook_of(*alerts), ACME).items
    assert len(items) == MAX_ALERTS + 1
    last = items[-1]
    assert (last.entity_id, last.alarm_id, last.check_id) == ("h0", "Down", "group")
    assert last.item["source"]["alert_count"] == MAX_ALERTS + 5
    assert last.item["source"]["truncated"] is True
    assert len(map_notification(webhook_of(*alerts[:MAX_ALERTS]), ACME).items) == MAX_ALERTS


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "no_notification"),
        ([], "no_notification"),
        ("text", "no_notification"),
        ({"alerts": {}}, "no_notification"),
        ({"alerts": [1]}, "no_alert"),
    ],
)
def test_what_is_odd_is_counted(body: Any, reason: str) -> None:
    mapped = map_notification(body, ACME)
    assert (mapped.items, mapped.ignored) == ([], {reason: 1})


def test_an_alert_of_which_nothing_is_known_is_recorded() -> None:
    derived = only({"alerts": [{}]})
    assert (derived.entity_id, derived.alarm_id, derived.item["state"]) == ("alertmanager", "-", "unknown")


@given(spoilt(WEBHOOK) | spoilt(grafana_of()) | any_json(), st.booleans())
def test_whatever_comes_items_are_sound(body: Any, per_group: bool) -> None:
    assert_sound(map_notification(body, replace(ACME, per_group=per_group)))
