import json
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from notifhist.auth import OBSERVER, RUNS_VIEW
from tests.conftest import NOW_MS, MakeApp, MakeKey, authorized
from tests.http.helpers import ALARM, CHECK, JSON, LOGS, RUNS, XML, assert_fault, id_at, item_at, post, read_xml, run_of

RATE = ("X-RateLimit-Limit", "X-RateLimit-Used", "X-RateLimit-Window", "X-RateLimit-Type")
ITEM = f"{CHECK}/{id_at(NOW_MS)}"


def rate(response: TestResponse) -> list[str | None]:
    return [response.headers.get(name) for name in RATE]


def used(response: TestResponse) -> int:
    return int(response.headers["X-RateLimit-Used"])


# X-Response-Id


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_every_answer_bears_an_id_and_says_what_it_varies_by(method: str, client: FlaskClient) -> None:
    ids = set()
    urls = (ALARM, CHECK, ITEM, RUNS, f"{RUNS}/1", "/none", "/healthz", "/metrics", "/readyz")
    for url in urls:
        response = client.open(url, method=method)
        ids.add(response.headers["X-Response-Id"])
        assert response.headers.getlist("Vary") == ["Accept"]
        assert "html" not in response.headers.get("Content-Type", "")
    assert len(ids - {""}) == len(urls)


@pytest.mark.parametrize("url", [f"{CHECK}/x", f"{CHECK}?limit=0", "/none", RUNS + "/99", RUNS + "?page=x", "/api/x"])
def test_an_error_tells_the_id_of_its_answer(url: str, client: FlaskClient) -> None:
    response = client.get(url)
    error = json.loads(response.data)
    assert error.get("request_id", error.get("requestId")) == response.headers["X-Response-Id"]
    in_xml = client.get(url, headers={"Accept": XML})
    root = read_xml(in_xml, response.status_code)
    told = root.findtext("request_id") or root.findtext("requestId")
    assert told == in_xml.headers["X-Response-Id"]


def test_an_id_that_a_client_sends_is_not_taken(client: FlaskClient) -> None:
    response = client.get(CHECK, headers={"X-Response-Id": "mine", "X-Request-Id": "mine"})
    assert response.headers["X-Response-Id"] != "mine"


# X-RateLimit-*


def test_every_answer_of_the_history_tells_the_limit(client: FlaskClient) -> None:
    post(client, CHECK, item_at(NOW_MS))
    for url in (ALARM, CHECK, ITEM, f"{CHECK}/x", f"{CHECK}?limit=0"):
        response = client.get(url)
        assert rate(response)[0] == "50000"
        assert rate(response)[2:] == ["24 hours", "global"]
    assert used(response) == 6


def test_runs_are_limited_by_key_without_these_headers(client: FlaskClient) -> None:
    assert rate(client.get(RUNS)) == [None] * 4
    assert rate(client.get(f"{RUNS}/99")) == [None] * 4


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        (lambda client: client.get(CHECK), 200),
        (lambda client: client.head(CHECK), 200),
        (lambda client: client.get(f"{CHECK}/x"), 404),
        (lambda client: client.get(f"{CHECK}?limit=0"), 400),
        (lambda client: client.get(CHECK, headers={"Accept": "text/html"}), 406),
        (lambda client: client.patch(CHECK), 405),
        (lambda client: client.options(CHECK), 405),
        (lambda client: client.post(CHECK, data="{", content_type=JSON), 400),
        (lambda client: client.post(CHECK, data="{}", content_type="text/plain"), 415),
        (lambda client: client.post(CHECK, data=b"{}" + b" " * 2**21, content_type=JSON), 413),
        (lambda client: client.get(f"{ALARM}/{'x' * 256}"), 400),
    ],
)
def test_every_request_of_a_valid_key_is_charged(
    ask: Callable[[FlaskClient], TestResponse], status: int, client: FlaskClient
) -> None:
    before = used(client.get(ALARM))
    response = ask(client)
    assert response.status_code == status
    assert used(response) == before + 1
    assert used(client.get(ALARM)) == before + 2


def test_who_is_refused_is_not_charged_and_sees_no_limit(app: Flask, client: FlaskClient, make_key: MakeKey) -> None:
    before = used(client.get(ALARM))
    nobody = app.test_client()
    runs_only = authorized(app, make_key(RUNS_VIEW))
    reader = authorized(app, make_key(OBSERVER))
    stranger = authorized(app, make_key(tenant="654321"))
    expired = authorized(app, make_key(expires=NOW_MS))
    revoked = authorized(app, make_key(revoked=1))
    refusals = [
        (nobody.get(CHECK), 401, "unauthorizedError"),
        (nobody.get(CHECK, headers={"X-Auth-Token": "x"}), 401, "unauthorizedError"),
        (expired.get(CHECK), 401, "unauthorizedError"),
        (revoked.get(CHECK), 401, "unauthorizedError"),
        (runs_only.get(CHECK), 403, "forbiddenError"),
        (reader.post(CHECK, json={}), 403, "forbiddenError"),
        (stranger.get(CHECK), 403, "forbiddenError"),
    ]
    for response, status, fault_type in refusals:
        assert_fault(response, status, fault_type)
        assert rate(response) == [None] * 4
    assert used(client.get(ALARM)) == before + 1
    assert used(stranger.get(ALARM.replace("123456", "654321"))) == 1


def test_an_account_is_charged_whichever_key_it_uses(app: Flask, client: FlaskClient, make_key: MakeKey) -> None:
    other = authorized(app, make_key(OBSERVER))
    assert [used(each.get(ALARM)) for each in (client, other, client)] == [1, 2, 3]


def test_beyond_the_limit_of_the_history_there_is_a_fault(make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(HISTORY_RATE_LIMIT="2/minute"), key)
    assert [client.get(url).status_code for url in (ALARM, f"{CHECK}/x")] == [200, 404]
    refused = client.get(ALARM)
    assert_fault(refused, 429, "rateLimitReached")
    assert rate(refused) == ["2", "2", "1 minute", "global"]
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    root = read_xml(client.get(ALARM, headers={"Accept": XML}), 429)
    assert (root.tag, root.findtext("type")) == ("fault", "rateLimitReached")
    assert client.get(RUNS).status_code == 200


def test_beyond_the_limit_nothing_is_recorded(make_app: MakeApp, key: str, client: FlaskClient) -> None:
    limited = authorized(make_app(HISTORY_RATE_LIMIT="1/minute", RUNS_RATE_LIMIT="1/minute"), key)
    assert (limited.get(ALARM).status_code, limited.get(RUNS).status_code) == (200, 200)
    assert limited.post(CHECK, json=item_at(NOW_MS)).status_code == 429
    assert limited.post(RUNS, json=run_of()).status_code == 429
    assert client.get(ITEM).status_code == 404
    assert json.loads(client.get(RUNS).data)["total"] == 0


@pytest.mark.parametrize("accept", [JSON, XML, "*/*", "text/html"])
def test_beyond_the_limit_of_the_runs_there_is_a_problem(accept: str, make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(RUNS_RATE_LIMIT="1/30 second"), key)
    client.get(RUNS)
    refused = client.get(f"{RUNS}?page=x", headers={"Accept": accept})
    assert (refused.status_code, refused.content_type) == (429, "application/problem+json")
    problem = json.loads(refused.data)
    assert list(problem) == ["detail", "instance", "retryAfter", "status", "title", "type"]
    assert (problem["status"], problem["title"]) == (429, "Too Many Requests")
    assert problem["retryAfter"] == int(refused.headers["Retry-After"])
    assert 1 <= problem["retryAfter"] <= 30
    assert refused.headers["Vary"] == "Accept"
    assert client.get(ALARM).status_code == 200


def test_a_key_s_limit_of_runs_is_its_own(make_app: MakeApp, key: str, make_key: MakeKey) -> None:
    app = make_app(RUNS_RATE_LIMIT="1/minute")
    other = authorized(app, make_key(RUNS_VIEW))
    client = authorized(app, key)
    assert [each.get(RUNS).status_code for each in (client, client, other, other)] == [200, 429, 200, 429]


def test_who_may_not_ask_is_told_so_even_beyond_the_limit(make_app: MakeApp, key: str) -> None:
    app = make_app(HISTORY_RATE_LIMIT="1/minute")
    client = authorized(app, key)
    assert [client.get(ALARM).status_code for _ in range(2)] == [200, 429]
    assert app.test_client().get(ALARM).status_code == 401
    assert client.get(ALARM.replace("123456", "654321")).status_code == 403


def test_with_the_limits_switched_off_there_is_no_header(make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(HISTORY_RATE_LIMIT="", RUNS_RATE_LIMIT=""), key)
    for url in (ALARM, CHECK, RUNS, f"{CHECK}/x"):
        assert rate(client.get(url)) == [None] * 4


def test_the_window_is_that_of_the_clock(make_app: MakeApp, key: str) -> None:
    def at(now_ms: int) -> TestResponse:
        return authorized(make_app(HISTORY_RATE_LIMIT="1/minute", NOW=now_ms), key).get(ALARM)

    assert at(NOW_MS).status_code == 200
    assert at(NOW_MS + 59_001).headers["Retry-After"] == "1"
    assert at(NOW_MS + 60_000).status_code == 200


# Cache-Control


@pytest.mark.parametrize("url", [ALARM, CHECK, f"{CHECK}/x", RUNS, f"{RUNS}/99", "/none"])
def test_what_a_key_opened_is_kept_by_no_shared_cache(url: str, client: FlaskClient) -> None:
    control = client.get(url).headers["Cache-Control"]
    assert {"private", "no-cache"} <= {part.strip() for part in control.split(",")}


def test_an_unchanged_item_says_so_too(client: FlaskClient) -> None:
    post(client, CHECK, item_at(NOW_MS))
    unchanged = client.get(ITEM, headers={"If-None-Match": "*"})
    assert (unchanged.status_code, unchanged.headers["Cache-Control"]) == (304, "private, no-cache")


@pytest.mark.parametrize(
    ("url", "allow"),
    [
        (ALARM, "GET, HEAD"),
        (CHECK, "GET, HEAD, POST"),
        (ITEM, "DELETE, GET, HEAD, PUT"),
        (f"{ITEM}/notification_results/n/attempts", "POST"),
        (RUNS, "GET, HEAD, POST, PUT"),  # it is the URL of a log as well, whose id is no number
        (f"{RUNS}/1", "GET, HEAD, PUT"),
        (LOGS, "GET, HEAD, POST"),
        (f"{LOGS}/1", "GET, HEAD, PUT"),
    ],
)
def test_another_method_is_told_which_there_are(url: str, allow: str, client: FlaskClient) -> None:
    for method in ("OPTIONS", "PATCH", "TRACE", "BREW"):
        response = client.open(url, method=method)
        assert (response.status_code, response.headers["Allow"]) == (405, allow)
        if not url.startswith(LOGS):
            assert_fault(response, 405, "methodNotAllowed")
