"""Pages of other origins: nothing for them by default, and what NOTIFHIST_CORS_ORIGINS lets them read."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers

from tests.conftest import NOW_MS, MakeApp, authorized
from tests.http.helpers import ALARM, CHECK, RUNS, XML, assert_fault, id_at, item_at, post, run_of

ORIGIN = "https://dash.example.com"
ORIGINS = f"{ORIGIN}, http://localhost:3000"
ITEM = f"{CHECK}/{id_at(NOW_MS)}"
ASKS = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-auth-token"}
EXPOSED = {
    *("ETag", "Location", "Retry-After", "X-Notifhist-As-Of", "X-Response-Id"),
    *("X-RateLimit-Limit", "X-RateLimit-Used", "X-RateLimit-Window", "X-RateLimit-Type"),
}
METHODS = {
    ALARM: "GET, HEAD",
    CHECK: "GET, HEAD, POST",
    ITEM: "DELETE, GET, HEAD, PUT",
    f"{ITEM}/notification_results/n/attempts": "POST",
    RUNS: "GET, HEAD, POST, PUT",  # it is the URL of a log as well, whose id is no number
    f"{RUNS}/1": "GET, HEAD, PUT",
    "/openapi.json": "GET, HEAD",
}


@pytest.fixture
def open_app(make_app: MakeApp) -> Flask:
    return make_app(CORS_ORIGINS=ORIGINS)


def cors(headers: Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("Access-Control")}


def values(text: str) -> set[str]:
    return {each.strip() for each in text.split(",")}


@pytest.mark.parametrize("url", METHODS)
def test_a_preflight_is_answered_without_a_key(url: str, open_app: Flask) -> None:
    for origin in (ORIGIN, "http://localhost:3000"):
        response = open_app.test_client().options(url, headers=ASKS | {"Origin": origin})
        assert (response.status_code, response.data, response.headers.get("Content-Type")) == (204, b"", None)
        answered = cors(response.headers)
        assert answered["Access-Control-Allow-Origin"] == origin
        assert answered["Access-Control-Allow-Methods"] == METHODS[url]
        allowed = values(answered["Access-Control-Allow-Headers"])
        assert allowed >= {"Authorization", "X-Auth-Token", "Content-Type", "If-Match", "If-None-Match"}
        assert int(answered["Access-Control-Max-Age"]) > 0
        assert "Access-Control-Allow-Credentials" not in answered
        assert "Origin" in values(",".join(response.headers.getlist("Vary")))
        assert response.headers["X-Response-Id"]
        assert "X-RateLimit-Used" not in response.headers


def test_a_preflight_is_not_charged(make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(CORS_ORIGINS=ORIGINS, HISTORY_RATE_LIMIT="1/day"), key)
    assert [client.options(CHECK, headers=ASKS).status_code for _ in range(3)] == [204] * 3
    assert client.get(CHECK).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": ORIGIN},
        {"Access-Control-Request-Method": "GET"},
        ASKS | {"Origin": "https://evil.example.com"},
        ASKS | {"Origin": "http://dash.example.com"},
        ASKS | {"Origin": f"{ORIGIN}:8443"},
        ASKS | {"Origin": f"{ORIGIN}.evil.com"},
        ASKS | {"Origin": "null"},
        ASKS | {"Origin": ""},
    ],
)
def test_other_options_are_answered_as_before(
    headers: dict[str, str], open_app: Flask, app: Flask, key: str, client: FlaskClient
) -> None:
    for each in (open_app, app):
        assert_fault(each.test_client().options(CHECK, headers=headers), 401, "unauthorizedError")
        assert_fault(authorized(each, key).options(CHECK, headers=headers), 405, "methodNotAllowed")
        assert each.test_client().options("/none", headers=ASKS).status_code == 404
    if headers.get("Origin") != ORIGIN:
        assert cors(authorized(open_app, key).options(CHECK, headers=headers).headers) == {}


def test_without_the_setting_nothing_tells_of_origins(app: Flask, client: FlaskClient) -> None:
    assert_fault(app.test_client().options(CHECK, headers=ASKS), 401, "unauthorizedError")
    assert_fault(client.options(CHECK, headers=ASKS), 405, "methodNotAllowed")
    answers = [client.get(url, headers={"Origin": ORIGIN}) for url in (CHECK, RUNS, "/healthz", "/none")]
    for response in answers:
        assert cors(response.headers) == {}
        assert response.headers.getlist("Vary") == ["Accept"]


def test_every_answer_to_a_listed_origin_may_be_read(open_app: Flask, key: str) -> None:
    client, anyone = authorized(open_app, key), open_app.test_client()
    post(client, CHECK, item_at(NOW_MS))
    post(client, RUNS, run_of(id=1))
    from_page = {"Origin": ORIGIN}
    answers = [
        *(client.get(url, headers=from_page | {"Accept": XML}) for url in (ALARM, CHECK, ITEM, RUNS, f"{RUNS}/1")),
        *(client.get(url, headers=from_page) for url in (f"{CHECK}?limit=0", f"{CHECK}/x", "/none", "/openapi.json")),
        client.get(ITEM, headers=from_page | {"If-None-Match": "*"}),
        client.post(CHECK, data="{", headers=from_page, content_type="application/json"),
        *(anyone.get(url, headers=from_page) for url in (CHECK, RUNS)),
        client.delete(ITEM, headers=from_page),
    ]
    assert {response.status_code for response in answers} >= {200, 204, 304, 400, 401, 403, 404}
    for response in answers:
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert values(response.headers["Access-Control-Expose-Headers"]) == EXPOSED
        assert "Access-Control-Allow-Credentials" not in response.headers


def test_answers_tell_caches_that_the_origin_counts(open_app: Flask, key: str) -> None:
    for headers in ({}, {"Origin": ORIGIN}, {"Origin": "https://evil.example.com"}):
        response = authorized(open_app, key).get(CHECK, headers=headers)
        assert values(",".join(response.headers.getlist("Vary"))) == {"Accept", "Origin"}
        assert bool(cors(response.headers)) == (headers.get("Origin") == ORIGIN)
