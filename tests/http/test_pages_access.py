"""Who may look at which page: every rule below /ui/ with sessions of every role, and without one."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import NOW_MS, MakeApp, MakeKey, authorized
from tests.http.access_table import INCLUDED, OBSERVER, VIEW, is_page
from tests.http.helpers import ALARM, LOGS, RUNS, id_at, item_at, log_of, post, run_of
from tests.http.pages import signed_in

_ALARM = "/ui/entities/<entity_id>/alarms/<alarm_id>"
NEEDED = {
    "/ui/": None,
    "/ui/deliveries": OBSERVER,
    "/ui/deliveries.csv": OBSERVER,
    "/ui/deliveries.ndjson": OBSERVER,
    "/ui/alarms": OBSERVER,
    _ALARM: OBSERVER,
    f"{_ALARM}/<check_id>/<uuid>": OBSERVER,
    "/ui/runs": VIEW,
    "/ui/runs/<run_id>": VIEW,
}
"""The role that each page needs; None: any key will do."""
OPEN = {"/ui", "/ui/login", "/ui/logout", "/ui/theme", "/ui/static/<hash>/<name>"}
"""What is there without a session."""
IDS = {"entity_id": "enOne", "alarm_id": "alOne", "check_id": "chOne", "uuid": id_at(NOW_MS - 1000), "run_id": "1"}


def url_of(rule: str) -> str:
    for name, value in IDS.items():
        rule = rule.replace(f"<{name}>", value)
    return rule


@pytest.fixture
def stocked(app: Flask, client: FlaskClient) -> Flask:
    """An app with one item, one run and one log."""
    post(client, f"{ALARM}/chOne", item_at(NOW_MS - 1000, notification_results=[{"message": "a secret"}]))
    post(client, RUNS, run_of(id=1, summary="a secret"))
    post(client, LOGS, log_of())
    return app


def test_the_table_knows_every_page(app: Flask) -> None:
    rules = {rule.rule for rule in app.url_map.iter_rules() if is_page(rule.rule)}
    assert rules == NEEDED.keys() | OPEN


@pytest.mark.parametrize("role", INCLUDED)
def test_a_page_is_for_who_has_its_role(stocked: Flask, make_key: MakeKey, role: str) -> None:
    browser = signed_in(stocked, make_key(role))
    for rule, needed in NEEDED.items():
        response = browser.get(url_of(rule))
        assert response.status_code == (200 if needed is None or needed in INCLUDED[role] else 403), rule
        if response.status_code == 403:
            assert str(needed) in response.text
            assert "a secret" not in response.text


def test_nothing_is_shown_without_a_session(stocked: Flask, key: str) -> None:
    for client in (stocked.test_client(), authorized(stocked, key)):
        for rule in NEEDED:
            response = client.get(url_of(rule))
            assert response.status_code == 303
            assert response.headers["Location"].startswith("/ui/login")
            assert "a secret" not in response.text
        assert client.get("/ui/none").status_code == 404


def test_nothing_is_shown_to_another_tenant(stocked: Flask, key: str, make_key: MakeKey) -> None:
    other, own = signed_in(stocked, make_key(tenant="other")), signed_in(stocked, key)
    shown = 0
    for rule in NEEDED:
        url = url_of(rule)
        hidden = other.get(url)
        assert hidden.status_code == (404 if "<" in rule else 200)
        assert "a secret" not in hidden.text
        shown += "a secret" in own.get(url).text
    assert shown > 4


def test_a_revoked_key_shows_nothing(make_app: MakeApp, make_key: MakeKey) -> None:
    browser = signed_in(make_app(), make_key(revoked=1))
    assert {browser.get(url_of(rule)).status_code for rule in NEEDED} == {303}
