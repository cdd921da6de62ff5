"""What a browser has to fetch before it shows the overview: the page, its stylesheet and its script."""

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from notifhist.clock import Clock
from notifhist.store.database import Database
from notifhist.transfer import demo
from tests.conftest import NOW_MS, MakeApp
from tests.http.delivery_data import HOUR, MINUTE, SUCCEEDED, check_of
from tests.http.helpers import RUNS, item_at, post, run_of
from tests.http.pages import page_at, signed_in

MOST_BYTES = 60_000
MOST_SCRIPT_BYTES = 8_000
OVERVIEW = "/ui/"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def fetched(browser: FlaskClient) -> dict[str, int]:
    """Return the bytes of the overview and of all that it needs, by the ends of their paths."""
    page = browser.get(OVERVIEW)
    assert "Content-Encoding" not in page.headers
    assets = {url: len(browser.get(url).data) for url in re.findall('"(/ui/static/[^"]+)"', page.text)}
    return {"page": len(page.data), **{url.rpartition("/")[2]: size for url, size in assets.items()}}


def assert_small(browser: FlaskClient) -> None:
    sizes = fetched(browser)
    assert sizes.keys() == {"page", "pages.css", "dark.css", "pages.js"}
    assert sizes["pages.js"] < MOST_SCRIPT_BYTES
    assert sum(sizes.values()) <= MOST_BYTES, sizes


def record_a_busy_day(client: FlaskClient) -> None:
    """Record a day in every hour of which some fails, some is held back, and of some nobody tells whether it arrived.

    Ids, targets and messages are as long as those of the published examples.
    """
    for n in range(25):
        results = [
            {
                **{"notification_id": f"ntWebhook{(n + m) % 12:02d}", "notification_type": "webhook"},
                "notification_details": {"url": f"https://hooks.example.com/services/T{(n + m) % 12}/B0123456789/x"},
                "message": f'Unexpected status code "50{m}". Expected one of: /2[0-9]{{2}}/',
                **SUCCEEDED[1 if n > 20 else m % 3],
            }
            for m in range(4)
        ]
        members = {"state": "CRITICAL", "previous_state": "OK", "status": "matched return statement on line 6"}
        url, at = check_of(f"enWeb{n:04d}", f"alHttpAvailability{n:02d}", "chGet"), NOW_MS - n * HOUR + MINUTE
        post(client, url, item_at(min(at, NOW_MS), n, notification_results=results, **members))
        post(client, url, item_at(min(at, NOW_MS) - MINUTE, 100 + n, notification_results=results, **members))
        post(client, check_of(), item_at(min(at, NOW_MS), n, status="Nobody to tell"))
    for n in range(6):
        post(client, RUNS, run_of(id=n + 1, status="COMPLETED_WITH_ERRORS", errorMessage="Channel was not found"))


def test_a_busy_day_needs_at_most_60_kb(app: Flask, key: str, client: FlaskClient) -> None:
    record_a_busy_day(client)
    browser = signed_in(app, key)
    page = page_at(browser, OVERVIEW)
    assert len(page.xpath("//figure//svg//a")) == 25
    assert [
        len(page.xpath(f"//section[@aria-labelledby='{each}']//tbody/tr")) for each in ("receivers", "failures")
    ] == [10, 10]
    assert_small(browser)


def test_the_demo_needs_at_most_60_kb(make_app: MakeApp, db: Database, tmp_path: Path) -> None:
    key = demo.set_up(db, Clock(NOW_MS), lambda *_, **__: None)
    browser = signed_in(make_app(RETENTION_DAYS=0), key)
    assert len(page_at(browser, OVERVIEW).xpath("//figure//svg//a")) > 5
    assert_small(browser)
