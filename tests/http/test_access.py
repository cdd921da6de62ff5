"""Who may ask what: every URL rule of the app with every method, every role and every kind of key."""

import json
from itertools import product

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from notifhist.store.database import Database
from tests.conftest import NOW_MS, TENANT, MakeApp, MakeKey, authorized, every_row
from tests.http.access_table import (
    ADMIN,
    CREATOR,
    EDIT,
    INCLUDED,
    ITEM_ID,
    NEEDED,
    NOT_THERE,
    OBSERVER,
    OPEN,
    THERE,
    VIEW,
    Call,
    every_call,
    guarded_calls,
    rules_of_apis,
)
from tests.http.helpers import CHECK, LOGS, RUNS, log_of, run_of

ROLE_SETS = [(role,) for role in INCLUDED] + [(OBSERVER, EDIT), (CREATOR, VIEW), (VIEW, ADMIN), tuple(INCLUDED)]


@pytest.fixture
def stocked(app: Flask, make_key: MakeKey) -> Flask:
    """An app with one item, one run and one log."""
    stock(app, make_key())
    return app


def stock(app: Flask, key: str) -> None:
    client = authorized(app, key)
    results = [{"notification_id": "ntOne", "attempts": []}]
    client.put(f"{CHECK}/{ITEM_ID}", json={"state": "WARNING", "notification_results": results})
    client.put(f"{RUNS}/1", json=run_of())
    client.put(f"{LOGS}/1", json=log_of())


def shown(response: TestResponse) -> dict[str, str]:
    """Return what an error tells its reader, less the request's id."""
    error: dict[str, str] = json.loads(response.data or b"{}")
    return {name: value for name, value in error.items() if name not in ("request_id", "requestId")}


def outcome(response: TestResponse) -> int:
    """Return the status, 200 for any success."""
    return 200 if response.status_code < 300 else response.status_code


def expected(call: Call, roles: tuple[str, ...], own_tenant: bool) -> int:
    if call.under_tenant and not own_tenant:
        return 403
    if call.needed is None:
        return 405
    return 200 if any(call.needed in INCLUDED[role] for role in roles) else 403


def test_the_table_knows_every_call_of_the_app(app: Flask) -> None:
    calls = every_call(app)
    assert {call.rule for call in calls} >= OPEN
    for rule in rules_of_apis(app):
        for method in rule.methods or ():
            assert rule.rule in OPEN or Call(method, rule.rule).needed, f"{method} {rule.rule} is not in the table"
    known = {(call.method, call.rule.removeprefix("/v1.0/<tenant_id>")) for call in calls if call.needed}
    assert known - {(method, rule) for method, rule in known if method == "HEAD"} == set(NEEDED)


def test_the_table_says_what_the_views_declare(app: Flask) -> None:
    apis = app.extensions["notifhist"].apis
    declared = {
        (view.method, [*api.prefixes][-1] + view.path): view.role
        for api in apis
        if api.is_described
        for view in api.views
    }
    assert declared == NEEDED | {("GET", path): None for path in OPEN}


@pytest.mark.parametrize("roles", ROLE_SETS, ids="+".join)
def test_a_key_may_do_what_its_roles_say_and_nothing_else(
    stocked: Flask, db: Database, make_key: MakeKey, roles: tuple[str, ...]
) -> None:
    every = make_key()
    clients = {
        True: authorized(stocked, make_key(*roles)),
        False: authorized(stocked, make_key(*roles, tenant="other")),
    }
    before, refused = every_row(db), list[Call]()
    for call, own_tenant in product(guarded_calls(stocked), (True, False)):
        if not own_tenant and not call.under_tenant:
            continue
        writes_rightly = expected(call, roles, own_tenant) == 200 and call.method not in ("GET", "HEAD")
        if writes_rightly:
            assert every_row(db) == before, refused
        response = call.send(clients[own_tenant])
        assert (call, own_tenant, outcome(response)) == (call, own_tenant, expected(call, roles, own_tenant))
        if response.status_code == 403:
            assert_uncharged(response)
            absent = call.send(clients[own_tenant], ids=NOT_THERE)
            assert absent.status_code == 403
            assert shown(absent) == shown(response)
            assert shown(response).get("type", "") in ("forbiddenError", "FORBIDDEN", "")
        if writes_rightly:
            stock(stocked, every)
            before, refused = every_row(db), []
        elif response.status_code in (403, 405):
            refused.append(call)
    assert every_row(db) == before, refused


def assert_uncharged(response: TestResponse) -> None:
    assert not [name for name in response.headers.keys() if name.startswith("X-RateLimit")]  # noqa: SIM118


def bad_keys(make_key: MakeKey) -> dict[str, str | None]:
    """Return what is no valid key, by what is wrong with it."""
    good, other = make_key(), make_key()
    return {
        "none": None,
        "empty": "",
        "garbage": "garbage",
        "not ASCII": "kl\xfcssel",
        "unknown": good[:3] + "0" * 12 + good[15:],
        "id of one, secret of another": good[:15] + other[15:],
        "secret cut": good[:-1],
        "secret longer": good + "x",
        "expired just now": make_key(expires=NOW_MS),
        "revoked": make_key(revoked=NOW_MS - 1),
        "expired and revoked": make_key(expires=1, revoked=1),
        "twice": f"{good},{good}",
    }


@pytest.mark.parametrize("header", ["X-Auth-Token", "Authorization"])
def test_without_a_valid_key_nothing_is_answered_and_nothing_changes(
    stocked: Flask, db: Database, make_key: MakeKey, header: str
) -> None:
    keys = bad_keys(make_key)
    before = every_row(db)
    client = stocked.test_client()
    for (name, key), call in product(keys.items(), guarded_calls(stocked)):
        value = key if key is None or header == "X-Auth-Token" else f"Bearer {key}"
        headers = {} if value is None else {header: value}
        told = []
        for ids in (THERE, NOT_THERE, {**THERE, "tenant_id": "other"}):
            response = call.send(client, headers, ids)
            assert (name, call, response.status_code) == (name, call, 403 if call.is_of_runs else 401)
            assert_uncharged(response)
            told.append(shown(response))
        assert told[0] == told[1] == told[2]
        assert told[0].get("type", "") in ("unauthorizedError", "FORBIDDEN", "")
    assert every_row(db) == before


def test_a_key_that_has_not_expired_yet_is_valid(stocked: Flask, make_key: MakeKey) -> None:
    client = authorized(stocked, make_key(expires=NOW_MS + 1))
    assert client.get(CHECK).status_code == client.get(RUNS).status_code == 200


@pytest.mark.parametrize("url", [CHECK, RUNS])
def test_each_api_reads_its_own_header_and_the_others_only_if_its_own_is_absent(
    stocked: Flask, make_key: MakeKey, url: str
) -> None:
    refused = 403 if url == RUNS else 401
    values = {"absent": None, "empty": "", "garbage": "garbage", "good": make_key(), "expired": make_key(expires=1)}
    client = stocked.test_client()
    for token, bearer in product(values, values):
        headers = {} if values[token] is None else {"X-Auth-Token": values[token]}
        headers |= {} if values[bearer] is None else {"Authorization": f"Bearer {values[bearer]}"}
        own, other = (bearer, token) if url == RUNS else (token, bearer)
        decides = other if own == "absent" else own
        status = client.get(url, headers=headers).status_code
        assert (token, bearer, status) == (token, bearer, 200 if decides == "good" else refused)


def test_of_two_good_keys_the_apis_own_header_decides_whose_answer_it_is(stocked: Flask, make_key: MakeKey) -> None:
    ours, theirs = make_key(), make_key(tenant="other")
    headers = {"X-Auth-Token": ours, "Authorization": f"Bearer {theirs}"}
    client = stocked.test_client()
    assert client.get(CHECK, headers=headers).status_code == 200
    assert json.loads(client.get(RUNS, headers=headers).data)["total"] == 0


@pytest.mark.parametrize(
    ("form", "is_read"),
    [
        ("Bearer {}", True),
        ("bearer {}", True),
        ("BEARER  {} ", True),
        ("{}", False),
        ("Bearer{}", False),
        ("Basic {}", False),
        ("Token {}", False),
        ("Bearer", False),
        ("Bearer {}, Bearer {}", False),
    ],
)
def test_authorization_is_a_bearer_key(stocked: Flask, make_key: MakeKey, form: str, is_read: bool) -> None:
    headers = {"Authorization": form.replace("{}", make_key())}
    client = stocked.test_client()
    assert client.get(RUNS, headers=headers).status_code == (200 if is_read else 403)
    assert client.get(CHECK, headers=headers).status_code == (200 if is_read else 401)


def test_x_auth_token_is_the_bare_key(stocked: Flask, make_key: MakeKey) -> None:
    client = authorized(stocked, f"Bearer {make_key()}")
    assert client.get(CHECK).status_code == 401


@pytest.mark.parametrize("url", [CHECK, RUNS])
def test_who_is_refused_is_not_charged(make_app: MakeApp, make_key: MakeKey, url: str) -> None:
    app = make_app(HISTORY_RATE_LIMIT="2/day", RUNS_RATE_LIMIT="2/minute")
    reader = authorized(app, make_key(OBSERVER, VIEW))
    stranger = authorized(app, make_key(tenant="other"))
    for _ in range(5):
        assert reader.post(url, json={}).status_code == 403
        assert stranger.get(CHECK).status_code == 403
        assert app.test_client().get(url).status_code in (401, 403)
    first, second, third = (reader.get(url) for _ in range(3))
    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
    if url == CHECK:
        assert first.headers["X-RateLimit-Used"] == "1"
        assert stranger.get(CHECK.replace(TENANT, "other")).headers["X-RateLimit-Used"] == "1"


@pytest.mark.parametrize("call", ["no key", "garbage", "a key", "a key of another tenant"])
def test_a_url_that_is_no_route_is_404_for_anyone(stocked: Flask, make_key: MakeKey, call: str) -> None:
    keys = {"garbage": "garbage", "a key": make_key(), "a key of another tenant": make_key(tenant="other")}
    client = authorized(stocked, keys[call]) if call in keys else stocked.test_client()
    for url in (
        "/",
        "/v1.0",
        f"/v1.0/{TENANT}",
        f"/v1.0/{TENANT}/views",
        f"/v1.0/{TENANT}/entities/",
        f"{CHECK}/",
        "/healthz/",
        "/static/x",
        "/v2",
    ):
        for method in ("GET", "POST", "OPTIONS", "DELETE"):
            response = client.open(url, method=method)
            assert (url, method, response.status_code) == (url, method, 404)
            assert shown(response)["type"] == "notFoundError"
    for url in ("/api", "/api/v1", f"{RUNS}/", f"{RUNS}/1/2"):
        response = client.get(url)
        assert (url, response.status_code, shown(response)["type"]) == (url, 404, "NOT_FOUND")


def test_the_operations_urls_need_no_key(stocked: Flask) -> None:
    client = stocked.test_client()
    for url, method, token in product(OPEN, ("GET", "HEAD"), (None, "garbage")):
        response = client.open(url, method=method, headers={} if token is None else {"X-Auth-Token": token})
        assert (url, response.status_code) == (url, 200)
        assert_uncharged(response)
    for url in OPEN:
        assert client.post(url).status_code == 405
