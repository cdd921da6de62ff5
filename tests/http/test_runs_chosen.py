"""Which runs a list has: chosen by their members, by a search, by their dates."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from notifhist.schemas.runs import FAILED_REASONS, IGNORED_REASONS, MEDIUMS, NOTIFICATION_TYPES, STATUSES
from tests.http.helpers import RUNS, assert_run_error, get_json, get_xml
from tests.http.numbered_runs import found, instant, record, thing


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
