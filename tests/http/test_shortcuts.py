"""The ways past Flask and Werkzeug: without each of them every answer is the same."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from notifhist.web import shortcuts
from tests.conftest import NOW_MS, MakeApp, authorized
from tests.http.helpers import ALARM, CHECK, RUNS, XML, id_at, item_at, post

SHORTCUTS = ("UNWRAP_PROXIES", "MATCH_BY_PATTERN", "SEND_AS_MADE", "BUILD_LATE")
ITEM = f"{CHECK}/{id_at(NOW_MS)}"
CALLS = [
    ("GET", ALARM),
    ("HEAD", CHECK),
    ("GET", ITEM),
    ("GET", f"{ITEM}/"),
    ("GET", f"/{ITEM}"),
    ("PATCH", ITEM),
    ("GET", ITEM.removeprefix("/v1.0/123456")),
    ("GET", RUNS),
    ("PUT", RUNS),
    ("DELETE", "/healthz"),
    ("DELETE", ITEM),
]


@pytest.fixture
def database_url(sqlite_database: str) -> str:
    """One database is enough: none of these concerns it."""
    return sqlite_database


def answers(client: FlaskClient) -> Iterator[tuple[object, ...]]:
    """Yield status, headers and body of each call, but for what differs from one request to the next."""
    post(client, CHECK, item_at(NOW_MS))
    for method, url in CALLS:
        response = client.open(url, method=method, headers={"Accept": XML, "Host": "a_b:8000"})
        changing = response.headers.get("X-Response-Id", "")
        headers = [pair for pair in response.headers if pair[0] not in ("X-Response-Id", "X-RateLimit-Used")]
        yield response.status_code, headers, response.text.replace(changing, "")


@pytest.mark.parametrize("name", SHORTCUTS)
def test_without_a_shortcut_every_answer_is_the_same(
    name: str, app: Flask, key: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = list(answers(authorized(app, key)))
    assert len({status for status, *_ in usual}) > 3
    monkeypatch.setattr(shortcuts, name, False)
    assert list(answers(authorized(make_app(), key))) == usual
