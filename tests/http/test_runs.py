import json
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient

from notifhist.schemas.runs import FAILED_REASONS, IGNORED_REASONS, MEDIUMS, NOTIFICATION_TYPES, STATUSES
from tests.conftest import MakeKey, authorized
from tests.http.helpers import RUNS, XML, assert_run_error, get_json, get_xml, post, read_xml, run_of

ORDER = [
    *("dateCreated", "dateUpdated", "deliveredCount", "errorMessage", "failedReason", "id", "ignoredReason"),
    *("medium", "notificationObjects", "notificationType", "originalRunId", "seqNo", "status", "summary"),
]


def instant(second: int, ms: int = 0) -> str:
    return f"2024-07-29T15:51:{second:02}.{ms:03}Z"


def thing(name: str, **members: Any) -> dict[str, Any]:
    return {"id": 1, "name": name, "type": "ENTITY", **members}


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


def found(client: FlaskClient, **parameters: Any) -> list[int]:
    """Return the ids of the runs that are answered, in their order."""
    page = get_json(client, f"{RUNS}?{urlencode(parameters, doseq=True)}")
    assert page["total"] == len(page["runs"])
    return [run["id"] for run in page["runs"]]


def record(client: FlaskClient, *runs: dict[str, Any]) -> None:
    """Record runs, numbered from 1, each a second after the one before unless it says otherwise."""
    numbered = [{"id": n, "dateCreated": instant(n), **run_of(**run)} for n, run in enumerate(runs, start=1)]
    post(client, RUNS, {"runs": numbered})


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


def filter_cases() -> list[Any]:
    """Return each value of each list parameter, with a member that has it."""
    lists = {
        ("notificationTypes", "notificationType"): NOTIFICATION_TYPES,
        ("statuses", "status"): STATUSES,
        ("mediums", "medium"): MEDIUMS,
        ("ignoredReasons", "ignoredReason"): IGNORED_REASONS,
        ("failedReasons", "failedReason"): FAILED_REASONS,
    }
    return [pytest.param(parameter, member, values, id=parameter) for (parameter, member), values in lists.items()]


@pytest.mark.parametrize(("parameter", "member", "values"), filter_cases())
def test_a_list_parameter_chooses(parameter: str, member: str, values: tuple[str, ...], client: FlaskClient) -> None:
    record(client, *[{member: value} for value in values])
    for number, value in enumerate(values, start=1):
        assert found(client, **{parameter: value}) == [number]
    first_two = f"{values[0]},{values[1]}"
    assert found(client, **{parameter: first_two}) == [2, 1]
    assert found(client, **{parameter: values[:2]}) == [2, 1]
    assert found(client, **{parameter: [first_two, values[-1]]}) == sorted({1, 2, len(values)}, reverse=True)
    assert len(found(client, **{parameter: ""})) == len(values)
    for bad in ("NONE", values[0].lower(), f"{values[0]},NONE"):
        error = assert_run_error(client.get(f"{RUNS}?{parameter}={bad}"), 400, "BAD_REQUEST")
        assert error["details"].startswith(f"{parameter}: ")


@pytest.mark.parametrize(("parameter", "member", "values"), filter_cases())
def test_a_list_parameter_in_brackets_chooses_too(
    parameter: str, member: str, values: tuple[str, ...], client: FlaskClient
) -> None:
    record(client, *[{member: value} for value in values])
    one, other = values[0], values[-1]
    for query in ("{}[]={}&{}[]={}", "{}[0]={}&{}[1]={}", "{}%5B%5D={}&{}%5B%5D={}", "{}={}&{}[]={}"):
        query = query.format(parameter, one, parameter, other)
        assert sorted(run["id"] for run in get_json(client, f"{RUNS}?{query}")["runs"]) == [1, len(values)]
        root = get_xml(client, f"{RUNS}?{query}")
        assert (len(root.findall("values/*")), root.findtext("metadata/total")) == (2, "2")
    for bracket in ("[]", "[0]"):
        error = assert_run_error(client.get(f"{RUNS}?{parameter}{bracket}=NONE"), 400, "BAD_REQUEST")
        assert error["details"].startswith(f"{parameter}: ")


def test_parameters_are_combined(client: FlaskClient) -> None:
    record(
        client,
        {"status": "FAILED", "medium": "SLACK", "failedReason": "INTERNAL_ERROR"},
        {"status": "FAILED", "medium": "EMAIL", "failedReason": "INTERNAL_ERROR"},
        {"status": "FAILED", "medium": "SLACK"},
        {"status": "CREATED", "medium": "SLACK", "summary": "abc"},
    )
    assert found(client, statuses="FAILED", mediums="SLACK") == [3, 1]
    assert found(client, statuses="FAILED,CREATED", mediums="SLACK,EMAIL") == [4, 3, 2, 1]
    assert found(client, statuses="FAILED", failedReasons="INTERNAL_ERROR", mediums="EMAIL") == [2]
    assert found(client, statuses="FAILED", searchQuery="abc") == []
    assert found(client, mediums="SLACK", fromDate=instant(2), untilDate=instant(3)) == [3]


SEARCHED: list[dict[str, Any]] = [
    {"errorMessage": "Connection REFUSED"},
    {"summary": "Straße nach Köln"},
    {"notificationObjects": [thing("Payments"), thing("Ledger", tag="ledger-100%_x")]},
    {"errorMessage": "ab", "summary": "cd"},
    {"summary": "ΣΊΣΥΦΟΣ İstanbul"},
    {"notificationObjects": [thing("n", cid="hidden-cid", url="https://hidden.example.com")], "summary": None},
    {"summary": "a\\b 'c' \"d\" 🚦"},
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("refused", [1]),
        ("REFUSED", [1]),
        ("connection r", [1]),
        ("STRASSE", [2]),
        ("straße", [2]),
        ("KÖLN", [2]),
        ("koln", []),
        ("payments", [3]),
        ("LEDGER-100", [3]),
        ("%", [3]),
        ("_x", [3]),
        ("ledger%x", []),
        ("abcd", []),
        ("bxc", []),
        ("bXc", []),
        ("b\nc", []),
        ("σίσυφος", [5]),
        ("ΣΊΣΥΦΟσ", [5]),
        ("i̇stanbul", [5]),
        ("hidden", []),
        ("WEEKLY_REPORT", []),
        ("a\\b", [7]),
        ("'c' \"D\"", [7]),
        ("🚦", [7]),
        (" ", [1, 2, 5, 7]),
        ("", [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_a_search_looks_for_part_of_a_text_whatever_the_case(
    query: str, expected: list[int], client: FlaskClient
) -> None:
    record(client, *SEARCHED)
    assert found(client, searchQuery=query, orderBy="ASC") == expected


def test_a_search_does_not_need_the_objects_to_be_included(client: FlaskClient) -> None:
    record(client, *SEARCHED)
    assert found(client, searchQuery="ledger", includeObjects="true") == [3]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"fromDate": instant(3)}, [5, 4, 3]),
        ({"fromDate": instant(3, 1)}, [5, 4]),
        ({"untilDate": instant(3)}, [3, 2, 1]),
        ({"untilDate": instant(2, 999)}, [2, 1]),
        ({"fromDate": instant(2), "untilDate": instant(4)}, [4, 3, 2]),
        ({"fromDate": instant(4), "untilDate": instant(2)}, []),
        ({"fromDate": "2024-07-29T15:51:03"}, [5, 4, 3]),
        ({"fromDate": "2024-07-29T17:51:03+02:00"}, [5, 4, 3]),
        ({"fromDate": "2024-07-29T11:51:03-0400"}, [5, 4, 3]),
        ({"fromDate": "2024-07-29"}, [5, 4, 3, 2, 1]),
        ({"untilDate": "2024-07-29"}, [5, 4, 3, 2, 1]),
        ({"untilDate": "2024-07-28"}, []),
        ({"fromDate": "0001-01-01", "untilDate": "9999-12-31T23:59:59Z"}, [5, 4, 3, 2, 1]),
    ],
)
def test_dates_are_inclusive_and_of_any_zone(
    parameters: dict[str, str], expected: list[int], client: FlaskClient
) -> None:
    record(client, {}, {}, {}, {}, {})
    assert found(client, **parameters) == expected


def test_a_plus_that_nobody_escaped_is_a_plus(client: FlaskClient) -> None:
    record(client, {}, {}, {})
    assert get_json(client, f"{RUNS}?fromDate=2024-07-29T17:51:03+02:00")["total"] == 1


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
