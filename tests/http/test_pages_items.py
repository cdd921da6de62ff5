"""The page of an item: what was said at each attempt, what is near it, and that recorded text is only text."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from notifhist.web.pages import items
from tests.conftest import NOW_MS, MakeApp, MakeKey
from tests.http.delivery_data import HOUR, check_of
from tests.http.helpers import get_json, item_at, post
from tests.http.pages import link_of, page_at, signed_in, text_of

CHECK = check_of("enWeb", "alHttp", "chGet")
PAGE = "/ui/entities/enWeb/alarms/alHttp/chGet"
FAILED = {
    "notification_id": "ntHook",
    "notification_type": "webhook",
    "notification_details": {"url": "https://hooks.example.com/x", "method": "POST", "retries": 3},
    "success": False,
    "message": "Notification failed after 2 attempts",
    "attempts": [{"message": "Refused", "from": "ord"}, {"message": "Timed out", "from": "iad", "at": NOW_MS}],
}
SENT = {"notification_id": "ntMail", "notification_type": "email", "success": True, "message": "Accepted"}


@pytest.fixture
def browser(app: Flask, key: str) -> FlaskClient:
    """A browser that has signed in."""
    return signed_in(app, key)


def shown(client: FlaskClient, browser: FlaskClient, **members: Any) -> Any:
    """Record an item and return its page."""
    item = item_at(NOW_MS - HOUR, **members)
    post(client, CHECK, item)
    return page_at(browser, f"{PAGE}/{item['id']}")


def test_the_banner_has_the_last_error_and_attempts_are_numbered(client: FlaskClient, browser: FlaskClient) -> None:
    page = shown(client, browser, state="CRITICAL", previous_state="OK", notification_results=[SENT, FAILED])
    banner = text_of(page.xpath("//section[contains(@class, 'banner')]")[0])
    assert banner.startswith("1 of 2 notifications failed Timed out said at attempt 2, about webhook")
    results = [text_of(each) for each in page.xpath("//section[contains(@class, 'result')]")]
    assert results[0].startswith("failed webhook · ntHook 2 attempts")  # what failed comes first
    assert results[1].startswith("sent email · ntMail 0 attempts")
    attempts = [text_of(each) for each in page.xpath("//ol[@class='attempts']/li")]
    assert attempts == ["Refused from ord", "Timed out from iad at 2011-11-10 01:00:00 UTC"]
    assert "retries 3" in text_of(page)
    assert page.findtext(".//title") == "failed · alHttp on enWeb · 2011-11-10 00:00:00 · notifhist"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"notification_results": [SENT], "suppressions": ["spNight"]}, "Not sent: held back on purpose"),
        ({}, "Nothing was sent: no receiver is recorded"),
        ({"notification_results": [{**SENT, "in_progress": True}]}, "Still being sent"),
        ({"notification_results": [{"notification_id": "nt"}]}, "Tried; nobody told whether it arrived"),
        ({"notification_results": [SENT]}, "Sent: no integration reported an error"),
    ],
)
def test_the_banner_says_what_happened(
    client: FlaskClient, browser: FlaskClient, members: dict[str, Any], said: str
) -> None:
    page = shown(client, browser, **members)
    assert said in text_of(page)
    assert ("spNight" in text_of(page)) == ("suppressions" in members)


def test_neighbours_and_the_transaction_are_linked(client: FlaskClient, browser: FlaskClient) -> None:
    before, after = item_at(NOW_MS - 2 * HOUR), item_at(NOW_MS - HOUR // 2)
    other = item_at(NOW_MS - HOUR, 1, transaction_id="tx1", notification_results=[FAILED])
    for url, item in ((CHECK, before), (CHECK, after), (check_of("enDb", "alDisk", "chDf"), other)):
        post(client, url, item)
    page = shown(client, browser, transaction_id="tx1", notification_results=[SENT])
    assert link_of(page, "Before:") == f"{PAGE}/{before['id']}"
    assert link_of(page, "After:") == f"{PAGE}/{after['id']}"
    assert link_of(page, "alDisk on enDb") == f"/ui/entities/enDb/alarms/alDisk/chDf/{other['id']}"
    assert "This is the only one" not in text_of(page)


def test_items_of_the_same_time_are_before_and_after_each_other(client: FlaskClient, browser: FlaskClient) -> None:
    items = [item_at(NOW_MS - HOUR, n, notification_results=[SENT] * 3 + [FAILED] * (n == 1)) for n in range(3)]
    post(client, CHECK, {"values": items})
    url, seen = f"{PAGE}/{items[0]['id']}", []
    while url:
        seen.append(url)
        page = page_at(browser, url)
        assert link_of(page, "Before:") == (seen[-2] if len(seen) > 1 else None)
        url = link_of(page, "After:") or ""
    assert seen == [f"{PAGE}/{each['id']}" for each in items]
    assert "This is the only one" not in text_of(page)
    assert text_of(page.xpath("//a[@rel='prev']")[0]).endswith("failed")


def test_the_transaction_of_a_long_item_is_looked_through(client: FlaskClient, browser: FlaskClient) -> None:
    for n in range(2):
        other = item_at(NOW_MS - 2 * HOUR, n, transaction_id="tx1", notification_results=[FAILED])
        post(client, check_of("enDb", f"alDisk{n}", "chDf"), other)
    page = shown(client, browser, transaction_id="tx1", notification_results=[SENT] * 520)
    assert link_of(page, "alDisk0 on enDb")
    assert link_of(page, "alDisk1 on enDb")


def test_its_json_and_xml_are_what_the_api_answers(client: FlaskClient, browser: FlaskClient) -> None:
    page = shown(client, browser, notification_results=[FAILED], own={"a": [1]})
    url = page.xpath("string(//details//code)").split("'")[3].removeprefix("http://localhost")
    assert json.loads(page.xpath("string(//pre[@aria-label='JSON'])")) == get_json(client, url)
    xml = client.get(url, headers={"Accept": "application/xml"}).text
    assert page.xpath("string(//pre[@aria-label='XML'])") == xml
    assert 'own {"a": [1]}' in text_of(page)


def test_recorded_text_is_only_text(client: FlaskClient, browser: FlaskClient) -> None:
    bad = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    details = {"url": "javascript:alert(1)", bad: bad}
    results = [{**FAILED, "notification_details": details, "message": bad, "notification_type": bad}]
    results += [{**FAILED, "notification_details": {"url": "JAVASCRIPT://x/%0aalert(1)"}}]
    page = shown(client, browser, state=bad, status=bad, suppressions=[bad], notification_results=results)
    assert bad in text_of(page)
    assert page.xpath("//img") == []
    assert [each.get("src") for each in page.xpath("//script")] == page.xpath("/html/head/script/@src")
    assert not [each for each in page.xpath("//@href") if "script:" in each.lower()]
    assert page.xpath("//*[@onerror]") == []


def test_a_target_is_copied_and_no_click_calls_it(client: FlaskClient, browser: FlaskClient) -> None:
    page = shown(client, browser, notification_results=[FAILED])
    assert page.xpath("//button[@data-copy='https://hooks.example.com/x']")
    assert not page.xpath("//a[starts-with(@href, 'https://hooks.example.com')]")


def test_what_is_too_much_for_a_page_is_counted(
    client: FlaskClient, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "MOST_RESULTS", 2)
    monkeypatch.setattr(items, "MOST_ATTEMPTS", 1)
    page = shown(client, browser, notification_results=[FAILED, FAILED, SENT])
    assert "2 of 3 notifications failed" in text_of(page)
    assert "And 1 more results" in text_of(page)
    assert len(page.xpath("//ol[@class='attempts']/li")) == 2


def test_a_long_item_is_shown_in_part(client: FlaskClient, browser: FlaskClient) -> None:
    page = shown(client, browser, status="x" * 300_000, notification_results=[{**SENT, "message": "y" * 300_000}])
    assert len(page.xpath("string(//pre[@aria-label='JSON'])")) == items.MOST_CHARACTERS
    assert len(page.text_content()) < 100_000


def test_what_is_not_there_is_404(browser: FlaskClient) -> None:
    text = text_of(page_at(browser, f"{PAGE}/646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26", 404))
    assert "not recorded, or it is older than 30 days" in text
    page_at(browser, f"{PAGE}/none", 404)


def test_items_of_other_tenants_and_roles_are_not_shown(
    make_app: MakeApp, make_key: MakeKey, client: FlaskClient
) -> None:
    item = item_at(NOW_MS)
    post(client, CHECK, item)
    app = make_app()
    page_at(signed_in(app, make_key(tenant="654321")), f"{PAGE}/{item['id']}", 404)
    page_at(signed_in(app, make_key("notification-logs:view")), f"{PAGE}/{item['id']}", 403)
