"""The list of alarms for people, and the page of one: which come first, the timeline, the items below."""

from itertools import count
from urllib.parse import parse_qsl, quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import html

from notifhist.schemas.document import Document
from notifhist.store.deliveries import alarms as store
from notifhist.web.pages import alarms as pages
from tests.conftest import NOW_MS, MakeApp, MakeKey, authorized
from tests.http.delivery_data import DAY, HOUR, check_of
from tests.http.helpers import id_at, item_at, post
from tests.http.pages import link_of, page_at, signed_in, text_of

ALARMS = "/ui/alarms"
ALARM = "/ui/entities/enWeb/alarms/alHttp"


def result(success: bool, name: str = "ntMail") -> Document:
    return {"notification_id": name, "notification_type": "email", "success": success, "message": f"{name} {success}"}


@pytest.fixture
def browser(app: Flask, key: str) -> FlaskClient:
    """A browser that has signed in."""
    return signed_in(app, key)


def names(page: html.HtmlElement) -> list[str]:
    return [text_of(each) for each in page.xpath("//tbody/tr/th")]


def cells(page: html.HtmlElement, row: int = 0) -> list[str]:
    return [text_of(each) for each in page.xpath("//tbody/tr")[row]]


def seed(client: FlaskClient) -> None:
    """Record alarms in every kind of state."""
    for n, state in enumerate(["OK", "CRITICAL", "unknown", "WARNING", "resolved", "page me"]):
        post(client, check_of("enWeb", f"al{n}"), item_at(NOW_MS - n * HOUR, state=state))


def test_the_worst_states_come_first_then_the_newest(client: FlaskClient, browser: FlaskClient) -> None:
    seed(client)
    page = page_at(browser, ALARMS)
    assert names(page) == ["al1", "al5", "al3", "al2", "al0", "al4"]
    assert "4 is not OK" in text_of(page)
    assert page.findtext(".//title") == "4 not OK · Alarms · notifhist"


def test_a_row_says_state_change_outcome_and_failures(client: FlaskClient, browser: FlaskClient) -> None:
    results = [result(False), result(True, "ntSms"), result(False, "ntHook")]
    post(client, check_of("enWeb", "alHttp"), item_at(NOW_MS - 3 * HOUR, state="CRITICAL", previous_state="OK"))
    again = item_at(NOW_MS - HOUR, state="CRITICAL", previous_state="CRITICAL", notification_results=results)
    post(client, check_of("enWeb", "alHttp"), again)
    found = cells(page_at(browser, ALARMS))
    assert found == [
        *("CRITICAL", "alHttp", "enWeb", "2011-11-09 22:00:00 3 h ago"),
        *("2011-11-10 00:00:00 60 min ago", "sent failed", "2"),
    ]


def test_a_search_finds_parts_of_both_ids_whatever_the_case(client: FlaskClient, browser: FlaskClient) -> None:
    for entity, alarm in (("enWeb", "alHttp"), ("enDb", "alSTRASSE"), ("enstraße", "alDisk")):
        post(client, check_of(entity, alarm), item_at(NOW_MS))
    assert names(page_at(browser, f"{ALARMS}?q=WEB")) == ["alHttp"]
    assert sorted(names(page_at(browser, f"{ALARMS}?q=straße"))) == ["alDisk", "alSTRASSE"]
    nothing = page_at(browser, f"{ALARMS}?q={quote('<nothing>')}")
    assert "Nothing matches The filters are: part of an id: <nothing>" in text_of(nothing)
    assert link_of(nothing, "Clear the filters") == ALARMS


def test_to_say_why_no_alarm_is_there_they_are_not_read_again(
    client: FlaskClient, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(client, check_of("enWeb", "alHttp"), item_at(NOW_MS))
    listed, usual = count(), store.list_alarms
    monkeypatch.setattr(store, "list_alarms", lambda *asked: (usual(*asked), next(listed))[0])
    assert "Nothing matches" in text_of(page_at(browser, f"{ALARMS}?q=nothing"))
    assert next(listed) == 1


def test_where_not_all_checks_are_looked_at_the_pages_say_so(
    client: FlaskClient, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        post(client, check_of("enWeb", f"al{n}"), item_at(NOW_MS, state="OK" if n < 2 else "CRITICAL"))
    assert "Not all alarms are here." not in text_of(page_at(browser, ALARMS))
    monkeypatch.setattr("notifhist.store.deliveries.alarms.MAX_SERIES", 2)
    assert names(page_at(browser, ALARMS)) == ["al0", "al1"]
    for url in (ALARMS, "/ui/"):
        assert "Not all alarms are here. 2 checks were looked at" in text_of(page_at(browser, url))
    assert "None: the newest state of every alarm that was looked at is a good one." in text_of(
        page_at(browser, "/ui/")
    )


def test_the_list_is_empty_without_history(browser: FlaskClient) -> None:
    assert "No alarm has history yet" in text_of(page_at(browser, ALARMS))


def test_pages_follow_on_each_other(client: FlaskClient, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    seed(client)
    monkeypatch.setattr(pages, "PAGE_OF_ALARMS", 2)
    found: list[str] = []
    url: str | None = ALARMS
    while url:
        page = page_at(browser, url)
        found += names(page)
        url = link_of(page, "More")
    assert found == ["al1", "al5", "al3", "al2", "al0", "al4"]
    assert link_of(page, "From the beginning") == ALARMS
    bad = page_at(browser, f"{ALARMS}?q=al&marker=x", 400)
    assert [each.get("name") for each in bad.xpath("//*[@aria-invalid='true']")] == ["marker"]
    assert bad.xpath("//input[@name='q']/@value") == ["al"]
    assert not names(bad)


def test_the_page_of_an_alarm_has_a_lane_for_each_check(client: FlaskClient, browser: FlaskClient) -> None:
    post(client, check_of("enWeb", "alHttp", "chA"), item_at(NOW_MS - 2 * DAY, state="CRITICAL", previous_state="OK"))
    its = item_at(NOW_MS - DAY, state="OK", previous_state="CRITICAL", notification_results=[result(False)])
    post(client, check_of("enWeb", "alHttp", "chA"), its)
    post(client, check_of("enWeb", "alHttp", "chB"), item_at(NOW_MS - 20 * DAY, state="WARNING"))
    page = page_at(browser, ALARM)
    lanes = page.xpath("//div[@class='lane']")
    assert [text_of(lane.xpath("./bdi")[0]) for lane in lanes] == ["chA", "chB"]
    bands = [[each.split(":")[0] for each in lane.xpath(".//rect/title/text()")] for lane in lanes]
    assert bands == [["OK", "CRITICAL", "OK"], ["WARNING"]]
    marks = lanes[0].xpath(".//a")
    assert [each.xpath("string(title)").split("UTC: ")[1] for each in marks] == ["not sent", "failed"]
    assert marks[1].get("href") == f"{ALARM}/chA/{its['id']}"
    assert [cells(page, n)[0][:10] for n in range(2)] == ["2011-11-09", "2011-11-08"]


def test_the_checks_in_the_worst_states_have_a_lane(
    client: FlaskClient, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_LANES", 2)
    for n, state in enumerate(("OK", "CRITICAL", "OK", "WARNING")):
        post(client, check_of("enWeb", "alHttp", f"ch{n}"), item_at(NOW_MS - n, state=state))
    page = page_at(browser, ALARM)
    assert [text_of(lane) for lane in page.xpath("//div[@class='lane']/bdi")] == ["ch1", "ch3"]
    assert "The 2 checks in the worst states have a lane; there are 2 more." in text_of(page)
    assert len(page.xpath("//tbody/tr")) == 4


def test_each_receiver_of_an_item_has_its_own_words(client: FlaskClient, browser: FlaskClient) -> None:
    results = [result(False, "ntMail"), result(True, "ntSms"), result(False, "ntHook")]
    item = item_at(NOW_MS, notification_results=results)
    post(client, check_of("enWeb", "alHttp"), item)
    rows = page_at(browser, ALARM).xpath("//div[@class='split-row']")
    assert [text_of(row) for row in rows] == [
        "failed email · ntMail ntMail False",
        "sent email · ntSms ntSms True",
        "failed email · ntHook ntHook False",
    ]
    assert rows[2].xpath("./a/@href") == [f"{ALARM}/chOne/{item['id']}#result-2"]


def test_an_item_is_one_row_and_no_page_cuts_it(client: FlaskClient, browser: FlaskClient) -> None:
    for n in range(4):
        results = [result(n % 2 == 0, f"nt{each}") for each in range(3)]
        post(client, check_of("enWeb", "alHttp"), item_at(NOW_MS - n * HOUR, notification_results=results))
    found: list[str] = []
    url: str | None = f"{ALARM}?limit=7"
    while url:
        page = page_at(browser, url)
        rows = page.xpath("//tbody/tr")
        assert all(len(row.xpath(".//*[contains(@class, 'receiver')]")) == 3 for row in rows)
        found += [row.get("data-id") for row in rows]
        url = link_of(page, "Older")
    assert found == [f"chOne/{id_at(NOW_MS - n * HOUR)}" for n in range(4)]


def test_an_item_that_no_page_holds_says_on_each_how_it_went(client: FlaskClient, browser: FlaskClient) -> None:
    results = [result(n != 11, f"nt{n}") for n in range(12)]
    post(client, check_of("enWeb", "alHttp"), item_at(NOW_MS, notification_results=results))
    post(client, check_of("enWeb", "alHttp"), item_at(NOW_MS - HOUR, 1, notification_results=results[:2]))
    url, said = f"{ALARM}?limit=5", []
    while url:
        page = page_at(browser, url)
        said.append(["failed 1 sent 11 in all" in text_of(row) for row in page.xpath("//tbody/tr")])
        url = link_of(page, "Older") or ""
    assert said == [[True], [True], [True, False]]


def test_an_alarm_without_anything_in_this_time_says_when_the_newest_was(
    client: FlaskClient, browser: FlaskClient
) -> None:
    post(client, check_of("enWeb", "alHttp"), item_at(NOW_MS - 20 * DAY))
    page = page_at(browser, ALARM)
    assert "Nothing in this time" in text_of(page)
    shown = page_at(browser, link_of(page, "Show that time") or "")
    assert len(shown.xpath("//tbody/tr")) == 1
    assert len(page_at(browser, f"{ALARM}?since=30d").xpath("//tbody/tr")) == 1


@pytest.mark.parametrize(("query", "number"), [("", 3), ("&since=7d", 3), ("&since=24h", 1), ("&from=0", 4)])
def test_a_span_is_the_time_before_to(client: FlaskClient, browser: FlaskClient, query: str, number: int) -> None:
    to_ms = NOW_MS - 20 * DAY
    for days in (0, 2, 6, 9):
        post(client, check_of("enWeb", "alHttp"), item_at(to_ms - days * DAY))
    page = page_at(browser, f"{ALARM}?to={to_ms}{query}")
    assert len(page.xpath("//tbody/tr")) == number


def test_an_alarm_that_has_no_history_is_404(browser: FlaskClient) -> None:
    assert "not recorded, or it is older than 30 days" in text_of(page_at(browser, ALARM, 404))


def test_an_alarm_is_below_alarms(client: FlaskClient, browser: FlaskClient) -> None:
    post(client, check_of("enWeb", "alHttp"), item_at(NOW_MS))
    for url in (ALARMS, ALARM):
        assert page_at(browser, url).xpath("//nav//a[@aria-current='page']/text()") == ["Alarms"]
    assert page_at(browser, "/ui/nothing", 404).xpath("//nav//a[@aria-current='page']") == []


def test_alarms_of_other_tenants_and_roles_are_not_shown(
    make_app: MakeApp, make_key: MakeKey, client: FlaskClient
) -> None:
    app = make_app()
    post(client, check_of("enWeb", "alHttp"), item_at(NOW_MS))
    other = make_key(tenant="654321")
    post(authorized(app, other), check_of("enDb", "alDisk", tenant="/v1.0/654321"), item_at(NOW_MS))
    assert names(page_at(signed_in(app, other), ALARMS)) == ["alDisk"]
    page_at(signed_in(app, other), ALARM, 404)
    runs_alone = signed_in(app, make_key("notification-logs:view"))
    assert "monitoring:observer" in text_of(page_at(runs_alone, ALARMS, 403))
    page_at(runs_alone, ALARM, 403)


@pytest.mark.parametrize(
    ("query", "marked"),
    [
        ("from=yesterday&outcome=failed&limit=7", ["from"]),
        ("marker=x&since=30d&outcome=failed&limit=7", ["marker"]),
        ("since=1h&to=tomorrow&outcome=failed&limit=7", ["since", "to"]),
        ("limit=0&outcome=failed&since=30d", ["limit"]),
        ("outcome=lost&since=30d&limit=7", [None, "outcome"]),
    ],
)
def test_a_bad_value_is_marked_on_the_page_of_an_alarm(
    client: FlaskClient, browser: FlaskClient, query: str, marked: list[str | None]
) -> None:
    post(client, check_of("enWeb", "alHttp"), item_at(NOW_MS))
    page = page_at(browser, f"{ALARM}?{query}", 400)
    assert [each.get("name") for each in page.xpath("//*[@aria-invalid='true']")] == marked
    assert "alHttp" in text_of(page.xpath("//h1")[0])
    assert not page.xpath("//tbody/tr | //div[@class='lane']")
    (form,) = page.xpath("//form[@data-filters]")
    sent = {name: value for name, value in form.form_values() if value and name not in ("shown", *marked)}
    assert sent == {name: value for name, value in parse_qsl(query) if name not in marked}
    assert link_of(page, "clear all filters") == ALARM


def test_a_filter_is_for_the_list_and_leaves_the_drawing_whole(client: FlaskClient, browser: FlaskClient) -> None:
    for n, (state, success) in enumerate((("OK", True), ("CRITICAL", False), ("OK", True))):
        its = item_at(NOW_MS - (3 - n) * DAY, n, state=state, notification_results=[result(success)])
        post(client, check_of("enWeb", "alHttp"), its)
    whole, failed = (page_at(browser, f"{ALARM}?{query}") for query in ("", "outcome=failed"))
    drawn = [
        [each.xpath("string(title)") for each in page.xpath("//div[@class='lane']//a")] for page in (whole, failed)
    ]
    assert len(drawn[0]) == 3
    assert drawn[0] == drawn[1]
    assert [len(page.xpath("//tbody/tr")) for page in (whole, failed)] == [3, 1]


def test_an_alarm_says_why_its_list_is_empty(client: FlaskClient, browser: FlaskClient) -> None:
    post(client, check_of("enWeb", "alHttp"), item_at(NOW_MS - DAY, notification_results=[result(True)]))
    post(client, check_of("enWeb", "alOther"), item_at(NOW_MS - DAY, notification_results=[result(False)]))

    def reason(query: str) -> str:
        return str(page_at(browser, f"{ALARM}?{query}").xpath("//*[@data-reason]")[0].get("data-reason"))

    assert reason("since=24h&to=2011-11-08") == "nothing then"
    assert reason("from=2011-01-01&to=2011-02-01") == "expired"
    nothing = page_at(browser, f"{ALARM}?outcome=failed")
    assert "Nothing matches The filters are: outcome: failed" in text_of(nothing)
    assert len(page_at(browser, link_of(nothing, "Clear the filters") or "").xpath("//tbody/tr")) == 1


def test_alarms_whose_history_has_expired_say_so(client: FlaskClient, make_app: MakeApp, key: str) -> None:
    post(client, check_of("enWeb", "alHttp"), item_at(NOW_MS - 20 * DAY))
    later = signed_in(make_app(RETENTION_DAYS=10), key)
    assert "This time is older than what is kept" in text_of(page_at(later, ALARMS))
    assert "2011-10-21 01:00:00 UTC" in text_of(page_at(later, ALARMS))
