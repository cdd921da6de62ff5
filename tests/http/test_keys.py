"""Keys in the form of Basic, what a refusal tells its client, and that refused keys are counted."""

from base64 import b64encode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from notifhist.auth import OBSERVER
from tests.conftest import NOW_MS, MakeApp, MakeKey, authorized
from tests.http.helpers import ALARM, CHECK, IN_XML, RUNS, XML

APIS = pytest.mark.parametrize(("url", "refused", "api"), [(CHECK, 401, "history"), (RUNS, 403, "runs")])
CHALLENGE = 'Bearer realm="notifhist"'


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def refused_keys(client: FlaskClient, api: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    name = f'notifhist_refused_keys_total{{api="{api}"}} '
    return float(next(line for line in lines if line.startswith(name)).removeprefix(name))


@APIS
@pytest.mark.parametrize("user", ["", "nagios", "Jörg", "x" * 200])
def test_the_password_of_basic_is_the_key(
    url: str, refused: int, api: str, user: str, app: Flask, make_key: MakeKey
) -> None:
    client, key = app.test_client(), make_key()
    assert client.get(url, headers=basic(user, key)).status_code == 200
    lower = {"Authorization": basic(user, key)["Authorization"].replace("Basic ", "basic  ")}
    assert client.get(url, headers=lower).status_code == 200
    assert client.get(url, headers=basic(user, key[:-1])).status_code == refused
    assert client.get(url, headers=basic(user, make_key(expires=NOW_MS))).status_code == refused


@APIS
def test_basic_that_has_no_key_as_its_password_is_refused(
    url: str, refused: int, api: str, app: Flask, make_key: MakeKey
) -> None:
    client, key = app.test_client(), make_key()
    encoded = basic("", key)["Authorization"]
    bad = [
        *(basic(key, "")["Authorization"], f"Basic {key}", f"Basic {b64encode(key.encode()).decode()}", "Basic"),
        *("Basic ", "Basic ====", "Basic /w==", "Basic ü", encoded.replace("Basic", "Bearer"), f"{encoded}!"),
    ]
    for value in bad:
        headers = {"Authorization": value.encode().decode("latin-1")}
        assert (value, client.get(url, headers=headers).status_code) == (value, refused)


def test_each_api_reads_its_own_header_first_with_basic_too(app: Flask, make_key: MakeKey) -> None:
    client, headers = app.test_client(), {"X-Auth-Token": "garbage", **basic("", make_key())}
    assert client.get(CHECK, headers=headers).status_code == 401
    assert client.get(RUNS, headers=headers).status_code == 200
    swapped = {"X-Auth-Token": make_key(), **basic("", "garbage")}
    assert client.get(CHECK, headers=swapped).status_code == 200
    assert client.get(RUNS, headers=swapped).status_code == 403


def test_basic_allows_what_the_key_s_roles_allow(app: Flask, make_key: MakeKey) -> None:
    client, reader = app.test_client(), basic("x", make_key(OBSERVER))
    assert client.post(CHECK, json={}, headers=reader).status_code == 403
    stranger = basic("x", make_key(tenant="other"))
    assert client.get(CHECK, headers=stranger).status_code == 403


# What a refusal tells


@pytest.mark.parametrize("accept", ["application/json", XML])
def test_a_401_has_a_challenge_and_its_document(accept: str, app: Flask, make_key: MakeKey) -> None:
    client = app.test_client()
    keys = ("", "garbage", make_key(expires=NOW_MS), make_key(revoked=1))
    for headers in ({}, *({"X-Auth-Token": key} for key in keys), basic("u", "p"), {"Authorization": "Bearer x"}):
        for method, url in (("GET", CHECK), ("HEAD", ALARM), ("POST", CHECK), ("PATCH", CHECK), ("GET", f"{CHECK}/x")):
            response = client.open(url, method=method, headers={"Accept": accept, **headers})
            assert (response.status_code, response.headers.getlist("WWW-Authenticate")) == (401, [CHALLENGE])
            assert response.content_type in ("application/json", IN_XML)
            assert method == "HEAD" or response.data


def test_no_other_answer_has_a_challenge(client: FlaskClient, app: Flask) -> None:
    anyone = app.test_client()
    answers = [
        client.get(CHECK),
        client.get(f"{CHECK}/x"),
        anyone.get(RUNS),
        anyone.get("/none"),
        anyone.get("/healthz"),
    ]
    assert [response.headers.get("WWW-Authenticate") for response in answers] == [None] * 5


def refusals(app: Flask, make_key: MakeKey) -> list[TestResponse]:
    anyone, reader = app.test_client(), authorized(app, make_key(OBSERVER))
    stranger = authorized(app, make_key(tenant="other"))
    return [anyone.get(CHECK), anyone.get(RUNS), reader.post(CHECK), reader.get(RUNS), stranger.get(CHECK)]


def test_a_refusal_is_kept_by_no_cache(app: Flask, make_key: MakeKey, client: FlaskClient) -> None:
    answers = refusals(app, make_key)
    assert [response.status_code for response in answers] == [401, 403, 403, 403, 403]
    assert [response.headers.getlist("Cache-Control") for response in answers] == [["no-store"]] * 5
    assert client.get(CHECK).headers.getlist("Cache-Control") == ["private, no-cache"]


def test_no_browser_guesses_what_an_answer_is(app: Flask, make_key: MakeKey, client: FlaskClient) -> None:
    urls = (ALARM, CHECK, f"{CHECK}/x", RUNS, "/none", "/api", "/healthz", "/metrics", "/openapi.json")
    answers = [client.open(url, method=method) for url in urls for method in ("GET", "PATCH")]
    for response in (*answers, *refusals(app, make_key), client.get(CHECK, headers={"Accept": "text/html"})):
        assert response.headers.getlist("X-Content-Type-Options") == ["nosniff"]


# The metric


@APIS
def test_refused_keys_are_counted(url: str, refused: int, api: str, app: Flask, make_key: MakeKey) -> None:
    client, other = app.test_client(), {"history": "runs", "runs": "history"}[api]
    assert refused_keys(client, api) == refused_keys(client, other) == 0
    good = make_key()
    keys = ("garbage", good[:-1] + ("x" if good[-1] != "x" else "y"), make_key(expires=1), make_key(revoked=1))
    for key in keys:
        assert client.get(url, headers={"Authorization": f"Bearer {key}"}).status_code == refused
        assert client.get(url, headers=basic("", key)).status_code == refused
    assert refused_keys(client, api) == 2 * len(keys)
    for headers in ({}, {"X-Auth-Token": good}, {"X-Auth-Token": make_key(OBSERVER, tenant="other")}):
        client.get(url, headers=headers)
    assert (refused_keys(client, api), refused_keys(client, other)) == (2 * len(keys), 0)


def test_a_key_that_is_tried_where_no_route_is_counts_too(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/none", headers={"X-Auth-Token": "garbage"}).status_code == 404
    assert client.patch(CHECK, headers={"X-Auth-Token": "garbage"}).status_code == 401
    assert refused_keys(client, "history") == 2


def test_apps_count_refused_keys_apart(make_app: MakeApp) -> None:
    one, other = make_app().test_client(), make_app().test_client()
    one.get(CHECK, headers={"X-Auth-Token": "garbage"})
    assert (refused_keys(one, "history"), refused_keys(other, "history")) == (1, 0)
