"""One list of what was sent to whom: its members, what they say, and how it follows its items."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import NOW_MS, MakeKey, authorized
from tests.http.delivery_data import DELIVERIES, MEMBERS, Delivery, check_of, ids, listed, results_of, seed
from tests.http.helpers import XML, assert_fault, get_json, get_xml, id_at, item_at, post, send

ITEM = json.loads((Path(__file__).parents[1] / "contract" / "examples" / "item.json").read_bytes())
ITEM_URL = f"{check_of()}/{ITEM['id']}"
OF_BOTH = {
    "timestamp": 1320885544875,
    "entity_id": "enOne",
    "alarm_id": "alOne",
    "check_id": "chOne",
    "item_id": "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26",
}
SAID = {
    "state": "WARNING",
    "previous_state": "OK",
    "status": "matched return statement on line 6",
    "notification_plan_id": "npOne",
    "transaction_id": "sometransaction",
}
PUBLISHED = [
    {
        "id": "646ac7b0-0b34-11e1-ae72-13ccfb648f06",
        **OF_BOTH,
        "position": 0,
        **SAID,
        "notification_id": "ntOne",
        "notification_type": "webhook",
        "target": "http://admin.example.com/notify/",
        "outcome": "sent",
        "attempts": 3,
        "message": "Success: Webhook successfully executed",
    },
    {
        "id": "646ac7b0-0b34-11e1-b35b-2bb201a6b4d4",
        **OF_BOTH,
        "position": 1,
        **SAID,
        "notification_id": "ntFive",
        "notification_type": "webhook",
        "target": "https://down.example.com/notify/",
        "outcome": "failed",
        "attempts": 10,
        "message": "Notification failed after 10 attempts",
    },
]
"""The deliveries of the published item. Their ids are published too."""


def deliver(client: FlaskClient, *results: Any, **members: Any) -> list[Delivery]:
    """Record an item with these results, and return its deliveries."""
    post(client, check_of(), item_at(NOW_MS, notification_results=list(results), **members))
    return listed(client)


def test_the_published_item_is_two_deliveries(client: FlaskClient) -> None:
    post(client, check_of(), ITEM)
    page = get_json(client, DELIVERIES)
    assert json.dumps(page["values"]) == json.dumps(PUBLISHED)
    assert json.dumps(page["metadata"]) == json.dumps(
        {"count": 2, "limit": 50, "marker": None, "next_marker": None, "next_href": None, "total": 2}
    )
    assert all(tuple(each) == MEMBERS for each in page["values"])


def test_in_xml_it_says_the_same(client: FlaskClient) -> None:
    post(client, check_of(), ITEM)
    page = get_xml(client, f"{DELIVERIES}?limit=1")
    (delivery,) = page.iterfind("values/delivery")
    assert dict(delivery.attrib) == {"id": PUBLISHED[0]["id"]}
    assert [(each.tag, each.text) for each in delivery] == [(n, str(v)) for n, v in PUBLISHED[0].items()][1:]
    assert [(each.tag, each.text) for each in page.iterfind("metadata/*")] == [
        ("count", "1"),
        ("limit", "1"),
        ("marker", None),
        ("next_marker", PUBLISHED[1]["id"]),
        ("next_href", f"http://localhost{DELIVERIES}?limit=1&marker={PUBLISHED[1]['id']}"),
        ("total", "2"),
    ]


def test_the_clock_and_node_tell_checks_apart(client: FlaskClient) -> None:
    for check in ("chOne", "chTwo"):
        post(client, check_of(check=check), ITEM)
    found = ids(listed(client))
    assert len({*found}) == len(found) == 4
    assert {each[:18] for each in found} == {ITEM["id"][:18]}


def test_what_is_not_known_is_absent(client: FlaskClient) -> None:
    (delivery,) = deliver(client, {})
    assert list(delivery) == [
        *("id", "timestamp", "entity_id", "alarm_id", "check_id", "item_id", "position", "state"),
        *("outcome", "attempts"),
    ]
    assert (delivery["position"], delivery["outcome"], delivery["attempts"]) == (0, "unknown", 0)


def test_an_item_without_results_is_one_delivery(client: FlaskClient) -> None:
    (delivery,) = deliver(client, status="no notification for this state")
    assert "position" not in delivery
    assert (delivery["outcome"], delivery["attempts"]) == ("not_sent", 0)
    assert delivery["message"] == delivery["status"] == "no notification for this state"


@pytest.mark.parametrize(
    ("result", "item", "outcome"),
    [
        ({"success": True}, {}, "sent"),
        ({"success": False}, {}, "failed"),
        ({}, {}, "unknown"),
        ({"in_progress": False}, {}, "unknown"),
        ({"in_progress": True, "success": True}, {}, "in_progress"),
        ({"in_progress": True, "success": False}, {}, "in_progress"),
        ({"success": True}, {"suppressions": ["spOne"]}, "not_sent"),
        ({"in_progress": True}, {"suppressions": ["spOne"]}, "not_sent"),
        ({"success": True}, {"suppressions": []}, "sent"),
        ({"success": True}, {"suppressions": None}, "sent"),
    ],
)
def test_the_outcome_is_what_the_result_says(
    client: FlaskClient, result: dict[str, Any], item: dict[str, Any], outcome: str
) -> None:
    (delivery,) = deliver(client, result, **item)
    assert delivery["outcome"] == outcome
    assert ids(listed(client, f"outcome={outcome}")) == [delivery["id"]]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"success": False, "message": "of the result", "attempts": [{"message": "of an attempt"}]}, "of the result"),
        ({"success": False, "attempts": [{"message": "first"}, {"message": "last"}]}, "last"),
        ({"success": False, "attempts": [{"message": "first"}, {"from": "ele"}]}, None),
        ({"success": False, "message": "", "attempts": [{"message": "last"}]}, ""),
        ({"success": False}, None),
    ],
)
def test_the_message_is_the_results_or_that_of_its_last_attempt(
    client: FlaskClient, result: dict[str, Any], message: str | None
) -> None:
    (delivery,) = deliver(client, result, status="the status")
    assert delivery.get("message") == message
    assert delivery["attempts"] == len(result.get("attempts", ()))


def test_the_message_of_what_was_not_sent_is_the_status(client: FlaskClient) -> None:
    sent = {"success": True, "message": "sent", "attempts": [{"message": "tried"}]}
    (delivery,) = deliver(client, sent, suppressions=["spOne"], status="the status")
    assert delivery["message"] == "the status"
    assert delivery["attempts"] == 1


@pytest.mark.parametrize(
    ("details", "target"),
    [
        ({"email": "e", "channel": "c", "phone_number": "p", "address": "a", "url": "u", "recipient": "r"}, "u"),
        ({"recipient": "r", "email": "e", "channel": "c", "phone_number": "p", "address": "a"}, "a"),
        ({"recipient": "r", "email": "e", "channel": "c", "phone_number": "p"}, "p"),
        ({"recipient": "r", "email": "e", "channel": "c"}, "c"),
        ({"recipient": "r", "email": "e"}, "e"),
        ({"other": "o", "recipient": "r"}, "r"),
        ({"url": 1, "address": {"url": "u"}, "recipient": "r"}, "r"),
        ({"token": 1, "to": "first", "cc": "second"}, "first"),
        ({"to": ["a"]}, None),
        ({}, None),
    ],
)
def test_the_target_is_the_first_known_address(client: FlaskClient, details: Any, target: str | None) -> None:
    (delivery,) = deliver(client, {"notification_details": details})
    assert delivery.get("target") == target


def test_the_deliveries_of_one_item_have_its_time_and_their_own_positions(client: FlaskClient) -> None:
    found = deliver(client, *results_of(0, 7))
    assert {each["timestamp"] for each in found} == {NOW_MS}
    assert sorted(each["position"] for each in found) == list(range(7))
    assert ids(found) == sorted(ids(found)), "equal times are ordered by id"


def test_a_completed_item_is_told_as_it_is_now(client: FlaskClient) -> None:
    (before,) = deliver(client, {"notification_id": "nt", "in_progress": True})
    result = {"notification_id": "nt", "in_progress": False, "success": False, "message": "refused"}
    url = f"{check_of()}/{before['item_id']}"
    assert send(client, "PUT", url, item_at(NOW_MS, notification_results=[result, {}])).status_code == 200
    found = {each["position"]: each for each in listed(client)}
    assert found[0] == {**before, "outcome": "failed", "message": "refused"}
    assert found[1]["outcome"] == "unknown"
    assert listed(client, "outcome=in_progress") == []


def test_an_attempt_is_told(client: FlaskClient) -> None:
    (before,) = deliver(client, {"notification_id": "nt", "in_progress": True})
    attempts = f"{check_of()}/{before['item_id']}/notification_results/nt/attempts"
    post(client, attempts, {"message": "refused", "from": "ele"})
    assert listed(client) == [{**before, "attempts": 1, "message": "refused"}]
    assert listed(client, "q=refused") == listed(client)


def test_what_is_deleted_has_no_delivery(client: FlaskClient) -> None:
    seeded = seed(client)
    gone = seeded[0]["item_id"]
    assert client.delete(f"{check_of()}/{gone}").status_code == 204
    assert listed(client) == [each for each in seeded if each["item_id"] != gone]


def test_a_conflict_or_a_bad_body_changes_no_delivery(client: FlaskClient) -> None:
    seeded = seed(client)
    item_id = seeded[0]["item_id"]
    conflict = {"id": item_id, "state": "OK", "notification_results": []}
    for bad in (conflict, {"state": 1}, {"values": [item_at(NOW_MS), conflict]}):
        assert send(client, "POST", check_of(), bad).status_code == 400
    assert listed(client) == seeded


def test_the_same_item_again_is_no_other_delivery(client: FlaskClient) -> None:
    for status in (201, 200):
        post(client, check_of(), ITEM, status)
    assert listed(client) == PUBLISHED


def test_the_bare_url_and_that_of_the_tenant_are_the_same_place(client: FlaskClient) -> None:
    seeded = seed(client)
    for below in ("", "/counts", "/receivers"):
        bare, of_tenant = (get_json(client, f"{root}/deliveries{below}") for root in ("", "/v1.0/123456"))
        hrefs = [page.get("metadata", {}).pop("next_href", None) for page in (bare, of_tenant)]
        assert bare == of_tenant
        assert hrefs == (
            [None, None]
            if below
            else [f"http://localhost{root}/deliveries?marker={seeded[50]['id']}" for root in ("", "/v1.0/123456")]
        )


def test_other_tenants_are_never_told_of(app: Flask, client: FlaskClient, make_key: MakeKey) -> None:
    other = authorized(app, make_key(tenant="other"))
    seeded = seed(client)
    post(other, check_of(tenant=""), item_at(NOW_MS - 1, state="theirs", notification_results=[{"message": "theirs"}]))
    (theirs,) = get_json(other, "/deliveries")["values"]
    assert theirs["message"] == "theirs"
    assert theirs["entity_id"] == "enOne", "an id of ours"
    assert listed(client) == seeded
    for query in ("state=theirs", "q=theirs", f"marker={theirs['id']}&q=theirs"):
        assert get_json(client, f"{DELIVERIES}?{query}")["metadata"]["total"] == 0
        assert get_json(client, f"{DELIVERIES}/receivers?{query}")["values"] == []
    for query in ("entity_id=en1", "notification_id=ntMail", "notification_plan_id=np1", "transaction_id=tx1"):
        assert listed(client, query)
        assert get_json(other, f"/deliveries?{query}")["values"] == []
    assert get_json(other, f"/deliveries?marker={seeded[0]['id']}")["values"] == [theirs]
    for below in ("", "/counts", "/receivers"):
        assert_fault(other.get(f"{DELIVERIES}{below}"), 403, "forbiddenError")


def test_nothing_recorded_is_nothing_delivered(client: FlaskClient) -> None:
    assert get_json(client, DELIVERIES)["values"] == []
    assert get_json(client, f"{DELIVERIES}?marker={id_at(NOW_MS)}&state=OK&q=abc")["metadata"]["total"] == 0
    assert {tuple(each["counts"]) for each in get_json(client, f"{DELIVERIES}/counts")["values"]} == {()}
    assert get_json(client, f"{DELIVERIES}/receivers") == {"values": []}


def test_head_is_get_without_a_body(client: FlaskClient) -> None:
    seed(client)
    for below in ("", "/counts", "/receivers"):
        for accept in ("application/json", XML):
            got, head = (
                client.open(f"{DELIVERIES}{below}", method=method, headers={"Accept": accept})
                for method in ("GET", "HEAD")
            )
            assert (head.status_code, head.data) == (200, b"")
            for name in ("Content-Type", "Content-Length", "Vary"):
                assert head.headers[name] == got.headers[name]


def test_nobody_records_a_delivery(client: FlaskClient) -> None:
    for below in ("", "/counts", "/receivers"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            refused = client.open(f"{DELIVERIES}{below}", method=method, json={})
            assert_fault(refused, 405, "methodNotAllowed")
            assert set(refused.headers["Allow"].split(", ")) == {"GET", "HEAD"}
    assert_fault(client.get(f"{DELIVERIES}/{PUBLISHED[0]['id']}"), 404, "notFoundError")
    assert_fault(client.get(f"{DELIVERIES}/"), 404, "notFoundError")
