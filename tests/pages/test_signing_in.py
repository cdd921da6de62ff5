"""Signing in and out, as a person does it."""

import pytest

from notifhist.auth import split_key
from notifhist.store.keys import revoke_keys
from tests.pages.browser import Browser
from tests.pages.conftest import now_ms
from tests.system.service import Service, create_key, opened, wait_until


@pytest.fixture
def browser(second_browser: Browser) -> Browser:
    """A browser that has not signed in."""
    return second_browser


def test_the_way_leads_to_the_login_and_back(browser: Browser, key: str) -> None:
    browser.sign_in(key, "/ui/deliveries?outcome=failed&q=try")
    wait_until(lambda: browser.path == "/ui/deliveries?outcome=failed&q=try", 10)
    assert "failed" in browser.driver.title


def test_a_wrong_key_is_refused_and_typed_anew(browser: Browser, key: str) -> None:
    browser.sign_in(f"{key[:-3]}xyz", "/ui/alarms")
    assert browser.one("[role=alert]").text == "No valid key."
    assert browser.one("input[name=key]").get_attribute("value") == ""
    browser.one("input[name=key]").send_keys(key)
    browser.one("main form button").click()
    wait_until(lambda: browser.path == "/ui/alarms", 10)


def test_with_its_key_a_session_ends(browser: Browser, service: Service) -> None:
    database_url = service.settings["DATABASE_URL"]
    its_key = create_key(database_url)
    browser.sign_in(its_key, "/ui/alarms")
    parts = split_key(its_key)
    assert parts is not None
    with opened(database_url) as db:
        revoke_keys(db, parts[0], now_ms())

    def is_signed_out() -> bool:
        browser.open("/ui/runs")
        return browser.path.startswith("/ui/login")

    wait_until(is_signed_out, 10)


def test_signing_out_ends_the_session(browser: Browser, key: str) -> None:
    browser.sign_in(key)
    browser.one("header form button").click()
    wait_until(lambda: browser.path == "/ui/login", 10)
    browser.open("/ui/")
    assert browser.path.startswith("/ui/login")
    browser.driver.back()
    assert "Sign in" in browser.text
