"""Signing in to the pages and out: keys, links, cookies, what ends a session, and what a cookie does not open."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import html

from notifhist.auth import hash_secret, split_key
from notifhist.config import ConfigError
from notifhist.factory import create_app
from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.keys import revoke_keys
from notifhist.store.remembered_keys import note_revocation
from notifhist.store.sessions import new_login_link
from notifhist.web.pages.signing_in import client_of
from tests.conftest import NOW_MS, TENANT, MakeApp, MakeKey
from tests.http.pages import signed_in

HOUR_MS = 3_600_000
OWN = {"Origin": "http://localhost"}
WRONG = "nh_0123456789ab_" + "x" * 43


def sign_in(client: FlaskClient, key: str, **form: str) -> int:
    return client.post("/ui/login", data={"key": key, **form}).status_code


def is_in(client: FlaskClient) -> bool:
    status = client.get("/ui/deliveries").status_code
    assert status in (200, 303)
    return status == 200


def test_a_key_opens_a_session_and_the_way_goes_on(app: Flask, db: Database, key: str) -> None:
    client = app.test_client()
    response = client.post("/ui/login", data={"key": f" {key} ", "next": "/ui/deliveries?q=a%26b"})
    assert (response.status_code, response.headers["Location"]) == (303, "/ui/deliveries?q=a%26b")
    (cookie,) = response.headers.getlist("Set-Cookie")
    value, *attributes = cookie.split("; ")
    assert {*attributes} - {each for each in attributes if each.startswith("Expires=")} == {
        *("HttpOnly", "Path=/ui", "SameSite=Lax", "Max-Age=604800")
    }
    token = value.removeprefix("notifhist=")
    assert len(token) == 43  # 256 bits
    ((stored, key_id),) = rows(db, "SELECT id, key_id FROM page_session")
    parts = split_key(key)
    assert parts is not None
    assert (stored, key_id) == (hash_secret(token), parts[0])
    assert is_in(client)


def test_a_cookie_of_https_is_secure(app: Flask, key: str) -> None:
    client = app.test_client()
    response = client.post("/ui/login", data={"key": key}, base_url="https://localhost")
    assert response.headers["Set-Cookie"].startswith("__Secure-notifhist=")
    assert "; Secure;" in response.headers["Set-Cookie"]
    assert client.get("/ui/deliveries", base_url="https://localhost").status_code == 200
    assert client.get("/ui/deliveries").status_code == 303


@pytest.mark.parametrize(
    "way",
    [
        *("https://evil.example/", "//evil.example/", "/v1.0/123456/limits", "/ui", "/uix/", "/ui/../v1.0", "/ui//x"),
        *("/ui/%2e%2E/x", "/ui/a\\b", "/ui/a\r\nSet-Cookie: a=b", "/ui/login?next=/ui/login", "/ui/logout", ""),
        "/ui/" + "x" * 3000,
    ],
)
def test_the_way_goes_on_to_pages_alone(way: str, app: Flask, key: str) -> None:
    response = app.test_client().post("/ui/login", data={"key": key, "next": way})
    assert (response.status_code, response.headers["Location"]) == (303, "/ui/")


@pytest.mark.parametrize(
    "text", [WRONG, "", "x", "\0", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "é" * 2000]
)
def test_a_wrong_key_is_refused_without_a_hint(text: str, app: Flask, key: str, make_key: MakeKey) -> None:
    client = app.test_client()
    for wrong in (text, key[:-1] + ("A" if key[-1] != "A" else "B"), make_key(revoked=1), make_key(expires=NOW_MS)):
        response = client.post("/ui/login", data={"key": wrong, "next": "/ui/deliveries"})
        assert response.status_code == 403
        assert "No valid key." in response.text
        assert 'value="/ui/deliveries"' in response.text
        assert not wrong or len(wrong) < 10 or wrong not in response.text
        assert "Set-Cookie" not in response.headers


def test_ten_tries_a_minute_may_fail_for_each_address(make_app: MakeApp, key: str) -> None:
    app = make_app()
    client = app.test_client()
    assert [sign_in(client, WRONG) for _ in range(12)] == [403] * 10 + [429] * 2
    refused = client.post("/ui/login", data={"key": WRONG})
    assert refused.headers["Retry-After"] == "60"
    assert "Try again in 60 seconds." in refused.text
    assert sign_in(client, key) == 429  # else it would not matter to who guesses
    other = app.test_client()
    other.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    assert sign_in(other, WRONG) == 403
    assert sign_in(make_app(NOW=NOW_MS + 61_000).test_client(), WRONG) == 403


def test_who_signs_in_uses_up_no_try(app: Flask, key: str) -> None:
    client = app.test_client()
    assert [sign_in(client, each) for each in [key, WRONG] * 10] == [303, 403] * 10
    assert sign_in(client, key) == 429


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::"),
        ("2001:db8:0:1::9%eth0", "2001:db8:0:1::"),
        ("", ""),
        ("a socket", "a socket"),
    ],
)
def test_tries_are_counted_for_the_client_of_an_address(address: str, client: str) -> None:
    assert client_of(address) == client


def test_a_form_may_not_be_large(app: Flask) -> None:
    assert sign_in(app.test_client(), "x" * 20_000) == 413


def test_a_session_lasts_as_long_as_it_is_used_and_seven_days_at_most(make_app: MakeApp, key: str) -> None:
    client = signed_in(make_app(), key)
    cookie = client.get_cookie("notifhist", path="/ui")
    assert cookie is not None

    def at(hours: float) -> bool:
        later = make_app(NOW=NOW_MS + int(hours * HOUR_MS)).test_client()
        later.set_cookie("notifhist", cookie.value, path="/ui")
        return is_in(later)

    assert at(0)
    assert [at(hours) for hours in (11, 22, 33)] == [True] * 3
    assert not at(46)
    assert [at(hours) for hours in range(44, 168, 11)] == [True] * 12
    assert [at(hours) for hours in (167.9, 168)] == [True, False]


def test_with_its_key_a_session_ends_at_once(app: Flask, db: Database, database_url: str, key: str) -> None:
    client = signed_in(app, key)
    assert is_in(client)
    assert revoke_keys(db, "test", NOW_MS) == 1
    note_revocation(database_url)
    assert not is_in(client)


def test_a_session_ends_when_its_key_expires(make_app: MakeApp, make_key: MakeKey) -> None:
    key = make_key(expires=NOW_MS + 1000)
    assert is_in(signed_in(make_app(), key))
    assert not is_in(signed_in(make_app(NOW=NOW_MS + 1000), key))


def test_signing_out_ends_the_session(app: Flask, db: Database, key: str) -> None:
    client = signed_in(app, key)
    response = client.post("/ui/logout", headers=OWN)
    assert (response.status_code, response.headers["Location"]) == (303, "/ui/login")
    assert "Max-Age=0" in response.headers["Set-Cookie"]
    assert rows(db, "SELECT id FROM page_session") == []
    assert not is_in(client)
    assert client.get("/ui/logout").status_code == 405


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "https://localhost"}, 403),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "http://localhost"}, 303),
    ],
)
def test_only_our_own_page_may_sign_out(headers: dict[str, str], status: int, app: Flask, key: str) -> None:
    client = signed_in(app, key)
    assert client.post("/ui/logout", headers=headers).status_code == status
    assert is_in(client) == (status == 403)


def test_another_site_may_not_sign_anybody_in(app: Flask, key: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    response = app.test_client().post("/ui/login", data={"key": key}, headers=headers)
    assert response.status_code == 403
    assert "Set-Cookie" not in response.headers


def test_a_link_signs_in_once(app: Flask, db: Database, key: str) -> None:
    parts = split_key(key)
    assert parts is not None
    token = new_login_link(db, parts[0], NOW_MS)
    client = app.test_client()
    for _ in range(3):  # previews
        page = client.get(f"/ui/login?once={token}")
        assert page.status_code == 200
        assert "This link signs you in once." in page.text
        assert 'type="password"' not in page.text
    assert client.post("/ui/login", data={"once": token}).status_code == 303
    assert is_in(client)
    again = app.test_client().post("/ui/login", data={"once": token})
    assert again.status_code == 403
    assert "has been used" in again.text


@pytest.mark.parametrize("end", ["late", "revoked", "unknown", "empty"])
def test_a_link_that_is_no_longer_valid_opens_nothing(end: str, make_app: MakeApp, db: Database, key: str) -> None:
    parts = split_key(key)
    assert parts is not None
    token = new_login_link(db, parts[0], NOW_MS)
    if end == "revoked":
        revoke_keys(db, "test", NOW_MS)
    text = {"unknown": "x" * 43, "empty": ""}.get(end, token)
    client = make_app(NOW=NOW_MS + 600_000 if end == "late" else NOW_MS).test_client()
    assert client.post("/ui/login", data={"once": text, "key": key}).status_code == 403


@pytest.fixture
def by_proxy(make_app: MakeApp, make_key: MakeKey) -> Callable[..., FlaskClient]:
    """Makes clients behind a proxy that knows the user."""

    def make(key: str, **settings: object) -> FlaskClient:
        parts = split_key(key)
        assert parts is not None
        user = {"PAGES_USER_HEADER": "X-Forwarded-User", "PAGES_USER_KEY_ID": parts[0], "TRUSTED_PROXIES": 1}
        return make_app(**user, **settings).test_client()

    return make


def test_a_proxy_may_know_the_user(by_proxy: Callable[..., FlaskClient], key: str, make_key: MakeKey) -> None:
    client = by_proxy(key, PAGES_RATE_LIMIT="2/minute")
    for user in ("ann@example.com", "bob@example.com"):
        page = client.get("/ui/deliveries", headers={"X-Forwarded-User": user})
        assert page.status_code == 200
        assert f"{user} · {TENANT}" in html.fromstring(page.text).text_content()
        assert "Sign out" not in page.text  # there is no session
        assert client.get("/ui/deliveries", headers={"X-Forwarded-User": user}).status_code == 200
        assert client.get("/ui/deliveries", headers={"X-Forwarded-User": user}).status_code == 429
    assert client.get("/ui/deliveries").status_code == 303
    expired = by_proxy(make_key(expires=NOW_MS))
    assert expired.get("/ui/deliveries", headers={"X-Forwarded-User": "ann"}).status_code == 303


def test_the_header_of_a_proxy_means_nothing_where_none_is_set(app: Flask) -> None:
    assert app.test_client().get("/ui/deliveries", headers={"X-Forwarded-User": "ann"}).status_code == 303


def test_a_session_has_a_rate_limit_of_its_own(make_app: MakeApp, key: str) -> None:
    app = make_app(PAGES_RATE_LIMIT="2/minute", HISTORY_RATE_LIMIT="1/day")
    client = signed_in(app, key)
    assert [client.get("/ui/deliveries").status_code for _ in range(3)] == [200, 200, 429]
    assert app.test_client().get("/limits", headers={"X-Auth-Token": key}).status_code == 200  # not charged


def test_a_cookie_opens_pages_alone_and_a_key_no_page(app: Flask, key: str) -> None:
    client = signed_in(app, key)
    cookie = client.get_cookie("notifhist", path="/ui")
    assert cookie is not None
    by_cookie = app.test_client()
    by_cookie.set_cookie("notifhist", cookie.value, path="/")
    assert by_cookie.get("/deliveries").status_code == 401
    assert by_cookie.get("/api/v1/notifications/logs/run").status_code == 403
    by_header = app.test_client()
    for headers in ({"X-Auth-Token": key}, {"Authorization": f"Bearer {key}"}):
        assert by_header.get("/ui/deliveries", headers=headers).status_code == 303


def test_the_start_leads_to_the_pages_who_prefers_html(app: Flask, make_app: MakeApp) -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    client = app.test_client()
    for url in ("/", "/ui"):
        response = client.get(url, headers={"Accept": browser})
        assert (response.status_code, response.headers["Location"]) == (303, "/ui/")
    for accept in ("*/*", "application/json", "text/html;q=0.5, application/xml", ""):
        response = client.get("/", headers={"Accept": accept})
        assert response.status_code == 404
        assert not response.content_type.startswith("text/html")
    assert client.get("/v1.0", headers={"Accept": browser}).content_type.startswith("application/")
    assert make_app(PAGES="off").test_client().get("/", headers={"Accept": browser}).status_code == 404


def test_without_pages_all_of_ui_is_404(make_app: MakeApp, key: str) -> None:
    client = make_app(PAGES="off").test_client()
    for url in ("/ui", "/ui/", "/ui/login", "/ui/deliveries", "/ui/static/0/pages.css"):
        response = client.get(url)
        assert (response.status_code, response.content_type) == (404, "application/json")


@pytest.mark.parametrize(
    "settings",
    [
        {"PAGES_USER_HEADER": "X-Forwarded-User", "TRUSTED_PROXIES": 1},
        {"PAGES_USER_KEY_ID": "0123456789ab", "TRUSTED_PROXIES": 1},
        {"PAGES_USER_HEADER": "X-Forwarded-User", "PAGES_USER_KEY_ID": "0123456789ab"},
    ],
)
def test_a_header_that_anybody_could_send_is_refused_at_the_start(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="NOTIFHIST_PAGES_USER_"):
        create_app(settings)


def test_a_prefix_that_a_proxy_names_is_kept(make_app: MakeApp, key: str) -> None:
    client = make_app(TRUSTED_PROXIES=1).test_client()
    by_proxy = {"X-Forwarded-Prefix": "/history", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example"}
    response = client.get("/ui/deliveries?q=x", headers=by_proxy)
    assert response.headers["Location"] == "/history/ui/login?next=%2Fui%2Fdeliveries%3Fq%3Dx"
    form = {"key": key, "next": "/ui/deliveries?q=x"}
    response = client.post("/ui/login", data=form, headers=by_proxy | {"Origin": "https://a.example"})
    assert response.headers["Location"] == "/history/ui/deliveries?q=x"
    (cookie,) = response.headers.getlist("Set-Cookie")
    assert "__Secure-notifhist=" in cookie
    assert "Path=/history/ui" in cookie


def test_signing_in_anew_ends_the_session_before(app: Flask, db: Database, key: str) -> None:
    client = app.test_client()
    assert [sign_in(client, key) for _ in range(3)] == [303] * 3
    assert len(rows(db, "SELECT id FROM page_session")) == 1
    assert is_in(client)
