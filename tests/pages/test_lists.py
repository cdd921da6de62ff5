"""Lists: filters by form and by URL, the way back, links that somebody else opens, pages, what comes in live, keys."""

import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from tests.http.helpers import item_at
from tests.pages.browser import Browser
from tests.pages.conftest import now_ms
from tests.pages.history import result, url_of
from tests.system.service import Client, wait_until

LIST = "/ui/deliveries"


def query(browser: Browser) -> dict[str, list[str]]:
    return parse_qs(urlsplit(browser.path).query)


def record(client: Client, number: int = 1, alarm: str = "alLive") -> None:
    """Record items of now, each with a failed result."""
    for n in range(number):
        item = item_at(now_ms(), n, state="CRITICAL", notification_results=[result(1)])
        response = client.post(url_of("enWebLive", alarm, "chLive"), item)
        assert response.status_code == 201, response.text


def focused(browser: Browser) -> str:
    return str(browser.ask("document.activeElement.id || document.activeElement.closest('[data-id]')?.dataset.id"))


def test_a_filter_applies_when_it_is_changed_and_stands_in_the_url(browser: Browser) -> None:
    browser.open(LIST)
    before = browser.rows()
    browser.one("input[name=outcome][value=failed]").click()
    wait_until(lambda: query(browser) == {"outcome": ["failed"]}, 10)
    failed = wait_until(browser.rows, 10)
    assert {each.text for each in browser.all("tbody .outcome")} == {"failed"}
    browser.one("input[type=search]").send_keys("hooks", Keys.ENTER)
    wait_until(lambda: query(browser) == {"outcome": ["failed"], "q": ["hooks"]}, 10)
    browser.driver.back()
    assert wait_until(browser.rows, 10) == failed
    browser.driver.back()
    assert wait_until(browser.rows, 10) == before
    browser.driver.forward()
    assert wait_until(browser.rows, 10) == failed


def test_a_text_applies_with_enter_and_not_while_it_is_typed(browser: Browser) -> None:
    browser.open(f"{LIST}?since=30d&outcome=failed")
    browser.one("input[type=search]").send_keys("hooks", Keys.TAB)
    time.sleep(1.5)  # longer than a choice waits
    assert query(browser) == {"since": ["30d"], "outcome": ["failed"]}
    assert browser.one("input[type=search]").get_attribute("value") == "hooks"
    browser.one("input[type=search]").send_keys(Keys.ENTER)
    wait_until(lambda: query(browser).get("q") == ["hooks"], 10)


def test_a_time_is_picked_and_a_span_takes_its_place(browser: Browser) -> None:
    browser.open(LIST)
    browser.ask("document.querySelector('[name=from]').value = '2011-11-01T08:30'")
    browser.one("form.filters button.primary").click()
    wait_until(lambda: query(browser) == {"from": ["2011-11-01T08:30"]}, 10)
    assert browser.one("[name=from]").get_attribute("value") == "2011-11-01T08:30"
    Select(browser.one("[name=since]")).select_by_value("7d")
    wait_until(lambda: query(browser) == {"since": ["7d"]}, 10)
    Select(browser.one("[name=since]")).select_by_value("month")
    wait_until(lambda: set(query(browser)) == {"from", "to"}, 10)
    assert re.fullmatch(r"\d{4}-\d\d-01T00:00", str(browser.one("[name=from]").get_attribute("value")))
    assert browser.one("form.filters").get_property("noValidate") is False
    assert browser.ask("document.querySelector('form.filters').checkValidity()")


def test_on_a_phone_the_form_is_folded_and_says_how_many_filters_there_are(browser: Browser) -> None:
    browser.show(360)
    browser.open(f"{LIST}?outcome=failed&since=7d")
    assert browser.one(".fold > summary").text == "Filters: 2 at work"
    assert not browser.one("form.filters").is_displayed()
    browser.press("/")
    assert browser.one("input[type=search]").is_displayed()
    browser.show()
    browser.open(f"{LIST}?outcome=failed")
    assert browser.one("form.filters").is_displayed()
    assert not browser.one(".fold > summary").is_displayed()


def test_after_back_the_form_says_what_is_shown(browser: Browser) -> None:
    browser.open(LIST)
    browser.one("input[name=outcome][value=failed]").click()
    wait_until(lambda: query(browser) == {"outcome": ["failed"]}, 10)
    browser.driver.back()
    wait_until(lambda: query(browser) == {}, 10)
    wait_until(lambda: not browser.one("input[name=outcome][value=failed]").is_selected(), 10)


def test_a_list_of_values_applies_too_and_keeps_the_focus(browser: Browser) -> None:
    browser.open("/ui/runs")
    Select(browser.one("#statuses")).select_by_value("FAILED")
    wait_until(lambda: query(browser) == {"statuses": ["FAILED"]}, 10)
    wait_until(lambda: focused(browser) == "statuses", 10)
    assert {each.text for each in browser.all("tbody .outcome")} == {"failed"}


@pytest.mark.parametrize(
    "wanted",
    [
        "outcome=failed",
        "entity_id=enWeb0&since=7d&limit=100",
        "q=try&notification_type=email,sms",
        "state=OK&reverse=false",
    ],
)
def test_a_link_shows_somebody_else_the_same_rows(
    wanted: str, browser: Browser, second_browser: Browser, client: Client, key: str
) -> None:
    browser.open(f"{LIST}?{wanted}")
    rows = browser.rows()
    link = str(browser.one("[data-copy-link]").get_attribute("href")).removeprefix(browser.url)
    record(client, 2, "alLater")
    second_browser.sign_in(key, link)
    wait_until(lambda: second_browser.path == link, 10)
    assert second_browser.rows() == rows != []


def test_pages_neither_repeat_nor_hide_while_items_arrive(browser: Browser, client: Client) -> None:
    browser.open(f"{LIST}?limit=50")
    found = browser.rows()
    while following := browser.all("a[rel=next]"):
        record(client, 1, "alPaging")
        following[0].click()
        found += browser.rows()
    assert len(found) == len(set(found)) > 100


def test_new_rows_come_in_and_neither_focus_nor_scroll_moves(browser: Browser, client: Client) -> None:
    record(client, 3)
    browser.show(height=400)
    browser.open(f"{LIST}?live=1&alarm_id=alLive")
    first = browser.rows()
    browser.ask("document.querySelectorAll('tr[data-id] a')[1].focus()")
    browser.ask("scrollTo(0, 300)")
    place = browser.ask("document.activeElement.getBoundingClientRect().top")
    record(client, 2)
    wait_until(lambda: len(browser.rows()) == len(first) + 2, 10)
    assert browser.rows()[2:] == first
    assert focused(browser) == first[0] or focused(browser) == first[1]
    assert abs(browser.ask("document.activeElement.getBoundingClientRect().top") - place) <= 1
    wait_until(lambda: "new" in str(browser.ask("document.querySelector('#said').textContent")), 10)
    assert browser.one("#said").get_attribute("role") == "status"
    assert browser.one("#total").text == str(len(first) + 2)


def test_where_more_comes_in_than_a_page_holds_there_is_no_gap(browser: Browser, client: Client) -> None:
    record(client, 2, "alGap")
    browser.open(f"{LIST}?live=1&alarm_id=alGap&limit=2")
    first = browser.rows()
    record(client, 4, "alGap")
    wait_until(lambda: len(rows := browser.rows()) == 2 and set(rows).isdisjoint(first), 15)
    assert browser.one("#total").text == "6"


def test_what_comes_in_can_be_paused(browser: Browser, client: Client) -> None:
    record(client)
    browser.open(f"{LIST}?live=1&alarm_id=alLive")
    browser.one("[data-live-toggle]").click()
    assert browser.one("[data-live-word]").text == "Paused"
    before = browser.rows()
    browser.hosts()  # those of the requests until now
    record(client)
    browser.ask("document.dispatchEvent(new Event('visibilitychange'))")  # it would ask at once
    browser.ask("new Promise((go) => setTimeout(go, 1500))")
    assert browser.rows() == before
    assert not browser.hosts()
    browser.one("[data-live-toggle]").click()
    wait_until(lambda: len(browser.rows()) == len(before) + 1, 10)


def test_keys_lead_from_the_list_to_the_item_and_back(browser: Browser) -> None:
    browser.open(LIST)
    rows = browser.rows()
    browser.press("j", "j", "j", "k")
    assert focused(browser) == rows[1]
    browser.press(Keys.ENTER)
    wait_until(lambda: browser.path.startswith("/ui/entities/"), 10)
    browser.press(Keys.ESCAPE)
    wait_until(lambda: browser.path == LIST, 10)
    browser.press("f")
    wait_until(lambda: query(browser) == {"outcome": ["failed"]}, 10)
    browser.open(f"{LIST}?limit=50")
    browser.press("]")
    wait_until(lambda: "marker" in query(browser), 10)
    browser.press("[")
    wait_until(lambda: "marker" not in query(browser), 10)


def test_keys_are_letters_inside_fields_and_can_be_switched_off(browser: Browser) -> None:
    browser.open(LIST)
    browser.press("/")
    assert browser.ask("document.activeElement.type") == "search"
    browser.press("j", "f", "?")
    assert browser.one("input[type=search]").get_attribute("value") == "jf?"
    assert not browser.one("#keys").is_displayed()
    browser.press(Keys.ESCAPE)
    browser.press("?")
    assert browser.one("#keys").is_displayed()
    browser.one("#keys-off").click()
    browser.one("#keys button").click()
    browser.press("f")
    browser.open(LIST)
    browser.press("f", "?")
    assert (browser.path, browser.one("#keys").is_displayed()) == (LIST, False)
    browser.one("[data-help]").click()
    browser.one("#keys-off").click()
    browser.one("#keys button").click()
    browser.press("?")
    assert browser.one("#keys").is_displayed()
