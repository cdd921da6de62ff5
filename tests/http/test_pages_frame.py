"""What every page bears: the security headers, no key but that of the session, assets that never change."""

import re

from flask import Flask
from flask.testing import FlaskClient

from notifhist.web.pages.rendering import CONTENT_SECURITY_POLICY
from tests.conftest import NOW_MS, MakeApp
from tests.http.delivery_data import check_of
from tests.http.helpers import LOGS, RUNS, item_at, log_of, post, run_of
from tests.http.pages import page_at, signed_in


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
    assert len(urls) == 4
    for url in urls:
        response = app.test_client().get(url)
        assert (response.status_code, response.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
        other = app.test_client().get(re.sub("/[0-9a-f]{16}/", "/0123456789abcdef/", url))
        assert (other.status_code, other.headers["Cache-Control"]) == (404, "no-store")


def test_times_are_in_the_zone_that_they_say_on_every_page_that_follows(
    app: Flask, client: FlaskClient, key: str
) -> None:
    item = item_at(NOW_MS - 1000, transaction_id="tx", notification_results=[{"success": False}])
    for each in (item, item_at(NOW_MS - 2000, transaction_id="tx")):
        post(client, check_of(), each)
    post(client, RUNS, run_of(id=1))
    post(client, LOGS, log_of())
    browser, alarm = signed_in(app, key), "/ui/entities/enOne/alarms/alOne"
    paths = ("/ui/", "/ui/deliveries", "/ui/alarms", alarm, f"{alarm}/chOne/{item['id']}", "/ui/runs", "/ui/runs/1")
    for url in (
        *(f"{path}?tz=local" for path in paths),
        f"{alarm}?tz=local&to=1000",
        "/ui/deliveries?tz=local&to=1000",
    ):
        page = page_at(browser, url)
        assert page.xpath("//main//time")
        labels = page.xpath("//main//text()[contains(., 'UTC') and not(ancestor::title or ancestor::label)]/..")
        assert {each.get("class") for each in labels} <= {"zone"}, url
        links = page.xpath("//a[not(text()='UTC')]/@href[starts-with(., '/ui/')]")
        assert [link for link in links if "tz=local" not in link] == [], url
        assert len(page.xpath("//form[@method='get']")) == len(page.xpath("//form[@method='get']//input[@name='tz']"))


def test_no_other_origin_reads_a_page(make_app: MakeApp, key: str) -> None:
    browser = signed_in(make_app(CORS_ORIGINS="https://other.example"), key)
    origin = {"Origin": "https://other.example", "Access-Control-Request-Method": "GET"}
    for url in ("/ui/deliveries", "/ui/login", "/ui/none"):
        assert "Access-Control-Allow-Origin" not in browser.get(url, headers=origin).headers
        assert browser.options(url, headers=origin).status_code in (404, 405)
