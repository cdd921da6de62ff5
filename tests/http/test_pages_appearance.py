"""The choice between light and dark: a cookie, from which the server renders the page."""

import pytest
from flask import Flask

from tests.http.pages import page_at, signed_in


@pytest.mark.parametrize(("theme", "rendered"), [("dark", "dark"), ("light", "light"), ("system", None), ("x", None)])
def test_the_choice_is_kept_in_a_cookie(theme: str, rendered: str | None, app: Flask, key: str) -> None:
    browser = signed_in(app, key)
    response = browser.post("/ui/theme", data={"theme": theme, "next": "/ui/alarms?q=a"})
    assert (response.status_code, response.headers["Location"]) == (303, "/ui/alarms?q=a")
    assert page_at(browser, "/ui/alarms").get("data-theme") == rendered
    assert page_at(browser, "/ui/alarms").xpath("string(//button[@aria-pressed='true'])") == (rendered or "system")


def test_the_way_back_is_a_page(app: Flask, key: str) -> None:
    for way in ("https://example.com/", "//example.com/", "/metrics", None):
        data = {"theme": "dark"} | ({"next": way} if way else {})
        assert signed_in(app, key).post("/ui/theme", data=data).headers["Location"] == "/ui/"


def test_behind_a_prefix_cookie_and_way_have_it(app: Flask, key: str) -> None:
    data = {"theme": "dark", "next": "/tools/ui/alarms"}
    response = app.test_client().post("/ui/theme", data=data, environ_overrides={"SCRIPT_NAME": "/tools"})
    assert response.headers["Location"] == "/tools/ui/alarms"
    assert "Path=/tools/ui" in response.headers["Set-Cookie"]
