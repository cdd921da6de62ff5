"""The limits of a tenant: what the X-RateLimit headers of the same answer say."""

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import MakeApp, MakeKey, authorized
from tests.http.access_table import OBSERVER
from tests.http.helpers import XML, assert_fault, get_xml, read_xml

LIMITS = "/v1.0/123456/limits"


def test_it_says_what_the_headers_say(client: FlaskClient) -> None:
    for url, used in ((LIMITS, 1), ("/limits", 2), (LIMITS, 3)):
        response = client.get(url)
        names = ("Limit", "Used", "Window", "Type")
        limit, _, window, scope = (response.headers[f"X-RateLimit-{name}"] for name in names)
        expected = {"limit": int(limit), "used": used, "window": window}
        assert response.text == json.dumps({"resource": {}, "rate": {scope: expected}}, separators=(",", ":"))
        assert (limit, window, scope) == ("50000", "24 hours", "global")


def test_it_says_the_same_in_xml(client: FlaskClient) -> None:
    response = client.get(LIMITS, headers={"Accept": XML})
    read_xml(response)
    assert response.text == (
        '<?xml version="1.0" encoding="utf-8"?>\n<limit><resource/><rate><global><limit>50000</limit>'
        "<used>1</used><window>24 hours</window></global></rate></limit>"
    )


def test_without_a_limit_there_is_no_rate_and_no_header(make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(HISTORY_RATE_LIMIT=""), key)
    response = client.get(LIMITS)
    assert response.text == '{"resource":{},"rate":{}}'
    assert not [name for name, _ in response.headers if name.startswith("X-RateLimit")]
    assert [(each.tag, each.text) for each in get_xml(client, LIMITS)] == [("resource", None), ("rate", None)]


@pytest.mark.parametrize(("limit", "amount", "window"), [("3/2 minute", 3, "2 minutes"), ("1/hour", 1, "1 hour")])
def test_it_is_counted_as_any_request(make_app: MakeApp, key: str, limit: str, amount: int, window: str) -> None:
    client = authorized(make_app(HISTORY_RATE_LIMIT=limit), key)
    for used in range(1, amount + 1):
        method = client.head if used % 2 else client.get
        assert method(LIMITS).headers["X-RateLimit-Used"] == str(used)
    fault = assert_fault(client.get(LIMITS), 429, "rateLimitReached")
    assert fault["details"] == f"{amount} requests in {window}."


def test_each_tenant_sees_its_own(app: Flask, make_key: MakeKey) -> None:
    ours, second_key, theirs = (
        authorized(app, make_key(OBSERVER, **tenant)) for tenant in ({}, {}, {"tenant": "other"})
    )
    used = [each.get("/limits").get_json()["rate"]["global"]["used"] for each in (ours, ours, second_key, theirs)]
    assert used == [1, 2, 3, 1]
    assert_fault(theirs.get(LIMITS), 403, "forbiddenError")
