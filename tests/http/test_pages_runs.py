"""The pages of runs: the filters of the API, the chain of re-runs, logs by status."""

from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import html

from tests.conftest import MakeApp, MakeKey, authorized
from tests.http.helpers import LOGS, RUNS, get_json, log_of, post, run_of
from tests.http.pages import link_of, page_at, signed_in, text_of

PAGE = "/ui/runs"


@pytest.fixture
def browser(app: Flask, key: str) -> FlaskClient:
    """A browser that has signed in."""
    return signed_in(app, key)


def seed(client: FlaskClient, number: int = 12) -> None:
    """Record runs that differ in all that can be asked for."""
    statuses = ("CREATED", "FAILED", "IGNORED", "COMPLETED", "COMPLETED_WITH_ERRORS")
    runs = [
        run_of(
            id=n,
            status=statuses[n % 5],
            medium=("SLACK", "EMAIL")[n % 2],
            dateCreated=f"2011-11-0{1 + n % 9}T00:00:00.000Z",
            errorMessage=f"error {n}",
            **({"failedReason": "INTERNAL_ERROR"} if n % 5 == 1 else {}),
        )
        for n in range(1, number + 1)
    ]
    post(client, RUNS, {"runs": runs})


def ids(page: Any) -> list[int]:
    return [int(each.get("data-id")) for each in page.xpath("//tr[@data-id]")]


@pytest.mark.parametrize("query", ["page=x", "pageSize=0", "orderBy=UP", "fromDate=x"])
def test_what_does_not_fit_is_named_with_the_id_of_the_request(browser: FlaskClient, query: str) -> None:
    response = browser.get(f"{PAGE}?{query}")
    assert response.status_code == 400
    (banner,) = html.fromstring(response.text).xpath("//*[@role='alert']")
    assert text_of(banner.xpath(".//li")[0]).startswith(f"{query.partition('=')[0]}: ")
    assert html.fromstring(response.text).xpath("//*[@aria-invalid='true']/@name") == [query.partition("=")[0]]
    assert response.headers["X-Response-Id"] in text_of(banner)


def test_runs_with_long_objects_and_texts_leave_a_page_as_it_is(
    client: FlaskClient, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = [{"type": "ENTITY", "id": 1, "tag": "t" * 30_000, "name": "n"}]
    runs = [run_of(id=1, notificationObjects=objects), run_of(id=2, notificationObjects=objects, originalRunId=1)]
    post(client, RUNS, {"runs": runs})
    monkeypatch.setattr("notifhist.store.pieces.MAX_PAGE_BYTES", 20_000)
    assert ids(page_at(browser, PAGE)) == [2, 1]
    assert link_of(page_at(browser, "/ui/"), "2") == f"{PAGE}/2"
    assert link_of(page_at(browser, f"{PAGE}/2"), "Run 1") == f"{PAGE}/1"
    for n in (3, 4):
        post(client, RUNS, run_of(id=n, errorMessage="e" * 15_000))
    assert "too long to look for re-runs; this is one (no. " in text_of(page_at(browser, f"{PAGE}/2"))


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"statuses": "FAILED"},
        {"statuses": "FAILED,IGNORED", "mediums": "EMAIL"},
        {"failedReasons": "INTERNAL_ERROR"},
        {"searchQuery": "ERROR 1"},
        {"fromDate": "2011-11-03", "untilDate": "2011-11-05"},
        {"pageSize": "5", "page": "1"},
        {"orderBy": "ASC"},
    ],
)
def test_a_page_has_the_runs_that_the_api_answers(
    client: FlaskClient, browser: FlaskClient, query: dict[str, str]
) -> None:
    seed(client)
    page = page_at(browser, f"{PAGE}?{urlencode(query)}")
    answer = get_json(client, f"{RUNS}?{urlencode({'pageSize': '50', **query})}")
    assert ids(page) == [each["id"] for each in answer["runs"]]
    assert f"{answer['total']} runs" in text_of(page)


def test_fields_that_nobody_filled_in_filter_nothing(client: FlaskClient, browser: FlaskClient) -> None:
    seed(client)
    empty = dict.fromkeys(("searchQuery", "statuses", "mediums", "fromDate", "untilDate"), "")
    assert len(ids(page_at(browser, f"{PAGE}?{urlencode(empty)}"))) == 12


def test_a_bad_filter_is_marked_and_the_others_are_kept(client: FlaskClient, browser: FlaskClient) -> None:
    seed(client)
    page = page_at(browser, f"{PAGE}?fromDate=yesterday&searchQuery=error&statuses=FAILED", 400)
    (marked,) = page.xpath("//*[@aria-invalid='true']")
    assert (marked.get("name"), marked.get("value")) == ("fromDate", "yesterday")
    assert text_of(page.get_element_by_id("problem-fromDate"))
    assert page.xpath("string(//input[@name='searchQuery']/@value)") == "error"
    assert page.xpath("string(//option[@selected]/@value)") == "FAILED"
    assert ids(page) == []


def test_pages_follow_on_each_other(client: FlaskClient, browser: FlaskClient) -> None:
    seed(client)
    found = []
    url: str | None = f"{PAGE}?pageSize=5"
    while url:
        page = page_at(browser, url)
        found += ids(page)
        url = link_of(page, "Next page")
    assert sorted(found) == list(range(1, 13))
    assert "Page 3 of 3" in text_of(page)
    assert link_of(page, "Page before") == f"{PAGE}?pageSize=5&page=1"


def test_the_empty_states_differ(client: FlaskClient, browser: FlaskClient) -> None:
    assert "No run has been recorded yet" in text_of(page_at(browser, PAGE))
    seed(client)
    nothing = page_at(browser, f"{PAGE}?searchQuery=nothing&statuses=FAILED")
    assert "Nothing matches The filters are: statuses: FAILED searchQuery: nothing" in text_of(nothing)
    assert link_of(nothing, "Clear the filters") == PAGE
    long_ago = page_at(browser, f"{PAGE}?untilDate=1999-01-01&statuses=FAILED")
    assert "Nothing in this time The newest run is of 20" in text_of(long_ago)
    assert ids(page_at(browser, link_of(long_ago, "Show that time") or ""))
    assert "less than the address of this page asks for" in text_of(page_at(browser, f"{PAGE}?page=99"))


def test_a_run_has_its_objects_its_error_and_its_logs_by_status(client: FlaskClient, browser: FlaskClient) -> None:
    objects = [
        {"id": 1, "name": "payments", "tag": "pay", "type": "ENTITY", "url": "https://example.com/pay"},
        {"id": 2, "name": "<b>cost</b>", "type": "SCORECARD", "url": "javascript:alert(1)"},
    ]
    failed = {"status": "FAILED", "failedReason": "INTERNAL_ERROR", "errorMessage": "It <broke>"}
    post(client, RUNS, run_of(id=7, notificationObjects=objects, **failed))
    logs = [
        log_of(runId=7, status=status, recipientEmail=f"{status}@x") for status in ("DELIVERED", "FAILED", "FAILED")
    ]
    post(client, LOGS, {"logs": [*logs, log_of(runId=8, status="FAILED")]})
    page = page_at(browser, f"{PAGE}/7")
    text = text_of(page)
    assert "failed Internal error It <broke>" in text
    assert "scorecard <b>cost</b>" in text
    assert [each for each in page.xpath("//a/@href") if "example.com" in each or "script" in each] == [
        "https://example.com/pay"
    ]
    assert [text_of(each) for each in page.xpath("//caption")] == ["failed 2", "delivered 1"]
    assert page.findtext(".//title") == "failed · run 7 · notifhist"


def test_re_runs_are_a_chain(client: FlaskClient, browser: FlaskClient) -> None:
    runs = [run_of(id=3), run_of(id=4, originalRunId=3, seqNo=1), run_of(id=6, originalRunId=3, seqNo=2), run_of(id=9)]
    post(client, RUNS, {"runs": runs})
    for number in (3, 4, 6):
        chain = page_at(browser, f"{PAGE}/{number}").xpath("//section[@aria-labelledby='chain']//li")
        assert [text_of(each).split(" created")[0] for each in chain] == ["Run 3 no. 0", "Run 4 no. 1", "Run 6 no. 2"]
    assert "It was not run again" in text_of(page_at(browser, f"{PAGE}/9"))


def test_a_first_run_that_is_not_recorded_is_named(client: FlaskClient, browser: FlaskClient) -> None:
    post(client, RUNS, run_of(id=4, originalRunId=3, seqNo=1))
    assert "A re-run (no. 1) of run 3, which is not recorded" in text_of(page_at(browser, f"{PAGE}/4"))


def test_what_is_not_there_is_an_error_page(browser: FlaskClient) -> None:
    page_at(browser, f"{PAGE}/1", 404)
    page_at(browser, f"{PAGE}/none", 400)


def test_runs_of_other_tenants_and_roles_are_not_shown(make_app: MakeApp, make_key: MakeKey) -> None:
    app = make_app()
    post(authorized(app, make_key()), RUNS, run_of(id=1))
    other = signed_in(app, make_key(tenant="654321"))
    assert "No run has been recorded yet" in text_of(page_at(other, PAGE))
    page_at(other, f"{PAGE}/1", 404)
    observer = signed_in(app, make_key("monitoring:observer"))
    assert "notification-logs:view" in text_of(page_at(observer, PAGE, 403))
    page_at(observer, f"{PAGE}/1", 403)
