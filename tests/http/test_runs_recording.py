import json
import threading
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import NOW, MakeApp, MakeKey, authorized
from tests.http.helpers import RUNS, XML, assert_run_error, get_json, post, read_xml, run_of, send

HOST = "http://localhost"
NOW_ISO = NOW.replace("Z", ".000Z")
EARLIER = "2011-11-09T01:00:00.123Z"
THING = {"id": 5, "name": "n", "type": "ENTITY"}
LAST_ID = 2**63 - 1


def loaded(response: Any) -> Any:
    return json.loads(response.data)


def test_what_is_missing_is_filled_in(client: FlaskClient) -> None:
    response = post(client, RUNS, run_of())
    assert json.dumps(loaded(response)) == json.dumps(
        {
            "dateCreated": NOW_ISO,
            "dateUpdated": NOW_ISO,
            "deliveredCount": 0,
            "id": 1,
            "medium": "EMAIL",
            "notificationType": "WEEKLY_REPORT",
            "seqNo": 0,
            "status": "CREATED",
        }
    )
    assert response.headers["Location"] == f"{HOST}{RUNS}/1"
    assert client.get(f"{RUNS}/1").data == response.data


@pytest.mark.parametrize(
    ("given", "created", "updated"),
    [
        ({"dateCreated": EARLIER}, EARLIER, EARLIER),
        ({"dateUpdated": EARLIER}, NOW_ISO, EARLIER),
        ({"dateCreated": EARLIER, "dateUpdated": NOW_ISO}, EARLIER, NOW_ISO),
        ({"dateCreated": None, "dateUpdated": None}, NOW_ISO, NOW_ISO),
        ({"dateCreated": "2011-11-09T02:00:00.1239+01:00"}, EARLIER, EARLIER),
        ({"dateCreated": "2011-11-09T01:00:00.123"}, EARLIER, EARLIER),
    ],
)
def test_dates_are_filled_in_from_each_other(
    given: dict[str, Any], created: str, updated: str, client: FlaskClient
) -> None:
    run = loaded(post(client, RUNS, run_of(**given)))
    assert (run["dateCreated"], run["dateUpdated"]) == (created, updated)


def test_ids_are_the_next_numbers_of_the_tenant(app: Flask, client: FlaskClient, make_key: MakeKey) -> None:
    other = authorized(app, make_key(tenant="654321"))
    assert [loaded(post(client, RUNS, run_of()))["id"] for _ in range(2)] == [1, 2]
    assert loaded(post(other, RUNS, run_of()))["id"] == 1
    post(client, RUNS, run_of(id=100))
    post(client, RUNS, run_of(id=-5))
    assert loaded(post(client, RUNS, run_of(id=None)))["id"] == 101
    many = loaded(post(client, RUNS, {"runs": [run_of(), run_of(id=200), run_of(), run_of(id=150)]}))
    assert [run["id"] for run in many["runs"]] == [201, 200, 202, 150]


def test_the_last_id_does_not_end_the_numbers(client: FlaskClient) -> None:
    post(client, RUNS, run_of(id=5))
    post(client, RUNS, run_of(id=LAST_ID))
    assert [loaded(post(client, RUNS, run_of()))["id"] for _ in range(2)] == [6, 7]
    many = loaded(post(client, RUNS, {"runs": [run_of(), run_of()]}))
    assert [run["id"] for run in many["runs"]] == [8, 9]
    assert get_json(client, RUNS)["total"] == 6


def test_the_last_id_in_the_same_container_does_not_end_the_numbers(client: FlaskClient) -> None:
    many = loaded(post(client, RUNS, {"runs": [run_of(), run_of(id=LAST_ID), run_of()]}))
    assert [run["id"] for run in many["runs"]] == [1, LAST_ID, 2]


def test_the_last_id_that_was_put_does_not_end_the_numbers(client: FlaskClient) -> None:
    send(client, "PUT", f"{RUNS}/{LAST_ID - 1}", run_of())
    many = loaded(post(client, RUNS, {"runs": [run_of(), run_of()]}))
    assert [run["id"] for run in many["runs"]] == [1, 2]


def test_the_last_id_in_xml_does_not_end_the_numbers(client: FlaskClient) -> None:
    members = "<medium>SLACK</medium><status>FAILED</status><notificationType>WEEKLY_REPORT</notificationType>"
    for attributes, number in ((f' id="{LAST_ID}"', LAST_ID), ("", 1)):
        xml = f"<notification_run{attributes}>{members}</notification_run>"
        root = read_xml(client.post(RUNS, data=xml, content_type=XML, headers={"Accept": XML}), 201)
        assert root.get("id") == str(number)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("deliveredCount", 2**63 - 1),
        ("deliveredCount", -(2**63)),
        ("originalRunId", 0),
        ("originalRunId", 2**63 - 1),
        ("seqNo", 2**31 - 1),
        ("seqNo", -(2**31)),
        ("summary", ""),
        ("errorMessage", "\u0001 <&> 🚦\u2028"),
        ("notificationObjects", [{**THING, "id": -(2**63), "tag": "", "url": "u", "cid": "c"}]),
    ],
)
def test_a_member_is_kept_exactly(member: str, value: Any, client: FlaskClient) -> None:
    post(client, RUNS, run_of(id=1, **{member: value}))
    assert get_json(client, f"{RUNS}/1")[member] == value


@pytest.mark.parametrize("absent", [None, []])
def test_an_empty_list_of_objects_counts_as_absent(absent: Any, client: FlaskClient) -> None:
    post(client, RUNS, run_of(id=1, notificationObjects=absent))
    assert "notificationObjects" not in get_json(client, f"{RUNS}/1")
    post(client, RUNS, run_of(id=1), status=200)


def test_null_members_count_as_absent(client: FlaskClient) -> None:
    names = ["summary", "errorMessage", "failedReason", "ignoredReason", "originalRunId", "seqNo", "deliveredCount"]
    run = loaded(post(client, RUNS, run_of(**dict.fromkeys(names), notificationObjects=[{**THING, "tag": None}])))
    assert (run["seqNo"], run["deliveredCount"]) == (0, 0)
    assert not {"summary", "errorMessage", "failedReason", "ignoredReason", "originalRunId"} & run.keys()
    assert run["notificationObjects"] == [THING]


def test_objects_come_in_published_order(client: FlaskClient) -> None:
    given = {"url": "u", "type": "INITIATIVE", "tag": "t", "name": "n", "id": 1, "cid": "c"}
    run = loaded(post(client, RUNS, run_of(notificationObjects=[given, THING])))
    assert [list(each) for each in run["notificationObjects"]] == [
        ["cid", "id", "name", "tag", "type", "url"],
        ["id", "name", "type"],
    ]


@pytest.mark.parametrize(
    ("members", "paths"),
    [
        ({"medium": None}, ["medium"]),
        ({"medium": None, "status": None, "notificationType": None}, ["medium", "notificationType", "status"]),
        ({"status": "DONE"}, ["status"]),
        ({"id": "1"}, ["id"]),
        ({"id": 2**63}, ["id"]),
        ({"id": True}, ["id"]),
        ({"seqNo": 2**31}, ["seqNo"]),
        ({"summary": "a\0"}, ["summary"]),
        ({"unnamed": None, "other": 1}, ["other"]),
        ({"notificationObjects": [THING, {"id": 1}]}, ["notificationObjects[1].name", "notificationObjects[1].type"]),
        ({"dateCreated": "10000-01-01T00:00:00Z"}, ["dateCreated"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_and_not_stored(
    members: dict[str, Any], paths: list[str], client: FlaskClient
) -> None:
    for document in (run_of(**members), {"runs": [run_of(), run_of(**members)]}):
        error = assert_run_error(send(client, "POST", RUNS, document), 400, "BAD_REQUEST")
        prefix = "runs[1]." if "runs" in document else ""
        named = sorted(part.partition(": ")[0] for part in error["details"].split("; "))
        assert named == [prefix + path for path in paths]
    assert_run_error(send(client, "PUT", f"{RUNS}/1", run_of(**members)), 400, "BAD_REQUEST")
    assert get_json(client, RUNS)["total"] == 0


def test_the_same_run_again_changes_nothing(make_app: MakeApp, key: str, client: FlaskClient) -> None:
    run = run_of(id=7, notificationObjects=[THING], summary="s")
    first = post(client, RUNS, run)
    later = authorized(make_app(NOW="2011-11-10T02:00:00Z"), key)
    for again in (run, dict(reversed(run.items())), loaded(first), {**run, "seqNo": 0, "errorMessage": None}):
        response = post(later, RUNS, again, status=200)
        assert (response.data, response.headers["Location"]) == (first.data, f"{HOST}{RUNS}/7")
    assert get_json(client, RUNS)["total"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"status": "FAILED"},
        {"summary": None},
        {"summary": "S"},
        {"seqNo": 1},
        {"deliveredCount": 1},
        {"dateCreated": EARLIER},
        {"dateUpdated": EARLIER},
        {"notificationObjects": None},
        {"notificationObjects": [THING, THING]},
        {"errorMessage": ""},
    ],
)
def test_the_same_id_with_other_content_is_a_conflict(change: dict[str, Any], client: FlaskClient) -> None:
    run = run_of(id=7, notificationObjects=[THING], summary="s")
    recorded = loaded(post(client, RUNS, run))
    error = assert_run_error(send(client, "POST", RUNS, {**run, **change}), 409, "CONFLICT")
    assert "7" in error["details"]
    assert get_json(client, f"{RUNS}/7") == recorded
    root = read_xml(send(client, "POST", RUNS, {**run, **change}, Accept=XML), 409)
    assert (root.tag, root.findtext("type")) == ("error", "CONFLICT")


def test_many_are_answered_as_many(client: FlaskClient) -> None:
    response = post(client, RUNS, {"runs": [run_of(id=3), run_of(id=1)], "page": 0, "total": "x"})
    assert list(loaded(response)) == ["runs"]
    assert [run["id"] for run in loaded(response)["runs"]] == [3, 1]
    assert response.headers["Location"] == HOST + RUNS
    post(client, RUNS, {"runs": [run_of(id=1), run_of(id=3)]}, status=200)
    post(client, RUNS, {"runs": [run_of(id=1), run_of(id=4)]}, status=201)
    assert get_json(client, RUNS)["total"] == 3


def test_none_are_recorded_as_nothing(client: FlaskClient) -> None:
    assert loaded(post(client, RUNS, {"runs": []})) == {"runs": []}


def test_many_are_recorded_whole_or_not_at_all(client: FlaskClient) -> None:
    post(client, RUNS, run_of(id=2, summary="known"))
    many = {"runs": [run_of(id=1), run_of(id=2, summary="other"), run_of(id=3)]}
    assert_run_error(send(client, "POST", RUNS, many), 409, "CONFLICT")
    twice = {"runs": [run_of(id=1), run_of(id=1, summary="other")]}
    assert_run_error(send(client, "POST", RUNS, twice), 409, "CONFLICT")
    assert get_json(client, RUNS)["total"] == 1
    post(client, RUNS, {"runs": [run_of(id=1), run_of(id=1)]})
    assert get_json(client, RUNS)["total"] == 2


def test_many_in_xml_are_answered_as_a_valid_container(client: FlaskClient) -> None:
    xml = """<container><values><notification_run id="4"><medium>SLACK</medium><status>FAILED</status>
      <notificationType>WEEKLY_REPORT</notificationType><seqNo>2</seqNo><notificationObjects><id>5</id>
      <name>n</name><type>ENTITY</type></notificationObjects></notification_run></values></container>"""
    response = client.post(RUNS, data=xml, content_type=XML, headers={"Accept": XML})
    root = read_xml(response, 201)
    assert [root.tag, *(child.tag for child in root)] == ["container", "values", "metadata"]
    assert [run.get("id") for run in root.iterfind("values/notification_run")] == ["4"]
    run = get_json(client, f"{RUNS}/4")
    assert (run["seqNo"], run["notificationObjects"]) == (2, [THING])


def test_one_in_xml_is_recorded_with_its_types(client: FlaskClient) -> None:
    xml = """<notification_run><deliveredCount>3</deliveredCount><medium>SLACK</medium><status>FAILED</status>
      <notificationType>WEEKLY_REPORT</notificationType></notification_run>"""
    response = client.post(RUNS, data=xml, content_type="text/xml", headers={"Accept": XML})
    root = read_xml(response, 201)
    assert (root.get("id"), root.findtext("deliveredCount")) == ("1", "3")
    assert get_json(client, f"{RUNS}/1")["deliveredCount"] == 3


@pytest.mark.parametrize(
    "xml",
    [
        "<notification_run><medium>SLACK</medium></notification_run>",
        '<notification_run id="x"><medium>SLACK</medium></notification_run>',
        "<notification_run><extra/></notification_run>",
        "<alarm_notification_history_item/>",
        "<container><values><alarm_notification_history_item/></values></container>",
        "<runs/>",
    ],
)
def test_xml_that_does_not_fit_is_refused(xml: str, client: FlaskClient) -> None:
    response = client.post(RUNS, data=xml, content_type=XML, headers={"Accept": XML})
    assert read_xml(response, 400).findtext("type") == "BAD_REQUEST"
    assert get_json(client, RUNS)["total"] == 0


def test_senders_at_once_get_different_numbers(app: Flask, key: str, client: FlaskClient) -> None:
    numbers: list[int] = []

    def send_five() -> None:
        own = authorized(app, key)
        numbers.extend(loaded(send(own, "POST", RUNS, run_of()))["id"] for _ in range(5))
        app.extensions["notifhist"].db.close()

    threads = [threading.Thread(target=send_five) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 16))
    assert get_json(client, RUNS)["total"] == 15


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS"])
def test_runs_are_not_deleted(method: str, client: FlaskClient) -> None:
    post(client, RUNS, run_of())
    response = client.open(f"{RUNS}/1", method=method)
    assert_run_error(response, 405, "BAD_REQUEST")
    assert response.headers["Allow"] == "GET, HEAD, PUT"
    # PUT of `logs/run` would be a log whose id is no number, 400.
    assert client.open(RUNS, method=method).headers["Allow"] == "GET, HEAD, POST, PUT"
