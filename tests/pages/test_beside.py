"""An item beside its list: the URL is the item's own, the list stays, and the way back is the browser's."""

from selenium.webdriver.common.keys import Keys

from tests.http.helpers import item_at
from tests.pages.browser import Browser
from tests.pages.conftest import now_ms
from tests.pages.history import result, url_of
from tests.system.service import Client, wait_until

LIST = "/ui/deliveries?entity_id=enWeb0&outcome=failed"


def opened(browser: Browser) -> str:
    """Open the second row by its key; return its URL."""
    browser.open(LIST)
    browser.press("j", "j")
    url = str(browser.ask("document.activeElement.getAttribute('href')"))
    browser.press(Keys.ENTER)
    browser.one("aside .banner")
    return url


def test_an_item_opens_beside_its_list_under_its_own_url(browser: Browser) -> None:
    url = opened(browser)
    rows = browser.rows()
    assert browser.ask("location.pathname + location.hash") == url
    assert browser.ask("document.querySelector('aside .aimed').id") == url.partition("#")[2]
    assert browser.one("aside [data-copy]").is_displayed()
    assert browser.ask("document.activeElement.tagName") == "ASIDE"
    assert browser.overflow() == 0
    assert browser.barriers() == []
    title = browser.driver.title
    browser.driver.refresh()
    wait_until(lambda: not browser.all("aside") and browser.all("main .banner"), 10)
    assert browser.driver.title == title
    browser.driver.back()
    assert wait_until(browser.rows, 10) == rows


def test_a_run_opens_beside_its_list_too(browser: Browser) -> None:
    browser.open("/ui/runs")
    rows = browser.rows()
    for width in (1100, 1280):
        browser.show(width)
        browser.press("j", Keys.ENTER)
        browser.one("aside .banner")
        assert browser.path == f"/ui/runs/{rows[0]}"
        assert browser.ask("document.querySelector('aside').getAttribute('aria-label')") == browser.driver.title
        assert browser.rows() == rows
        assert browser.overflow() == 0
        assert browser.barriers() == []
        browser.press(Keys.ESCAPE)
        wait_until(lambda: not browser.all("aside"), 10)
        assert browser.path == "/ui/runs"
        browser.open("/ui/runs")


def test_another_row_takes_its_place_and_escape_leads_back_to_the_row(browser: Browser) -> None:
    opened(browser)
    links = browser.all("#rows a[data-open]")
    first = browser.ask("document.querySelector('aside h1').nextElementSibling.textContent")
    links[4].click()
    wait_until(lambda: browser.ask("document.querySelector('aside h1').nextElementSibling.textContent") != first, 10)
    browser.press(Keys.ESCAPE)
    wait_until(lambda: not browser.all("aside"), 10)
    assert browser.path == LIST
    assert browser.ask("document.activeElement === document.querySelectorAll('#rows a[data-open]')[4]")
    browser.driver.forward()
    browser.one("aside .banner")
    browser.driver.back()
    wait_until(lambda: not browser.all("aside"), 10)


HELD = """
const usual = window.fetch;
window.held = [];
window.fetch = async (...asked) => {
  const answer = await usual(...asked);
  await new Promise((done) => window.held.push(done));
  return answer;
};
"""
"""Answers wait until they are let go, in whatever order."""


def test_an_answer_that_comes_late_is_not_shown(browser: Browser) -> None:
    browser.open(LIST)
    browser.driver.execute_script(HELD)
    links = browser.all("#rows a[data-open]")
    links[1].click()
    wait_until(lambda: browser.ask("held.length") == 1, 10)
    links[4].click()
    wait_until(lambda: browser.ask("held.length") == 2, 10)
    browser.ask("held[1]()")
    aimed = browser.one("aside .aimed").get_attribute("id")
    shown, url = browser.one("aside").text, browser.driver.current_url
    assert url == links[4].get_attribute("href")
    assert url.endswith(f"#{aimed}")
    browser.ask("held[0]()")
    browser.driver.execute_async_script("setTimeout(arguments[0], 200)")
    assert (browser.one("aside").text, browser.driver.current_url) == (shown, url)
    links[2].click()
    wait_until(lambda: browser.ask("held.length") == 3, 10)
    browser.driver.back()
    wait_until(lambda: not browser.all("aside"), 10)
    browser.ask("held[2]()")
    browser.driver.execute_async_script("setTimeout(arguments[0], 200)")
    assert not browser.all("aside")
    assert browser.path == LIST


def test_rows_come_in_beside_an_item(browser: Browser, client: Client) -> None:
    def record() -> None:
        item = item_now()
        assert client.post(url_of("enWebBeside", "alBeside", "chBeside"), item).status_code == 201

    record()
    browser.open("/ui/deliveries?live=1&alarm_id=alBeside")
    before = browser.rows()
    browser.one("#rows a[data-open]").click()
    browser.one("aside .banner")
    record()
    wait_until(lambda: len(browser.rows()) == len(before) + 1, 10)
    assert browser.all("aside .banner")


def item_now() -> dict[str, object]:
    return item_at(now_ms(), state="CRITICAL", notification_results=[result(1)])


def test_where_there_is_no_place_the_item_is_a_page(browser: Browser) -> None:
    browser.show(700)
    browser.open(LIST)
    browser.one("#rows a[data-open]").click()
    wait_until(lambda: browser.all("main .banner"), 10)
    assert not browser.all("aside")
