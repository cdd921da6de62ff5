"""Light and dark, times, copy buttons, and pages without any script."""

import pytest
from selenium.webdriver.support.select import Select

from tests.pages.browser import Browser
from tests.system.service import wait_until

LIST = "/ui/deliveries"


def ground(browser: Browser) -> str:
    return str(browser.ask("getComputedStyle(document.body).backgroundColor"))


LIGHT, DARK = "rgb(244, 245, 247)", "rgb(13, 17, 23)"


def test_colours_follow_the_system_until_somebody_chooses(browser: Browser) -> None:
    browser.open("/ui/alarms?q=en")
    assert ground(browser) == LIGHT
    browser.show(theme="dark")
    assert ground(browser) == DARK
    browser.one("button[name=theme][value=light]").click()
    wait_until(lambda: ground(browser) == LIGHT, 10)
    assert browser.path == "/ui/alarms?q=en"
    browser.open("/ui/runs")
    assert (ground(browser), browser.one("html").get_attribute("data-theme")) == (LIGHT, "light")
    browser.one("button[name=theme][value=system]").click()
    wait_until(lambda: ground(browser) == DARK, 10)


def test_times_are_utc_or_local(browser: Browser) -> None:
    browser.be_in("Asia/Kathmandu")
    browser.open(f"{LIST}?limit=50")
    time = browser.one("tbody time")
    utc, moment = time.text, time.get_attribute("datetime")
    assert str(moment).startswith(utc.replace(" ", "T"))
    browser.open(f"{LIST}?limit=50&tz=local")
    wait_until(lambda: "Kathmandu" in browser.one("th .zone").text or "Katmandu" in browser.one("th .zone").text, 10)
    minutes = [int(each[14:16]) for each in (utc, browser.one("tbody time").text)]
    assert (minutes[1] - minutes[0]) % 60 == 45


def test_copy_buttons_copy(browser: Browser) -> None:
    browser.driver.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    browser.open(LIST)
    link = browser.one("[data-copy-link]")
    wanted = link.get_attribute("href")
    link.click()
    wait_until(lambda: link.text == "Copied", 10)
    assert browser.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])") == wanted
    assert browser.path == LIST


@pytest.mark.parametrize("path", ["/ui/runs", LIST])
def test_everything_works_without_scripts(path: str, browser: Browser) -> None:
    browser.run_scripts(False)
    browser.open(path)
    assert browser.one("form.filters").size["height"] > 100  # unfolded by the stylesheet alone
    browser.show(700)
    browser.one(".fold > summary").click()
    assert browser.all("button[data-copy], [data-help], .live") == [
        each for each in browser.all("button[data-copy], [data-help], .live") if not each.is_displayed()
    ]
    name, value = ("statuses", "FAILED") if path == "/ui/runs" else ("outcome", "failed")
    if path == "/ui/runs":
        Select(browser.one(f"select[name={name}]")).select_by_value(value)
    else:
        browser.one(f"input[value={value}]").click()
    browser.one("form.filters button").click()
    wait_until(lambda: f"{name}={value}" in browser.path, 10)
    assert {each.text for each in browser.all("tbody .outcome")} == {"failed"}
    browser.one("tbody a").click()
    wait_until(lambda: "failed" in browser.one(".banner").text, 10)
