"""Which logs a list has: chosen by their members, by whom they were sent to, by their dates."""

from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from notifhist.schemas.fields import INT64
from notifhist.schemas.logs import FAILED_REASONS, IGNORED_REASONS, RECIPIENT_TYPES, STATUSES
from notifhist.schemas.runs import MEDIUMS, NOTIFICATION_TYPES
from tests.http.helpers import LOGS, XML, assert_run_error, get_json, get_xml, log_of, post, read_xml
from tests.http.numbered_runs import instant

CLOSED = {
    ("notificationTypes", "type"): NOTIFICATION_TYPES,
    ("statuses", "status"): STATUSES,
    ("recipientTypes", "recipientType"): RECIPIENT_TYPES,
    ("mediums", "medium"): MEDIUMS,
    ("ignoredReasons", "ignoredReason"): IGNORED_REASONS,
    ("failedReasons", "failedReason"): FAILED_REASONS,
}
TEXTS = (
    "a@example.com",
    "A@example.com",
    "caf\u00e9",
    "cafe\u0301",
    "a+b=c&d#e%",
    " #ops",
    "#ops",
    "#ops ",
    " ",
    "0",
    "İ",
)
NUMBERS = ("1", "-1", "0", str(INT64[0]), str(INT64[1]), "9007199254740993", "9007199254740992")
OPEN: dict[tuple[str, str], tuple[str, ...]] = {
    ("notificationRunIds", "runId"): NUMBERS,
    ("recipientEmails", "recipientEmail"): TEXTS,
    ("recipientEntityIds", "recipientEntityId"): NUMBERS,
    ("recipientChannels", "recipientChannel"): (*TEXTS, "long" * 1000, "long" * 1001),
}


def cases(lists: dict[tuple[str, str], tuple[str, ...]]) -> list[Any]:
    """Return each list parameter with the member that it filters by, and values of that."""
    return [pytest.param(parameter, member, values, id=parameter) for (parameter, member), values in lists.items()]


def record(client: FlaskClient, *logs: dict[str, Any]) -> None:
    """Record logs, numbered from 1, each a second after the one before."""
    numbered = [{"id": n, "dateCreated": instant(n), **log_of(**log)} for n, log in enumerate(logs, start=1)]
    post(client, LOGS, {"logs": numbered})


def found(client: FlaskClient, **parameters: Any) -> list[int]:
    """Return the ids of the logs that are answered, in their order, once the total and the XML say the same."""
    url = f"{LOGS}?{urlencode(parameters, doseq=True)}"
    page = get_json(client, url)
    ids = [log["id"] for log in page["logs"]]
    assert page["total"] == len(ids)
    assert [log.get("id") for log in get_xml(client, url).iterfind("values/*")] == list(map(str, ids))
    return ids


@pytest.mark.parametrize(("parameter", "member", "values"), cases(CLOSED | OPEN))
def test_a_list_parameter_chooses(parameter: str, member: str, values: tuple[str, ...], client: FlaskClient) -> None:
    is_number = values is NUMBERS
    record(client, *[{member: int(value) if is_number else value} for value in values])
    for number, value in enumerate(values, start=1):
        assert found(client, **{parameter: value}) == [number]
    assert found(client, **{parameter: values[:2]}) == [2, 1]
    assert found(client, **{parameter: ",".join(values[:2])}) == [2, 1]
    assert found(client, **{parameter: f"{values[0]} , \t{values[1]},,"}) == [2, 1]
    assert found(client, **{f"{parameter}[]": values[0], f"{parameter}[1]": values[-1]}) == [len(values), 1]
    assert found(client, **{parameter: [*values, values[0]]}) == list(range(len(values), 0, -1))
    assert found(client, **{parameter: values, "orderBy": "ASC"}) == list(range(1, len(values) + 1))
    assert len(found(client, **{parameter: ["", ","]})) == len(values)


@pytest.mark.parametrize(
    "query",
    [
        *(f"{parameter}={bad}" for parameter, _ in CLOSED for bad in ("NONE", "SLACK%20SLACK", "READY,none")),
        *(f"{parameter}=x" for parameter, member in OPEN if member in ("runId", "recipientEntityId")),
        *("recipientEntityIds=abc", "recipientEntityIds=1,abc", "recipientEntityIds=1.0", "recipientEntityIds=%D9%A3"),
        *("notificationRunIds=+1", "notificationRunIds=%201", f"notificationRunIds={INT64[1] + 1}"),
        *(f"recipientEntityIds={INT64[0] - 1}", f"recipientEntityIds={'9' * 5000}"),
        *("recipientEmails=%00", "recipientChannels=a,b%00"),
        f"notificationRunIds={','.join(map(str, range(1001)))}",
        *("pageSize=0", "pageSize=1001", "page=-1", "page=2147483648", "orderBy=asc", "fromDate=x", "untilDate=5"),
        "ignoredReasons=NO_RECIPIENTS",  # of runs
    ],
    ids=lambda query: query[:40],
)
def test_a_bad_parameter_is_a_bad_request(query: str, client: FlaskClient) -> None:
    error = assert_run_error(client.get(f"{LOGS}?{query}"), 400, "BAD_REQUEST")
    assert error["details"].startswith(f"{query.partition('=')[0]}: ")
    root = read_xml(client.get(f"{LOGS}?{query}", headers={"Accept": XML}), 400)
    assert (root.tag, root.findtext("type"), root.findtext("httpStatus")) == ("error", "BAD_REQUEST", "400")


def test_parameters_of_runs_are_ignored(client: FlaskClient) -> None:
    record(client, {})
    assert found(client, searchQuery="none", includeObjects="maybe", recipientUserIds="x", deliveredOnly="x") == [1]


def test_a_thousand_values_may_be_wanted(client: FlaskClient) -> None:
    record(client, *[{"runId": n} for n in (3, 997, 5000)])
    assert found(client, notificationRunIds=",".join(map(str, range(1000)))) == [2, 1]
    assert found(client, notificationRunIds=range(1000), recipientEmails=["a"] * 1000) == []


def test_what_is_not_utf8_matches_only_itself(client: FlaskClient) -> None:
    """As in a search for runs: bytes that are not UTF-8 stay as they were escaped."""
    record(client, {"recipientEmail": "\ufffd"}, {"recipientEmail": "%FF"})
    assert get_json(client, f"{LOGS}?recipientEmails=%EF%BF%BD")["total"] == 1
    assert client.get(f"{LOGS}?recipientEmails=%FF").status_code == 200
    assert_run_error(client.get(LOGS, environ_overrides={"QUERY_STRING": "recipientEmails=\xff"}), 400, "BAD_REQUEST")


def test_parameters_are_combined(client: FlaskClient) -> None:
    record(
        client,
        {"runId": 7, "recipientEmail": "a", "status": "FAILED", "failedReason": "CLIENT_ERROR", "medium": "SLACK"},
        {"runId": 7, "recipientEmail": "b", "status": "FAILED", "failedReason": "CLIENT_ERROR"},
        {"runId": 8, "recipientEmail": "a", "status": "FAILED", "recipientType": "TEAM"},
        {"runId": 8, "recipientChannel": "a", "recipientEntityId": 7},
    )
    assert found(client, notificationRunIds=7, recipientEmails="a") == [1]
    assert found(client, notificationRunIds="7,8", recipientEmails="a") == [3, 1]
    assert found(client, recipientEmails="a,b", statuses="FAILED", recipientTypes="USER") == [2, 1]
    assert found(client, recipientEmails="a", recipientChannels="a") == []
    assert found(client, recipientEntityIds="7", recipientChannels="a,b", notificationRunIds=8) == [4]
    assert found(client, statuses="FAILED", recipientTypes="USER") == [2, 1]
    assert found(client, statuses="FAILED", failedReasons="CLIENT_ERROR", mediums="SLACK,EMAIL") == [2, 1]
    assert found(client, recipientEmails="a", fromDate=instant(2), untilDate=instant(3)) == [3]
    assert found(client, notificationRunIds="7,8", fromDate=instant(2), untilDate="2024-07-29", orderBy="ASC") == [
        2,
        3,
        4,
    ]
    assert found(client, notificationRunIds="7,8", fromDate=instant(3), untilDate=instant(2)) == []


def test_totals_are_exact_at_any_depth(client: FlaskClient) -> None:
    """More logs than a part of the counts holds before it is split, and than are skipped one by one."""
    logs = [
        log_of(
            id=n + 1,
            runId=n % 7,
            recipientType=RECIPIENT_TYPES[n % 3],
            status=STATUSES[n % 4],
            recipientEmail=f"{n % 2}@example.com",
            dateCreated=instant(n % 50),
        )
        for n in range(2500)
    ]
    for start in (0, 1000, 2000):
        post(client, LOGS, {"logs": logs[start : start + 1000]})
    newest_first = sorted(logs, key=lambda log: (log["dateCreated"], log["id"]), reverse=True)
    for query, wanted in (
        ("", {}),
        ("recipientTypes=TEAM", {"recipientType": ["TEAM"]}),
        ("recipientTypes=TEAM,USER&statuses=READY", {"recipientType": ["TEAM", "USER"], "status": ["READY"]}),
        ("recipientEmails=1@example.com", {"recipientEmail": ["1@example.com"]}),
        ("notificationRunIds=1,2,3,4,5", {"runId": [1, 2, 3, 4, 5]}),
    ):
        ids = [log["id"] for log in newest_first if all(log[name] in values for name, values in wanted.items())]
        for page in (0, 3, len(ids) // 100, len(ids) // 100 + 1):
            answered = get_json(client, f"{LOGS}?{query}&pageSize=100&page={page}")
            shown = [log["id"] for log in answered["logs"]]
            assert (shown, answered["total"]) == (ids[page * 100 :][:100], len(ids)), (query, page)
