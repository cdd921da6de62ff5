import json
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlsplit

import pytest
from flask.testing import FlaskClient

from tests.conftest import NOW_MS, MakeApp, authorized
from tests.http.helpers import (
    ALARM,
    CHECK,
    JSON,
    RUNS,
    XML,
    assert_fault,
    assert_run_error,
    get_json,
    id_at,
    item_at,
    post,
    read_xml,
    run_of,
)

NEXT = id_at(NOW_MS, 1)


@pytest.fixture
def three(client: FlaskClient) -> FlaskClient:
    """A client of a check with three items."""
    post(client, CHECK, {"values": [item_at(NOW_MS, number) for number in range(3)]})
    return client


def next_href(client: FlaskClient, url: str, **how: Any) -> str:
    page = json.loads(client.get(url, **how).data)
    assert page["metadata"]["next_marker"] == NEXT
    href: str = page["metadata"]["next_href"]
    return href


def pairs(url: str) -> list[tuple[bytes, bytes]]:
    """Return the parameters of a URL as bytes, since not all are UTF-8."""
    found = parse_qsl(urlsplit(url).query, keep_blank_values=True, encoding="latin-1")
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in found]


@pytest.mark.parametrize(
    "query",
    [
        "limit=1",
        f"limit=1&from=0&to={NOW_MS + 1}",
        "limit=1&reverse=False",
        "a=1&limit=1&b=2",
        "limit=1&a=1&a=2&a=1",
        "limit=1&empty=&bare",
        "limit=1&limit=x",
        "limit=1&q=a%20b+c%2Bd%26e%3Df%23g",
        "limit=1&%3D=%26&%26=%3D",
        "limit=1&u=%C3%BC%F0%9F%9A%A6&%E6%9D%B1=1",
        "limit=1&raw=%FF%00%C3",
        "limit=1&%FF=1",
        "limit=1&x=a;b",
        "limit=1&x=%0D%0AX-Evil:%201",
        "limit=1&markers=1&Marker=2",
    ],
)
def test_following_a_page_keeps_every_parameter(query: str, three: FlaskClient) -> None:
    href = next_href(three, f"{CHECK}?{query}")
    assert href.startswith(f"http://localhost{CHECK}?")
    assert href.isascii()
    assert not set(' \r\n"<>') & set(href)
    assert pairs(href) == [*pairs(f"?{query}"), (b"marker", NEXT.encode())]
    page = get_json(three, href)
    assert page["values"] == [item_at(NOW_MS, 1)]
    assert page["metadata"]["limit"] == 1


def test_the_marker_is_replaced_however_often_it_was_given(three: FlaskClient) -> None:
    first = id_at(NOW_MS)
    href = next_href(three, f"{CHECK}?marker={first}&limit=1&marker=x&z=1")
    assert pairs(href) == [(b"limit", b"1"), (b"z", b"1"), (b"marker", NEXT.encode())]


@pytest.mark.parametrize("part", ["a b", "a|b?c", "ü東🚦", "%2F", "a+b&c=d#e", "..", "~'()*!;,:@$"])
def test_the_ids_in_a_link_are_escaped(part: str, client: FlaskClient) -> None:
    url = f"{ALARM}/{quote(part, safe='')}"
    created = post(client, url, {"values": [item_at(NOW_MS, number) for number in range(3)]})
    assert unquote_to_bytes(created.headers["Location"]) == f"http://localhost{ALARM}/{part}".encode()
    href = next_href(client, f"{url}?limit=1")
    assert href.isascii()
    assert get_json(client, href)["values"] == [item_at(NOW_MS, 1)]


def test_a_link_has_the_path_that_was_asked_for(three: FlaskClient) -> None:
    bare = CHECK.removeprefix("/v1.0/123456")
    assert next_href(three, f"{bare}?limit=1").startswith(f"http://localhost{bare}?")


def test_a_link_has_the_host_that_was_asked(three: FlaskClient) -> None:
    for base, expected in (
        ("http://history.example.com", "http://history.example.com"),
        ("http://history.example.com:8080", "http://history.example.com:8080"),
        ("https://history.example.com", "https://history.example.com"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ):
        assert next_href(three, f"{CHECK}?limit=1", base_url=base).startswith(f"{expected}{CHECK}?")
        created = three.post(CHECK, json=item_at(NOW_MS, 7), base_url=base)
        assert created.headers["Location"] == f"{expected}{CHECK}/{id_at(NOW_MS, 7)}"
        run = three.post(RUNS, json=run_of(), base_url=base)
        assert run.headers["Location"].startswith(f"{expected}{RUNS}/")


FORWARDED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "public.example.com",
    "X-Forwarded-Port": "8443",
    "X-Forwarded-Prefix": "/monitoring",
}
TWICE = {name: f"evil.example.com, {value}" for name, value in FORWARDED.items()}


def test_without_trusted_proxies_nothing_is_believed(three: FlaskClient) -> None:
    for headers in (FORWARDED, TWICE, {"Forwarded": "host=evil.example.com;proto=https"}):
        href = next_href(three, f"{CHECK}?limit=1", headers=headers)
        assert href.startswith(f"http://localhost{CHECK}?")


def test_a_trusted_proxy_says_what_the_client_asked(make_app: MakeApp, key: str, three: FlaskClient) -> None:
    client = authorized(make_app(TRUSTED_PROXIES=1), key)
    public = f"https://public.example.com:8443/monitoring{CHECK}"
    for headers in (FORWARDED, TWICE):  # of a client that forges them, the proxy adds its own behind
        assert next_href(client, f"{CHECK}?limit=1", headers=headers).startswith(f"{public}?limit=1&")
    created = client.post(CHECK, json=item_at(NOW_MS, 7), headers=FORWARDED)
    assert created.headers["Location"] == f"{public}/{id_at(NOW_MS, 7)}"
    assert next_href(client, f"{CHECK}?limit=1").startswith(f"http://localhost{CHECK}?")
    assert get_json(three, CHECK)["metadata"]["count"] == 4


def test_of_two_trusted_proxies_the_outer_one_is_believed(make_app: MakeApp, key: str, three: FlaskClient) -> None:
    client = authorized(make_app(TRUSTED_PROXIES=2), key)
    hosts = {"X-Forwarded-Host": "evil.example.com, public.example.com, inner.example.com"}
    assert next_href(client, f"{CHECK}?limit=1", headers=hosts).startswith(f"http://public.example.com{CHECK}?")
    one = {"X-Forwarded-Host": "inner.example.com"}
    assert next_href(client, f"{CHECK}?limit=1", headers=one).startswith(f"http://localhost{CHECK}?")
    assert get_json(three, CHECK)["metadata"]["count"] == 3


def test_a_service_below_a_path_says_so(three: FlaskClient) -> None:
    href = next_href(three, f"{CHECK}?limit=1", base_url="http://localhost/monitoring/")
    assert href.startswith(f"http://localhost/monitoring{CHECK}?")


def test_text_of_a_query_that_is_not_escaped_is_kept(three: FlaskClient) -> None:
    raw = "limit=1&u=ü".encode().decode("latin-1")
    href = next_href(three, CHECK, environ_overrides={"QUERY_STRING": raw})
    assert pairs(href)[1] == (b"u", "ü".encode())
    no_text = three.get(CHECK, environ_overrides={"QUERY_STRING": "limit=1&u=\xff\xc3"})
    assert_fault(no_text, 400, "badRequest")


# NOTIFHIST_PUBLIC_URL and NOTIFHIST_ALLOWED_HOSTS


@pytest.mark.parametrize("public", ["https://history.example.com", "http://h:8080/monitoring/"])
@pytest.mark.parametrize("media_type", [JSON, XML])
def test_links_begin_with_the_public_url(public: str, media_type: str, make_app: MakeApp, key: str) -> None:
    client, base = authorized(make_app(PUBLIC_URL=public, TRUSTED_PROXIES=1), key), public.rstrip("/")
    for number, headers in enumerate(({}, {"Host": "evil.example.com"}, FORWARDED)):
        asked = {"Accept": media_type, **headers}
        created = client.post(CHECK, json=item_at(NOW_MS, number), headers=asked)
        assert created.headers["Location"] == f"{base}{CHECK}/{id_at(NOW_MS, number)}"
        run = client.post(RUNS, json=run_of(), headers=asked)
        assert run.headers["Location"].startswith(f"{base}{RUNS}/")
        container = client.post(f"{CHECK}%20b", json={"values": [item_at(NOW_MS, number)]}, headers=asked)
        assert container.headers["Location"] == f"{base}{CHECK}%20b"
    page = client.get(f"{CHECK}?limit=1&x=y", headers={"Accept": media_type, "Host": "evil.example.com"}).text
    assert f"{base}{CHECK}?limit=1&{'' if media_type == JSON else 'amp;'}x=y" in page
    assert "evil" not in page


HOSTS = "history.example.com, Other.example.com:8443, 127.0.0.1, [::1]"


@pytest.mark.parametrize(
    ("name", "is_allowed"),
    [
        ("history.example.com", True),
        ("HISTORY.example.com", True),
        ("history.example.com:8000", True),
        ("other.example.com:8443", True),
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("other.example.com", False),
        ("evil.example.com", False),
        ("history.example.com.evil.com", False),
        ("evil.history.example.com", False),
        ("history.example.com:x", False),
        ("localhost", False),
    ],
)
def test_only_a_listed_host_may_be_asked(name: str, is_allowed: bool, make_app: MakeApp, key: str) -> None:
    app = make_app(ALLOWED_HOSTS=HOSTS)
    client, headers = authorized(app, key), {"Host": name}
    for url in (ALARM, CHECK, RUNS):
        assert (url, client.get(url, headers=headers).status_code) == (url, 200 if is_allowed else 400)
    created = client.post(CHECK, json=item_at(NOW_MS), headers=headers)
    assert created.status_code == (201 if is_allowed else 400)
    assert app.test_client().get(CHECK, headers=headers).status_code == 401
    assert app.test_client().get("/healthz", headers=headers).status_code == 200
    assert get_json(client, f"http://127.0.0.1{CHECK}")["metadata"]["count"] == int(is_allowed)


def test_of_a_trusted_proxy_the_host_that_the_client_asked_is_compared(make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(ALLOWED_HOSTS="public.example.com", TRUSTED_PROXIES=1), key)
    assert client.get(CHECK, headers=FORWARDED | {"Host": "10.0.0.7"}).status_code == 200
    assert client.get(CHECK, headers=FORWARDED | {"X-Forwarded-Host": "evil.example.com"}).status_code == 400


def test_another_host_is_refused_in_the_words_of_each_api(make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(ALLOWED_HOSTS="public.example.com"), key)
    assert_fault(client.get(CHECK), 400, "badRequest")
    assert_run_error(client.get(RUNS), 400, "BAD_REQUEST")
    assert read_xml(client.get(CHECK, headers={"Accept": XML}), 400).tag == "fault"
