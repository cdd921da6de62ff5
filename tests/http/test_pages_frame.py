"""What every page bears: the security headers, no key but that of the session, assets that never change."""

import re

from flask import Flask

from notifhist.web.pages.rendering import CONTENT_SECURITY_POLICY
from tests.conftest import MakeApp
from tests.http.pages import signed_in


def test_a_page_bears_all_headers_of_security(app: Flask, key: str) -> None:
    response = signed_in(app, key).get("/ui/deliveries")
    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    wanted = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    assert {name: response.headers[name] for name in wanted} == wanted


def test_who_has_no_session_is_sent_to_the_login_and_back_afterwards(app: Flask, key: str) -> None:
    response = app.test_client().get("/ui/deliveries?q=a%26b", headers={"X-Auth-Token": key})
    assert response.status_code == 303
    assert response.headers["Location"] == "/ui/login?next=%2Fui%2Fdeliveries%3Fq%3Da%2526b"
    assert response.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert response.headers["Cache-Control"] == "no-store"


def test_assets_are_immutable_under_the_hash_of_their_content(app: Flask, key: str) -> None:
    page = signed_in(app, key).get("/ui/deliveries").text
    urls = re.findall('"(/ui/static/[^"]+)"', page)
    assert len(urls) == 2
    for url in urls:
        response = app.test_client().get(url)
        assert (response.status_code, response.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
        other = app.test_client().get(re.sub("/[0-9a-f]{16}/", "/0123456789abcdef/", url))
        assert (other.status_code, other.headers["Cache-Control"]) == (404, "no-store")


def test_no_other_origin_reads_a_page(make_app: MakeApp, key: str) -> None:
    browser = signed_in(make_app(CORS_ORIGINS="https://other.example"), key)
    origin = {"Origin": "https://other.example", "Access-Control-Request-Method": "GET"}
    for url in ("/ui/deliveries", "/ui/login", "/ui/none"):
        assert "Access-Control-Allow-Origin" not in browser.get(url, headers=origin).headers
        assert browser.options(url, headers=origin).status_code in (404, 405)
