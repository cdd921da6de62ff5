import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import MakeKey, authorized
from tests.http.helpers import RUNS, XML, assert_run_error, get_json, get_xml, post, read_xml, run_of
from tests.http.numbered_runs import found, instant, record, thing

ORDER = [
    *("dateCreated", "dateUpdated", "deliveredCount", "errorMessage", "failedReason", "id", "ignoredReason"),
    *("medium", "notificationObjects", "notificationType", "originalRunId", "seqNo", "status", "summary"),
]
FULL: dict[str, Any] = {
    "dateCreated": instant(5),
    "dateUpdated": instant(6),
    "deliveredCount": 3,
    "errorMessage": "e",
    "failedReason": "INTERNAL_ERROR",
    "id": 9,
    "ignoredReason": "NO_RECIPIENTS",
    "medium": "SLACK",
    "notificationObjects": [{"cid": "c", "id": 1, "name": "n", "tag": "t", "type": "SCORECARD", "url": "u"}],
    "notificationType": "WEEKLY_REPORT",
    "originalRunId": 8,
    "seqNo": 2,
    "status": "FAILED",
    "summary": "s",
}


def test_without_runs_the_page_is_empty(client: FlaskClient) -> None:
    assert client.get(RUNS).data == b'{"page":0,"runs":[],"total":0,"totalPages":0}'
    root = get_xml(client, RUNS)
    assert len(root.findall("values/*")) == 0
    assert [each.text for each in root.iterfind("metadata/*")] == ["0", "0", "0"]


def test_members_come_in_published_order_whatever_was_sent(client: FlaskClient) -> None:
    post(client, RUNS, dict(reversed(FULL.items())))
    run = get_json(client, f"{RUNS}?includeObjects=true")["runs"][0]
    assert list(run) == ORDER == list(FULL)
    assert run == FULL


def test_a_member_without_a_value_is_absent(client: FlaskClient) -> None:
    record(client, {})
    run = get_json(client, RUNS)["runs"][0]
    assert list(run) == [
        *("dateCreated", "dateUpdated", "deliveredCount", "id", "medium", "notificationType", "seqNo", "status")
    ]


@pytest.mark.parametrize(
    ("parameter", "included"),
    [("", False), ("includeObjects=false", False), ("includeObjects=true", True), ("includeObjects=True", True)],
)
def test_objects_are_there_only_when_asked_for(parameter: str, included: bool, client: FlaskClient) -> None:
    record(client, {"notificationObjects": [thing("n")]}, {"notificationObjects": []}, {})
    runs = get_json(client, f"{RUNS}?{parameter}&orderBy=ASC")["runs"]
    assert ["notificationObjects" in run for run in runs] == [included, False, False]
    elements = get_xml(client, f"{RUNS}?{parameter}").findall("values/notification_run/notificationObjects")
    assert len(elements) == included


def test_one_run_includes_its_objects(client: FlaskClient) -> None:
    post(client, RUNS, FULL)
    assert client.get(f"{RUNS}/9").data == json.dumps(FULL, separators=(",", ":")).encode()
    root = get_xml(client, f"{RUNS}/9")
    assert (root.tag, root.get("id")) == ("notification_run", "9")
    assert [child.tag for child in root] == [name for name in FULL if name != "id"]
    assert [each.tag for each in root.iterfind("notificationObjects/*")] == list(FULL["notificationObjects"][0])


@pytest.mark.parametrize(
    ("run_id", "status", "error_type"),
    [
        ("10", 404, "NOT_FOUND"),
        ("-9", 404, "NOT_FOUND"),
        (str(2**63 - 1), 404, "NOT_FOUND"),
        (str(-(2**63)), 404, "NOT_FOUND"),
        (str(2**63), 400, "BAD_REQUEST"),
        (str(-(2**63) - 1), 400, "BAD_REQUEST"),
        ("9" * 255, 400, "BAD_REQUEST"),
        ("9" * 256, 400, "BAD_REQUEST"),
        ("x", 400, "BAD_REQUEST"),
        ("9.0", 400, "BAD_REQUEST"),
        ("+9", 400, "BAD_REQUEST"),
        ("%D9%A9", 400, "BAD_REQUEST"),
    ],
)
def test_a_run_that_is_not_there_is_an_error(run_id: str, status: int, error_type: str, client: FlaskClient) -> None:
    post(client, RUNS, FULL)
    assert_run_error(client.get(f"{RUNS}/{run_id}"), status, error_type)


def test_another_tenant_s_runs_are_not_found(app: Flask, client: FlaskClient, make_key: MakeKey) -> None:
    other = authorized(app, make_key(tenant="654321"))
    post(client, RUNS, FULL)
    assert_run_error(other.get(f"{RUNS}/9"), 404, "NOT_FOUND")
    assert get_json(other, RUNS)["total"] == 0
    post(other, RUNS, {**FULL, "summary": "another"})
    assert get_json(client, f"{RUNS}/9") == FULL


def test_the_latest_comes_first_and_ids_decide_among_equals(client: FlaskClient) -> None:
    record(client, *[{"dateCreated": instant(second)} for second in (3, 1, 3, 2, 3)])
    assert found(client) == [5, 3, 1, 4, 2]
    assert found(client, orderBy="DESC") == [5, 3, 1, 4, 2]
    assert found(client, orderBy="ASC") == [2, 4, 1, 3, 5]


def test_runs_of_any_age_are_answered(client: FlaskClient) -> None:
    for number, moment in enumerate(("0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"), start=1):
        post(client, RUNS, run_of(id=number, dateCreated=moment))
    assert [run["dateCreated"][:4] for run in get_json(client, RUNS)["runs"]] == ["9999", "0001"]


@pytest.mark.parametrize(
    ("query", "ids", "total_pages"),
    [
        ("pageSize=2", [5, 4], 3),
        ("pageSize=2&page=1", [3, 2], 3),
        ("pageSize=2&page=2", [1], 3),
        ("pageSize=2&page=3", [], 3),
        ("pageSize=5", [5, 4, 3, 2, 1], 1),
        ("pageSize=1000&page=2147483647", [], 1),
        ("page=1", [], 1),
        ("pageSize=1&page=4&orderBy=ASC", [5], 5),
        ("pageSize=3&page=1&orderBy=ASC", [4, 5], 2),
    ],
)
def test_pages_have_true_totals(query: str, ids: list[int], total_pages: int, client: FlaskClient) -> None:
    record(client, {}, {}, {}, {}, {})
    page = get_json(client, f"{RUNS}?{query}")
    assert list(page) == ["page", "runs", "total", "totalPages"]
    assert [run["id"] for run in page["runs"]] == ids
    assert (page["total"], page["totalPages"]) == (5, total_pages)
    metadata = get_xml(client, f"{RUNS}?{query}").find("metadata")
    assert metadata is not None
    assert [(each.tag, each.text) for each in metadata] == [
        ("page", str(page["page"])),
        ("total", "5"),
        ("totalPages", str(total_pages)),
    ]


def test_totals_count_what_was_chosen(client: FlaskClient) -> None:
    record(client, *[{"medium": medium} for medium in ("EMAIL", "SLACK", "EMAIL", "EMAIL")])
    page = get_json(client, f"{RUNS}?mediums=EMAIL&pageSize=2")
    assert ([run["id"] for run in page["runs"]], page["total"], page["totalPages"]) == ([4, 3], 3, 2)


def test_a_page_has_250_runs_unless_told(client: FlaskClient) -> None:
    post(client, RUNS, {"runs": [run_of() for _ in range(251)]})
    page = get_json(client, RUNS)
    assert (len(page["runs"]), page["total"], page["totalPages"]) == (250, 251, 2)
    assert len(get_json(client, f"{RUNS}?pageSize=1000")["runs"]) == 251


@pytest.mark.parametrize(
    "query",
    [
        *("pageSize=0", "pageSize=1001", "pageSize=x", "pageSize=", "page=-1", "page=2147483648", "page=1.0"),
        *("orderBy=asc", "orderBy=", "includeObjects=maybe", "fromDate=x", "untilDate=1722268288071"),
        *("searchQuery=%00", "fromDate=2024-07-29T15:51:28.071ZZ"),
    ],
)
def test_a_bad_parameter_is_a_bad_request(query: str, client: FlaskClient) -> None:
    error = assert_run_error(client.get(f"{RUNS}?{query}"), 400, "BAD_REQUEST")
    name = query.partition("=")[0]
    assert error["details"].startswith(f"{name}: ")
    root = read_xml(client.get(f"{RUNS}?{query}", headers={"Accept": XML}), 400)
    assert (root.tag, root.findtext("type"), root.findtext("httpStatus")) == ("error", "BAD_REQUEST", "400")


def test_unknown_parameters_are_ignored(client: FlaskClient) -> None:
    record(client, {})
    assert found(client, limit="x", marker="", PAGESIZE="0") == [1]
