import json
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import NOW_MS
from tests.http.helpers import (
    ALARM,
    CHECK,
    JSON,
    XML,
    assert_fault,
    get_json,
    id_at,
    item_at,
    post,
    read_xml,
    send,
    text,
    validated,
)

HOST = "http://localhost"
ID = id_at(NOW_MS)
URL = f"{CHECK}/{ID}"
SHORT = {"state": "OK", "notification_results": []}
CONFLICT = "indexCardinalityConstraintViolation"


# POST of one item


def test_a_new_item_is_answered_with_its_location(client: FlaskClient) -> None:
    response = post(client, CHECK, item_at(NOW_MS))
    assert response.headers["Location"] == HOST + URL
    assert text(response) == json.dumps(item_at(NOW_MS))
    assert text(client.get(response.headers["Location"])) == text(response)


def test_what_is_missing_is_filled_in_first(client: FlaskClient) -> None:
    response = post(client, CHECK, {"z": 1, **SHORT})
    item = json.loads(response.data)
    assert list(item) == ["id", "timestamp", "z", "state", "notification_results"]
    assert item["timestamp"] == NOW_MS
    assert uuid.UUID(item["id"]).version == 1
    assert response.headers["Location"] == f"{HOST}{CHECK}/{item['id']}"
    assert get_json(client, f"{CHECK}/{item['id']}") == item
    assert get_json(client, CHECK)["values"] == [item]


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ({"id": ID, **SHORT}, ["id", "timestamp", "state", "notification_results"]),
        ({**SHORT, "id": ID}, ["timestamp", "state", "notification_results", "id"]),
        ({"timestamp": NOW_MS, **SHORT}, ["id", "timestamp", "state", "notification_results"]),
        ({**SHORT, "timestamp": NOW_MS}, ["id", "state", "notification_results", "timestamp"]),
        ({**SHORT, "timestamp": NOW_MS, "id": ID}, ["state", "notification_results", "timestamp", "id"]),
        (SHORT, ["id", "timestamp", "state", "notification_results"]),
    ],
)
def test_a_member_that_was_recorded_keeps_its_place(
    given: dict[str, Any], order: list[str], client: FlaskClient
) -> None:
    response = post(client, CHECK, given)
    item = json.loads(response.data)
    assert list(item) == order
    assert item["timestamp"] == NOW_MS
    assert text(client.get(f"{CHECK}/{item['id']}")) == text(response)


@pytest.mark.parametrize("timestamp", [0, 1, NOW_MS - 10**9, NOW_MS, NOW_MS + 10**9, 103_072_857_660_684])
def test_an_id_is_made_of_the_timestamp(timestamp: int, client: FlaskClient) -> None:
    item = json.loads(post(client, CHECK, {"timestamp": timestamp, **SHORT}).data)
    ticks = uuid.UUID(item["id"]).time - 0x01B21DD213814000
    assert (item["timestamp"], ticks // 10_000) == (timestamp, timestamp)


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"id": ID, "timestamp": NOW_MS + 1}, "timestamp"),
        ({"id": ID, "timestamp": NOW_MS - 1}, "timestamp"),
        ({"id": "646ac7b0-0b34-41e1-a0a1-0ff89fa2fa26"}, "id"),
        ({"id": ID.replace("-", "")}, "id"),
        ({"timestamp": -1}, "timestamp"),
        ({"timestamp": 103_072_857_660_685}, "timestamp"),
        ({"state": None}, "state"),
        (
            {"notification_results": [{"attempts": [{}, {}, {"message": 1}]}]},
            "notification_results[0].attempts[2].message",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_not_stored(members: dict[str, Any], path: str, client: FlaskClient) -> None:
    for document in ({**SHORT, **members}, {"values": [item_at(NOW_MS, 7), {**SHORT, **members}]}):
        fault = assert_fault(send(client, "POST", CHECK, document), 400, "badRequest")
        prefix = "values[1]." if "values" in document else ""
        assert fault["details"].startswith(f"{prefix}{path}: ")
    assert get_json(client, f"{CHECK}?from=0&to={10**15}")["values"] == []


def test_the_same_item_again_changes_nothing(client: FlaskClient) -> None:
    item = item_at(NOW_MS, notification_results=[{"a": 1, "b": [1.0, None]}])
    first = post(client, CHECK, item)
    again = post(client, CHECK, item, status=200)
    assert (again.data, again.headers["Location"]) == (first.data, first.headers["Location"])
    other_order = dict(reversed(item.items())) | {"notification_results": [{"b": [1.0, None], "a": 1}]}
    post(client, CHECK, other_order, status=200)
    post(client, CHECK, {**item, "id": ID.upper()}, status=200)
    without_timestamp = {name: value for name, value in item.items() if name != "timestamp"}
    post(client, CHECK, without_timestamp, status=200)
    assert get_json(client, CHECK)["metadata"]["count"] == 1
    assert text(client.get(URL)) == json.dumps(item)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "CRITICAL"},
        {"status": "x"},
        {"notification_results": [{}]},
        {"n": True},
        {"n": "1"},
        {"n": 2},
        {"n": None},
        {"list": [2, 1]},
        {"list": [1, 2, 3]},
        {"map": {"a": 1, "b": None}},
        {"map": {}},
    ],
)
def test_the_same_id_with_other_content_is_a_conflict(change: dict[str, Any], client: FlaskClient) -> None:
    item = item_at(NOW_MS, n=1, list=[1, 2], map={"a": 1})
    post(client, CHECK, item)
    fault = assert_fault(send(client, "POST", CHECK, {**item, **change}), 400, CONFLICT)
    assert ID in fault["details"]
    assert get_json(client, URL) == item


# POST of a container


def test_a_container_is_answered_as_one(client: FlaskClient) -> None:
    items = [item_at(NOW_MS, 3), item_at(NOW_MS - 5, 1), item_at(NOW_MS, 2)]
    response = post(client, CHECK, {"values": items, "metadata": {"count": 9, "next_href": "x"}, "more": 1})
    assert response.headers["Location"] == HOST + CHECK
    container = json.loads(response.data)
    assert list(container) == ["values", "metadata"]
    assert container["values"] == items
    assert list(container["metadata"]) == ["count", "limit", "marker", "next_marker", "next_href"]
    assert container["metadata"]["count"] == 3
    assert get_json(client, response.headers["Location"])["values"] == [items[1], items[2], items[0]]


def test_an_empty_container_is_recorded_as_nothing(client: FlaskClient) -> None:
    response = post(client, CHECK, {"values": []})
    assert json.loads(response.data)["metadata"]["count"] == 0
    assert get_json(client, ALARM) == {"check_ids": []}


def test_items_recorded_together_stay_in_order(client: FlaskClient) -> None:
    container = {"values": [{**SHORT, "number": number} for number in range(450)]}
    recorded = json.loads(post(client, CHECK, container).data)["values"]
    assert [item["number"] for item in recorded] == list(range(450))
    assert {item["timestamp"] for item in recorded} == {NOW_MS}
    assert get_json(client, f"{CHECK}?limit=1000")["values"] == recorded


def test_a_container_is_recorded_whole_or_not_at_all(client: FlaskClient) -> None:
    post(client, CHECK, item_at(NOW_MS, state="WARNING"))
    before = get_json(client, CHECK)["values"]
    container = {"values": [*(item_at(NOW_MS - 1, n) for n in range(250)), item_at(NOW_MS), item_at(NOW_MS, 9)]}
    assert_fault(send(client, "POST", CHECK, container), 400, CONFLICT)
    assert get_json(client, CHECK)["values"] == before


def test_a_container_may_hold_what_is_there_already(client: FlaskClient) -> None:
    items = [item_at(NOW_MS, number) for number in range(3)]
    post(client, CHECK, items[1])
    recorded = json.loads(post(client, CHECK, {"values": items}).data)
    assert recorded["metadata"]["count"] == 3
    post(client, CHECK, {"values": items}, status=200)
    assert get_json(client, CHECK)["values"] == items


def test_an_id_may_be_twice_in_a_container_with_the_same_content_only(client: FlaskClient) -> None:
    post(client, CHECK, {"values": [item_at(NOW_MS), item_at(NOW_MS)]})
    assert get_json(client, CHECK)["values"] == [item_at(NOW_MS)]
    different = [item_at(NOW_MS, 5), item_at(NOW_MS, 5, state="CRITICAL")]
    assert_fault(send(client, "POST", CHECK, {"values": different}), 400, CONFLICT)
    assert get_json(client, CHECK)["values"] == [item_at(NOW_MS)]


def test_a_page_fetched_here_can_be_posted_elsewhere(client: FlaskClient) -> None:
    post(client, CHECK, {"values": [item_at(NOW_MS, number) for number in range(5)]})
    for accept, url in ((JSON, f"{ALARM}/chTwo"), (XML, f"{ALARM}/chThree")):
        page = client.get(f"{CHECK}?limit=3", headers={"Accept": accept})
        copied = client.post(url, data=page.data, content_type=page.content_type)
        assert copied.status_code == 201
        assert get_json(client, url)["values"] == [item_at(NOW_MS, number) for number in range(3)]


# XML bodies


def test_an_item_in_xml_is_recorded_with_its_types(client: FlaskClient) -> None:
    xml = f"""<alarm_notification_history_item id="{ID}"><timestamp>{NOW_MS}</timestamp><zone>7</zone>
      <notification_results><notification_result><success>true</success><attempts><from>a</from></attempts>
      <notification_details><url>u</url><to>1</to><to>2</to></notification_details></notification_result>
      <notification_result/></notification_results><state>OK</state></alarm_notification_history_item>"""
    response = client.post(CHECK, data=xml, content_type=XML, headers={"Accept": XML})
    root = read_xml(response, 201)
    assert response.headers["Location"] == HOST + URL
    assert [child.tag for child in root] == ["timestamp", "zone", "notification_results", "state"]
    assert get_json(client, URL) == {
        "id": ID,
        "timestamp": NOW_MS,
        "zone": "7",
        "notification_results": [
            {"success": True, "attempts": [{"from": "a"}], "notification_details": {"url": "u", "to": ["1", "2"]}},
            {},
        ],
        "state": "OK",
    }


def test_an_xml_body_without_id_is_filled_in(client: FlaskClient) -> None:
    xml = "<alarm_notification_history_item><state/><notification_results/></alarm_notification_history_item>"
    response = client.post(CHECK, data=xml, content_type="text/xml", headers={"Accept": XML})
    root = read_xml(response, 201)
    assert [(child.tag, child.text) for child in root] == [
        ("timestamp", str(NOW_MS)),
        ("state", None),
        ("notification_results", None),
    ]


def test_a_container_is_answered_in_xml_too(client: FlaskClient) -> None:
    response = send(client, "POST", CHECK, {"values": [SHORT, SHORT]}, Accept=XML)
    root = read_xml(response, 201)
    assert len(root.findall("values/alarm_notification_history_item")) == 2
    assert root.findtext("metadata/count") == "2"


def test_every_answer_to_recording_is_valid_xml(client: FlaskClient) -> None:
    nasty = {"a b": [[]], "fault": {"x": None}, "timestamp_": "\0", "": {"": [None, {"state": {"a": 1}}]}}
    for document in ({**SHORT, **nasty}, {"values": [{**SHORT, **nasty}]}):
        validated(send(client, "POST", CHECK, document, Accept=XML).data)
