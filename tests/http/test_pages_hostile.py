"""What others recorded is hostile text: on a page it is text, and nothing else. And the pages of errors."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import html

from notifhist.web.pages.formatting import link_of as target_link
from notifhist.web.pages.rendering import CONTENT_SECURITY_POLICY
from tests.conftest import NOW_MS, MakeApp
from tests.http.delivery_data import HOUR, check_of
from tests.http.helpers import RUNS, item_at, post, run_of
from tests.http.pages import LIST, ids_on, page_at, signed_in, text_of

SCRIPT = "<script>alert(1)</script>"
TEXTS = (
    SCRIPT,
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
    "x" * 10_000,
    "‮evil\u2028\u2029​",
    "\ud83d\ude00 \x01\x02",
    "' onmouseover='alert(1)",
    "https://example.com/\"onmouseover='alert(1)'<script>",
)
ALLOWED_SCHEMES = ("http://", "https://", "/", "#", "data:,")


def record(client: FlaskClient, n: int, text: str) -> None:
    """Record an item all of whose texts are `text`, as far as they may be."""
    printable = "".join(each for each in text if each.isprintable() and each != "/")[:200]
    result = {
        **{"notification_id": text, "notification_type": text, "message": text, "success": False},
        "notification_details": {"url": text, "address": text, text[:50]: text},
        "attempts": [{"message": text, "from": text}],
    }
    texts = dict.fromkeys(("state", "previous_state", "status", "notification_plan_id", "transaction_id"), text)
    url = check_of(printable.replace("%", "%25").replace("?", "%3F").replace("#", "%23"), "al", "ch")
    post(client, url, item_at(NOW_MS - HOUR + n, n, notification_results=[result], **texts))


def assert_harmless(page: html.HtmlElement) -> None:
    """Assert that a page has no script but ours, no handler in an attribute, and no link to anything that runs."""
    assert [each.get("src", "")[:11] for each in page.xpath("//script")] == ["/ui/static/"]
    assert not page.xpath("//img | //iframe | //object | //embed | //style | //base")
    assert not [name for each in page.iter() for name in each.attrib if name.startswith("on") or name == "style"]
    for link in page.xpath("//@href | //@src | //@action"):
        assert link.startswith(ALLOWED_SCHEMES), link
    for link in page.xpath("//a[starts-with(@href, 'http') and not(starts-with(@href, 'http://localhost'))]"):
        assert {*link.get("rel").split()} >= {"noopener", "noreferrer"}


def test_recorded_texts_are_texts_on_every_page(app: Flask, key: str, client: FlaskClient) -> None:
    for n, text in enumerate(TEXTS):
        record(client, n, text)
    post(client, RUNS, run_of(summary=SCRIPT, errorMessage=SCRIPT, status="FAILED"))
    browser = signed_in(app, key)
    for url in ("/ui/", LIST, "/ui/alarms", "/ui/runs"):
        page = page_at(browser, url)
        assert_harmless(page)
        for link in page.xpath("//main//a[starts-with(@href, '/ui/')]/@href")[:150]:
            response = browser.get(link)
            assert response.status_code == 200, link
            if response.content_type.startswith("text/html"):
                assert_harmless(html.fromstring(response.text))
    page = page_at(browser, LIST)
    assert not page.xpath("//a[starts-with(@href, 'https://example.com/')]")  # a click would call the receiver
    assert len(ids_on(page)) == len(TEXTS)
    assert SCRIPT in text_of(page)
    assert len(browser.get(LIST).data) < 60_000  # a long text is cut off


def test_a_long_text_makes_no_page_long(app: Flask, key: str, client: FlaskClient) -> None:
    text = "<" * 100_000
    for n, begin in enumerate(("", "http://example.com/")):
        record(client, n, begin + text)
    item_id = item_at(NOW_MS - HOUR + 1, 1)["id"]
    objects = [{"type": "ENTITY", "id": 1, "name": text, "url": f"http://example.com/{text}", "tag": text}]
    post(client, RUNS, run_of(id=1, summary=text, errorMessage=text, status="FAILED", notificationObjects=objects))
    browser, alarm = signed_in(app, key), f"/ui/entities/{'http:example.com' + '<' * 184}/alarms/al"
    for url in ("/ui/", LIST, "/ui/alarms", alarm, f"{alarm}/ch/{item_id}", "/ui/runs", "/ui/runs/1"):
        page = page_at(browser, url)
        assert [each for each in page.xpath("//@href") if len(each) > 2200] == []
        assert len(browser.get(url).data) < 400_000, url


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_asked_for_is_text_too(app: Flask, key: str, client: FlaskClient, text: str) -> None:
    record(client, 0, "x")
    browser = signed_in(app, key)
    sent = text.encode("utf-16", "surrogatepass").decode("utf-16")[:1000]
    for name in ("q", "entity_id", "notification_id", "outcome", "since", "marker", "from"):
        response = browser.get(LIST, query_string={name: sent})
        assert response.status_code in (200, 400)
        page = html.fromstring(response.text)
        assert_harmless(page)
    for given in ({"next": sent}, {"next": sent, "once": sent}):
        assert_harmless(html.fromstring(browser.get("/ui/login", query_string=given).text))


@pytest.mark.parametrize(
    ("target", "link"),
    [
        ("https://example.com/a?b=c", "https://example.com/a?b=c"),
        ("HTTP://EXAMPLE.COM", "HTTP://EXAMPLE.COM"),
        ("javascript:alert(1)", None),
        (" javascript:alert(1)", None),
        ("java\nscript:alert(1)", None),
        ("http:javascript", None),
        ("https:///x", None),
        ("https://[x", None),
        ("data:text/html,x", None),
        ("ops@example.com", None),
        ("https://e/" + "x" * 3000, None),
        (None, None),
    ],
)
def test_only_web_addresses_are_links(target: str | None, link: str | None) -> None:
    assert target_link(target) == link


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        ("/ui/none", 404, "older than 30 days"),
        ("/ui/entities/enOne/alarms/none", 404, "older than 30 days"),
        (f"{LIST}/%2F", 404, ""),
        ("/ui/entities/%01/alarms/x", 400, "entity_id"),
        (f"{LIST}.csv?limit=x", 400, "limit"),
    ],
)
def test_an_error_is_a_page_with_the_id_of_the_request(app: Flask, key: str, url: str, status: int, words: str) -> None:
    response = signed_in(app, key).get(url, headers={"Accept": "text/html,*/*;q=0.8"})
    assert response.status_code == status
    page = html.fromstring(response.text)
    assert_harmless(page)
    assert words in text_of(page)
    assert f"Request id: {response.headers['X-Response-Id']}" in text_of(page)
    assert response.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert response.headers["Cache-Control"] == "no-store"


def test_a_method_that_no_page_has_is_405(app: Flask, key: str) -> None:
    response = signed_in(app, key).post(LIST, data={"q": "x"})
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")
    assert response.content_type == "text/html; charset=utf-8"


def test_without_a_database_a_page_says_when_to_try_again(make_app: MakeApp, key: str) -> None:
    app = make_app()
    browser = signed_in(app, key)
    db = app.extensions["notifhist"].db
    db.close()
    original = db.connect
    db.connect = broken
    try:
        for url in (LIST, "/ui/"):
            page = page_at(browser, url, 503)
            assert "Try again in 5 seconds." in text_of(page)
        assert browser.post("/ui/login", data={"key": key}).status_code == 503
    finally:
        db.connect = original


def broken(**_: object) -> None:
    import peewee

    raise peewee.OperationalError("unable to open database file")
