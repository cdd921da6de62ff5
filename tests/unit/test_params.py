from typing import Any

import pytest
from werkzeug.datastructures import MultiDict

from notifhist.clock import Clock
from notifhist.config import load_settings
from notifhist.errors import BadRequest, InvalidLimit
from notifhist.schemas.query import LOGS_QUERY, RUNS_QUERY, CheckPath, HistoryQuery, LogsQuery, RunsQuery
from notifhist.web.params import history_query, page_query

NOW_MS = 1_320_886_800_000
WEEK = 604_800_000
CHECK = CheckPath("t", "e", "a", "c")
MARKER = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"

Pairs = list[tuple[str, str]]


def history(pairs: Pairs, **settings: object) -> HistoryQuery:
    return history_query(CHECK, MultiDict(pairs), load_settings({}, settings), Clock(NOW_MS))


def asked(**expected: Any) -> HistoryQuery:
    return HistoryQuery(CHECK, **{"from_ms": NOW_MS - WEEK, "to_ms": NOW_MS, "limit": 50, **expected})


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], {}),
        ([("unknown", "x"), ("JSONP", "callback")], {}),
        ([("from", "5")], {"from_ms": 5}),
        ([("from", "-5")], {"from_ms": -5}),
        ([("to", str(WEEK + 5))], {"from_ms": 5, "to_ms": WEEK + 5}),
        ([("from", "9"), ("to", "5")], {"from_ms": 9, "to_ms": 5}),
        ([("from", "9" * 30)], {"from_ms": int("9" * 30)}),
        ([("limit", "1")], {"limit": 1}),
        ([("limit", "1000")], {"limit": 1000}),
        ([("limit", "7"), ("limit", "x")], {"limit": 7}),
        ([("marker", MARKER.upper())], {"marker": MARKER}),
        *(([("reverse", text)], {"reverse": True}) for text in ("true", "True", "TRUE", "1", "yes")),
        *(([("reverse", text)], {"reverse": False}) for text in ("false", "False", "0", "no")),
    ],
)
def test_a_list_of_items_is_asked_for(pairs: Pairs, expected: dict[str, Any]) -> None:
    assert history(pairs) == asked(**expected)


def test_settings_decide_what_is_not_asked_for() -> None:
    query = history([], QUERY_WINDOW_DAYS=1, DEFAULT_LIMIT=3)
    assert query == asked(from_ms=NOW_MS - 86_400_000, limit=3)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "", "ten", "1.0", "1e2", "+5", " 5", "٥", "9" * 5000])
def test_a_bad_limit_has_an_error_of_its_own(limit: str) -> None:
    with pytest.raises(InvalidLimit) as raised:
        history([("limit", limit)])
    assert raised.value.details.startswith("limit: ")


@pytest.mark.parametrize(
    "pair",
    [
        ("from", ""),
        ("from", "yesterday"),
        ("from", "2011-11-31"),
        ("to", "1.5"),
        ("to", "9" * 5000),
        ("marker", ""),
        ("marker", "x"),
        ("marker", "646ac7b0-0b34-41e1-a0a1-0ff89fa2fa26"),
        ("marker", MARKER.replace("-", "")),
        ("reverse", "maybe"),
        ("reverse", ""),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(pair: tuple[str, str]) -> None:
    with pytest.raises(BadRequest) as raised:
        history([pair])
    assert type(raised.value) is BadRequest
    assert raised.value.details.startswith(f"{pair[0]}: ")


def test_all_parameters_that_do_not_fit_are_named() -> None:
    with pytest.raises(InvalidLimit) as raised:
        history([("limit", "0"), ("from", "x"), ("to", "y"), ("marker", "z"), ("reverse", "?")])
    named = [part.partition(": ")[0] for part in raised.value.details.split("; ")]
    assert sorted(named) == ["from", "limit", "marker", "reverse", "to"]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], RunsQuery("t")),
        ([("from", "x"), ("limit", "0")], RunsQuery("t")),
        ([("statuses", "FAILED")], RunsQuery("t", statuses=("FAILED",))),
        (
            [("statuses", "FAILED,CREATED"), ("statuses", " IGNORED ")],
            RunsQuery("t", statuses=("FAILED", "CREATED", "IGNORED")),
        ),
        ([("statuses", "")], RunsQuery("t")),
        ([("statuses[]", "FAILED")], RunsQuery("t", statuses=("FAILED",))),
        ([("statuses[0]", "FAILED"), ("statuses[1]", "CREATED")], RunsQuery("t", statuses=("FAILED", "CREATED"))),
        (
            [("statuses[]", "FAILED,CREATED"), ("statuses", "IGNORED"), ("statuses[]", "COMPLETED")],
            RunsQuery("t", statuses=("FAILED", "CREATED", "COMPLETED", "IGNORED")),
        ),
        ([("statuses[first]", "FAILED"), ("statuses[", "CREATED")], RunsQuery("t", statuses=("FAILED", "CREATED"))),
        ([("[]", "FAILED"), ("status[]", "FAILED")], RunsQuery("t")),
        ([("page[]", "7"), ("searchQuery[0]", "a")], RunsQuery("t", page=7, search_query="a")),
        ([("page[]", "7"), ("page", "8")], RunsQuery("t", page=8)),
        (
            [("notificationTypes", "WEEKLY_REPORT,ONBOARDING_WIZARD_STATE_COMPLETED")],
            RunsQuery("t", notification_types=("WEEKLY_REPORT", "ONBOARDING_WIZARD_STATE_COMPLETED")),
        ),
        ([("mediums", "WEBHOOK")], RunsQuery("t", mediums=("WEBHOOK",))),
        ([("ignoredReasons", "NO_RECIPIENTS")], RunsQuery("t", ignored_reasons=("NO_RECIPIENTS",))),
        ([("failedReasons", "INTERNAL_ERROR")], RunsQuery("t", failed_reasons=("INTERNAL_ERROR",))),
        ([("searchQuery", " A ")], RunsQuery("t", search_query=" A ")),
        ([("includeObjects", "true")], RunsQuery("t", include_objects=True)),
        ([("includeObjects", "False")], RunsQuery("t", include_objects=False)),
        ([("fromDate", "1970-01-01T00:00:00.005Z")], RunsQuery("t", from_ms=5)),
        ([("untilDate", "1970-01-01T02:00:00 02:00")], RunsQuery("t", until_ms=0)),
        ([("pageSize", "1000"), ("page", "2147483647")], RunsQuery("t", page_size=1000, page=2**31 - 1)),
        ([("orderBy", "ASC")], RunsQuery("t", descending=False)),
        ([("orderBy", "DESC")], RunsQuery("t", descending=True)),
    ],
)
def test_a_page_of_runs_is_asked_for(pairs: Pairs, expected: RunsQuery) -> None:
    assert page_query(RUNS_QUERY, RunsQuery, "t", MultiDict(pairs)) == expected


@pytest.mark.parametrize(
    "pair",
    [
        ("notificationTypes", "NONE"),
        ("statuses", "created"),
        ("statuses", "CREATED,NONE"),
        ("statuses", "CREATED FAILED"),
        ("mediums", "PIGEON"),
        ("ignoredReasons", "INTERNAL_ERROR"),
        ("failedReasons", "NO_RECIPIENTS"),
        ("searchQuery", "a\0b"),
        ("includeObjects", "maybe"),
        ("fromDate", "yesterday"),
        ("fromDate", ""),
        ("fromDate", "0"),
        ("untilDate", "2024-13-01"),
        ("pageSize", "0"),
        ("pageSize", "1001"),
        ("pageSize", ""),
        ("page", "-1"),
        ("page", "2147483648"),
        ("page", "first"),
        ("orderBy", "asc"),
        ("orderBy", ""),
    ],
)
def test_a_parameter_of_the_runs_that_does_not_fit_is_named(pair: tuple[str, str]) -> None:
    with pytest.raises(BadRequest) as raised:
        page_query(RUNS_QUERY, RunsQuery, "t", MultiDict([pair]))
    assert raised.value.details.startswith(f"{pair[0]}: ")


@pytest.mark.parametrize("parameter", ["statuses[]", "statuses[0]", "mediums[]", "failedReasons[]"])
def test_a_list_in_brackets_that_does_not_fit_is_named(parameter: str) -> None:
    with pytest.raises(BadRequest) as raised:
        page_query(RUNS_QUERY, RunsQuery, "t", MultiDict([(parameter, "NONE")]))
    assert raised.value.details.startswith(f"{parameter.partition('[')[0]}: ")


def test_a_value_that_is_unknown_is_told_with_those_that_are_known() -> None:
    with pytest.raises(BadRequest) as raised:
        page_query(RUNS_QUERY, RunsQuery, "t", MultiDict([("mediums", "SLACK,PIGEON")]))
    assert raised.value.details == "mediums: 'PIGEON' is none of SLACK, MICROSOFT_TEAMS, EMAIL, WEBHOOK"


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], LogsQuery("t")),
        ([("searchQuery", "\0"), ("includeObjects", "maybe")], LogsQuery("t")),
        ([("recipientEmails", "a,b"), ("recipientEmails[]", "A")], LogsQuery("t", recipient_emails=("a", "b", "A"))),
        (
            [("recipientEmails", " a "), ("recipientEmails", " b , c d\t, e ")],
            LogsQuery("t", recipient_emails=(" a ", " b", "c d", "e ")),
        ),
        ([("recipientChannels", ""), ("recipientChannels", ",,")], LogsQuery("t")),
        ([("recipientChannels", " ")], LogsQuery("t", recipient_channels=(" ",))),
        ([("recipientChannels", "\u2003,\u2003#a")], LogsQuery("t", recipient_channels=("#a",))),
        ([("notificationRunIds", "1, -2,,3")], LogsQuery("t", notification_run_ids=(1, -2, 3))),
        ([("recipientEntityIds[0]", str(2**63 - 1))], LogsQuery("t", recipient_entity_ids=(2**63 - 1,))),
        ([("statuses", "READY"), ("orderBy", "ASC")], LogsQuery("t", statuses=("READY",), descending=False)),
    ],
)
def test_a_page_of_logs_is_asked_for(pairs: Pairs, expected: LogsQuery) -> None:
    assert page_query(LOGS_QUERY, LogsQuery, "t", MultiDict(pairs)) == expected


@pytest.mark.parametrize("values", [["1"] * 1001, [",".join(["1"] * 1001)], ["1,2"] * 501])
def test_a_filter_of_logs_takes_a_thousand_values(values: list[str]) -> None:
    with pytest.raises(BadRequest) as raised:
        page_query(LOGS_QUERY, LogsQuery, "t", MultiDict([("recipientEmails", value) for value in values]))
    assert raised.value.details == "recipientEmails: More than 1000 values"
