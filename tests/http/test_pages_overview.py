"""The overview, and that every link of every page leads somewhere."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from notifhist.web.pages import overview
from tests.conftest import NOW_MS, MakeApp, MakeKey
from tests.http.delivery_data import DAY, DELIVERIES, HOUR, check_of, ids, seed
from tests.http.helpers import RUNS, get_json, item_at, log_of, post, run_of
from tests.http.pages import LIST, ids_on, link_of, page_at, signed_in, text_of

OVERVIEW = "/ui/"


@pytest.fixture
def browser(app: Flask, key: str, client: FlaskClient) -> FlaskClient:
    """A browser that has signed in to a service with deliveries and runs."""
    seed(client)
    post(client, RUNS, run_of(status="FAILED"))
    post(client, RUNS.removesuffix("/run"), log_of())
    return signed_in(app, key)


def test_the_tiles_count_what_the_lists_behind_them_show(browser: FlaskClient, client: FlaskClient) -> None:
    page = page_at(browser, OVERVIEW)
    tiles = {each.xpath("string(.//b)"): each.get("href") for each in page.xpath("//a[contains(@class, 'tile')]")}
    shown = [each.get("href") for each in page.xpath("//a[contains(@class, 'tile')]")]
    assert shown == [f"{LIST}?outcome={each}" for each in ("failed", "not_sent", "in_progress", "sent", "unknown")]
    for count, url in tiles.items():
        assert page_at(browser, url).get_element_by_id("total").text == count
        assert int(count) > 0
    counted = get_json(client, f"{DELIVERIES}?from={NOW_MS - DAY}&outcome=failed")["metadata"]["total"]
    assert page.findtext(".//title") == f"{counted} failed · Overview · notifhist"


@pytest.mark.parametrize("together", [True, False])
def test_the_tile_of_what_was_not_sent_says_why(
    together: bool, app: Flask, key: str, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, nameless = {"notification_id": "nt", "success": True}, {"message": '"position":'}
    held_back: dict[str, Any] = {"suppressions": ["spNight"]}
    items = [
        item_at(NOW_MS - n * HOUR, n, status='{"position":0', **members)
        for n, members in enumerate(
            [
                {**held_back, "notification_results": [named, nameless]},
                {**held_back, "notification_results": [nameless] * 3},
                held_back,
                *[{}] * 2,
                {"notification_results": [nameless]},
                *[{}] * 20,  # the last ones are of the day before
            ]
        )
    ]
    if together:
        post(client, check_of(), {"values": items})
    else:
        for item in items:
            post(client, check_of(), item)

    def tile() -> str:
        (found,) = page_at(signed_in(app, key), OVERVIEW).xpath("//a[contains(@class, 'o-not_sent')]")
        return text_of(found)

    assert tile() == "27 not sent 6 held back 21 nobody to tell"
    monkeypatch.setattr(overview, "MOST_UNSENT", 26)
    assert tile() == "27 not sent"


def test_a_tile_names_only_reasons_that_there_are(app: Flask, key: str, client: FlaskClient) -> None:
    post(client, check_of(), item_at(NOW_MS, suppressions=["spNight"]))
    (tile,) = page_at(signed_in(app, key), OVERVIEW).xpath("//a[contains(@class, 'o-not_sent')]")
    assert text_of(tile) == "1 not sent 1 held back"


def test_the_bars_lead_to_what_they_count(browser: FlaskClient) -> None:
    page = page_at(browser, OVERVIEW)
    bars = page.xpath("//figure//svg//a")
    assert 0 < len(bars) <= 60
    totals = [int(page_at(browser, bar.get("href")).xpath("string(//*[@id='total'])")) for bar in bars[::7]]
    rows = page.xpath("//figure//details//tbody/tr")
    counts = {row.xpath(".//a/@href")[0]: int(row.xpath("string(td[last()])")) for row in rows}
    assert totals == [counts.get(bar.get("href"), 0) for bar in bars[::7]]
    assert sum(totals) > 0


def test_the_newest_failures_are_those_of_the_api(browser: FlaskClient, client: FlaskClient) -> None:
    newest = get_json(client, f"{DELIVERIES}?from={NOW_MS - DAY}&outcome=failed&reverse=true&limit=10")["values"]
    assert ids_on(page_at(browser, OVERVIEW)) == ids(newest)


def test_a_failing_receiver_is_shown_with_its_error_and_since_when(app: Flask, key: str, client: FlaskClient) -> None:
    hook, mail, text = (
        {"notification_id": name, "notification_type": kind}
        for name, kind in (("ntHook", "webhook"), ("ntMail", "email"), ("ntText", "sms"))
    )
    recorded = [
        *((50, hook, True, "ok"), (30, hook, False, "first"), (1, hook, False, "last <b>error</b>")),
        *((5, mail, False, "Bounced"), (3, mail, True, "Accepted"), (2, text, False, "No credit")),
    ]
    for n, (hours, receiver, success, message) in enumerate(recorded):
        result = {**receiver, "success": success, "message": message}
        post(client, check_of(), item_at(NOW_MS - hours * HOUR, n, notification_results=[result]))
    page = page_at(signed_in(app, key), OVERVIEW)
    (rows,) = page.xpath("//section[@aria-labelledby='receivers']//tbody")
    assert [[text_of(cell) for cell in row] for row in rows] == [
        [
            *("webhook · ntHook", "1", "last <b>error</b>", "2011-11-10 00:00:00 60 min ago"),
            "2011-11-08 19:00:00 30 h ago",
        ],
        [
            *("sms · ntText", "1", "No credit", "2011-11-09 23:00:00 2 h ago"),
            "2011-11-09 23:00:00 2 h ago no success before it",
        ],
        ["email · ntMail", "1", "Bounced", "2011-11-09 20:00:00 5 h ago", "works again sent 3 h ago"],
    ]
    assert ids_on(page_at(signed_in(app, key), link_of(page, "webhook · ntHook") or "")) != []


def test_alarms_whose_newest_state_is_good_are_left_out(app: Flask, key: str, client: FlaskClient) -> None:
    states = ("OK", "up", "Resolved", "SUCCESS", "info", "UNKNOWN", "CRITICAL", "<b>odd</b>")
    for n, state in enumerate(states):
        post(client, check_of(alarm=f"al{n}"), item_at(NOW_MS - 10 * DAY + n, n, state=state))
    page = page_at(signed_in(app, key), OVERVIEW)
    (section,) = page.xpath("//section[@aria-labelledby='alarms']")
    assert [text_of(row[1]) for row in section.xpath(".//tbody/tr")] == ["al7 on enOne", "al6 on enOne", "al5 on enOne"]
    assert "2 not well, 1 unknown" in text_of(section)


def test_a_key_sees_what_its_roles_say(browser: FlaskClient, app: Flask, make_key: MakeKey) -> None:
    def parts(*roles: str, tenant: str = "123456") -> tuple[list[str], list[str]]:
        page = page_at(signed_in(app, make_key(*roles, tenant=tenant)), OVERVIEW)
        links = page.xpath("//nav[@aria-label='Pages']//a")
        return [each.text for each in links], page.xpath("//section/@aria-labelledby")

    of_deliveries = ["receivers", "volume", "failures", "alarms"]
    assert parts("monitoring:observer") == (["Overview", "Deliveries", "Alarms"], of_deliveries)
    assert parts("notification-logs:view") == (["Overview", "Runs"], ["runs"])
    assert parts("monitoring:admin", "notification-logs:edit")[1] == [*of_deliveries, "runs"]
    other = page_at(signed_in(app, make_key(tenant="other")), OVERVIEW)
    assert other.findtext(".//title") == "0 failed · Overview · notifhist"
    assert not ids_on(other)
    assert "No run has been recorded." in text_of(other)


def test_without_anything_recorded_it_says_so(app: Flask, key: str) -> None:
    assert "No delivery has failed." in text_of(page_at(signed_in(app, key), OVERVIEW))


def test_every_link_leads_somewhere(browser: FlaskClient) -> None:
    """Follow the links of every kind of page, one of each kind and a few more."""
    seen: dict[str, int] = {}
    kinds: dict[str, int] = {}
    waiting = [OVERVIEW, "/ui/login"]
    while waiting and len(seen) < 120:
        url = waiting.pop(0)
        if url in seen:
            continue
        response = browser.get(url)
        seen[url] = response.status_code
        assert response.status_code == 200, url
        if not response.content_type.startswith("text/html"):
            continue
        page = page_at(browser, url)
        for link in page.xpath("//a/@href | //link/@href | //script/@src"):
            parts = urlsplit(str(link).removeprefix("http://localhost"))
            if parts.scheme or parts.netloc or not parts.path:
                continue
            names = "/".join(part if len(part) < 12 else "…" for part in parts.path.split("/"))
            kind = f"{names}?{'&'.join(sorted(each.partition('=')[0] for each in parts.query.split('&')))}"
            kinds[kind] = kinds.get(kind, 0) + 1
            if kinds[kind] <= 2:
                waiting.append(f"{parts.path}?{parts.query}" if parts.query else parts.path)
    assert len(seen) > 40


def test_links_keep_the_path_of_the_public_url(make_app: MakeApp, key: str, client: FlaskClient) -> None:
    seed(client)
    browser = signed_in(make_app(PUBLIC_URL="https://example.com/history"), key)
    page = page_at(browser, OVERVIEW)
    for link in page.xpath("//a/@href | //form/@action | //link[@rel='stylesheet']/@href | //script/@src"):
        assert link.startswith(("/history/ui/", "#")), link
    assert (link_of(page_at(browser, LIST), "Copy link") or "").startswith("https://example.com/history/ui/")
