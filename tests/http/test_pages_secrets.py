"""No page, no redirection and no line of the log has a key, or a part of its secret, wherever it was typed in."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import NOW_MS
from tests.http.delivery_data import check_of
from tests.http.helpers import item_at, post
from tests.http.pages import signed_in

ALARM_PAGE = "/ui/entities/enOne/alarms/alOne"


def test_a_key_is_on_no_page_and_in_no_log(
    app: Flask, key: str, json_log: None, capfd: pytest.CaptureFixture[str]
) -> None:
    browser, secret = signed_in(app, key), key[16:]
    pages = ("deliveries", "alarms", "runs")
    urls = [f"/ui/{page}?q={key}&entity_id={key}&limit={key}&searchQuery={key}&fromDate={key}" for page in pages]
    urls += [f"/ui/deliveries?q={key}", f"/ui/{key}", f"/ui/entities/{key}/alarms/{key}", f"/ui/runs/{key}"]
    urls += [f"/ui/login?next=/ui/deliveries?q={key}", f"/ui/login?once={key}", f"/ui/static/{key}/{key}"]
    for url in urls:
        assert secret not in browser.get(url).text, url
    for form in ({"user": key, "next": key}, {"once": key}, {"key": f"{key}x", "next": f"/ui/{key}"}):
        assert secret not in app.test_client().post("/ui/login", data=form).text
    assert secret not in "".join(capfd.readouterr())


def test_no_part_of_a_key_is_on_a_page_or_in_a_redirection(app: Flask, key: str, client: FlaskClient) -> None:
    browser, part = signed_in(app, key), key[16:20]
    for characters in range(25, 65):
        assert part not in browser.get(f"/ui/deliveries?q={'x' * characters}{key}").text
    result = {"success": False, "notification_id": "nt", "message": f"{'m' * 260}{key}"}
    texts: dict[str, Any] = {
        "status": f"{'s' * 1970}{key}",
        "state": f"{'S' * 180}{key}",
        "own": f"{'o' * (20_000 - 2500)}{key}",
    }
    item = item_at(NOW_MS - 1000, notification_results=[result], **texts)
    post(client, check_of(), item)
    for url in ("/ui/", "/ui/deliveries", f"{ALARM_PAGE}/chOne/{item['id']}"):
        assert part not in browser.get(url).text
    for url in (f"/ui/deliveries?q={key}", f"/ui/{key}", f"/ui/deliveries?q={key}&since="):
        for asker in (browser, app.test_client()):
            assert part not in asker.get(url).headers.get("Location", "")
