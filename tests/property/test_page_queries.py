"""Whatever is asked of the list of deliveries, a page comes: with the API's rows, or with what is wrong marked."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from notifhist.web.pages.queries import FILTERS, SINCE_MS
from notifhist.web.pages.sessions import safe_next
from tests.conftest import NOW_MS
from tests.http.pages import LIST, signed_in

NAMES = (
    *FILTERS,
    "from",
    "to",
    "since",
    "limit",
    "marker",
    "reverse",
    "tz",
    "live",
    "rows",
    "outcome[]",
    "format",
    "x",
)
VALUES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        (
            "",
            " ",
            "failed",
            "sent,failed",
            "OK",
            *SINCE_MS,
            "true",
            "false",
            "1",
            "0",
            "50",
            "1001",
            "utc",
            "1" * 5000,
            "\0",
            "\ufffe",
        )
    ),
    st.integers().map(str),
    st.sampled_from(("2011-11-10", "2011-11-10T00:39:04.875Z", "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26", str(NOW_MS))),
)
QUERIES = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=5)


@given(QUERIES)
def test_a_query_is_answered_by_a_page(unlimited: Flask, key: str, query: list[tuple[str, str]]) -> None:
    browser = signed_in(unlimited, key)
    url = f"{LIST}?{urlencode(query, errors='replace')}"
    response = browser.get(url)
    if response.status_code == 303:  # tidied, once
        response = browser.get(response.headers["Location"])
    assert response.status_code in (200, 400), response.text
    assert response.content_type == "text/html; charset=utf-8"
    kept: Any = MultiDict(parse_qsl(urlsplit(response.request.url).query, keep_blank_values=True))
    assert all(value.strip() for value in kept.values())
    file = browser.get(f"{LIST}.csv?{urlencode(query, errors='replace')}")
    assert file.status_code == response.status_code


@given(st.text(st.sampled_from("/ui.\\%2eE:@?#\r\n x"), max_size=20).map(lambda text: f"/ui/{text}"))
def test_the_way_after_signing_in_never_leaves_the_pages(unlimited: Flask, way: str) -> None:
    with unlimited.test_request_context("/ui/login"):
        url = safe_next(way)
    parts = urlsplit(url)
    assert url.startswith("/ui/")
    assert (parts.scheme, parts.netloc) == ("", "")
    assert url.isascii()
    assert url.isprintable()
    assert ".." not in parts.path.replace("%2e", ".").replace("%2E", ".").split("/")
