import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from lxml import etree
from werkzeug.test import TestResponse

from tests.conftest import NOW_MS
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
    send,
    validated,
)

TEXT = "text/xml"
ITEM = f"{CHECK}/{id_at(NOW_MS)}"
RUN = f"{RUNS}/1"
ROOTS = {
    ALARM: "alarm_checks_map",
    CHECK: "container",
    ITEM: "alarm_notification_history_item",
    RUNS: "container",
    RUN: "notification_run",
}
URLS = pytest.mark.parametrize("url", ROOTS, ids=["discovery", "list", "item", "runs", "run"])


@pytest.fixture
def client(client: FlaskClient) -> FlaskClient:
    """A client of a service that has an item and a run."""
    post(client, CHECK, item_at(NOW_MS))
    post(client, RUNS, run_of())
    return client


def assert_is(response: TestResponse, media_type: str, root: str) -> None:
    """Assert that an answer is of a format, by its header and by its body."""
    assert response.status_code == 200
    if media_type == JSON:
        assert response.content_type == JSON
        json.loads(response.data)
    else:
        assert read_xml(response, content_type=media_type).tag == root
    assert response.headers["Vary"] == "Accept"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        (JSON, JSON),
        (XML, XML),
        (TEXT, TEXT),
        ("application/*", JSON),
        ("text/*", TEXT),
        ("application/xml, */*", XML),
        ("application/xml; charset=utf-8", XML),
        ("application/json;q=0.5, application/xml;q=0.6", XML),
        ("application/json;q=0, */*;q=0.1", XML),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", XML),
    ],
)
def test_accept_chooses_the_format(accept: str | None, media_type: str, client: FlaskClient) -> None:
    headers = {} if accept is None else {"Accept": accept}
    for url, root in ROOTS.items():
        assert_is(client.get(url, headers=headers), media_type, root)


@URLS
def test_several_accept_lines_are_one(url: str, client: FlaskClient) -> None:
    lines = [("Accept", "text/html"), ("Accept", "application/json;q=0.2"), ("Accept", "text/xml;q=0.3")]
    assert_is(client.get(url, headers=lines), TEXT, ROOTS[url])


@URLS
def test_nothing_acceptable_is_told_in_json(url: str, client: FlaskClient) -> None:
    for accept in ("text/html", "image/*", "*/*;q=0", "application/json;q=0", "text/csv, text/plain"):
        response = client.get(url, headers={"Accept": accept})
        if url.startswith(RUNS):
            assert_run_error(response, 406, "BAD_REQUEST")
        else:
            assert_fault(response, 406, "notAcceptable")
        assert response.headers["Vary"] == "Accept"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_acceptable_changes_nothing(method: str, client: FlaskClient) -> None:
    url, item = (CHECK if method == "POST" else ITEM), item_at(NOW_MS, state="new")
    if method == "POST":
        item = item_at(NOW_MS, 5)
    headers = {"Accept": "text/html"}
    response = client.open(url, method=method, data=json.dumps(item), content_type=JSON, headers=headers)
    assert_fault(response, 406, "notAcceptable")
    assert get_json(client, CHECK)["values"] == [item_at(NOW_MS)]


@URLS
@pytest.mark.parametrize("accept", [JSON, XML])
def test_head_is_get_without_the_body(url: str, accept: str, client: FlaskClient) -> None:
    got, head = (client.open(url, method=method, headers={"Accept": accept}) for method in ("GET", "HEAD"))
    assert (head.status_code, head.data) == (200, b"")
    changing = {"X-Response-Id", "X-RateLimit-Used"}
    one, other = ({name: value for name, value in response.headers if name not in changing} for response in (got, head))
    assert one == other
    assert int(head.headers["Content-Length"]) == len(got.data) > 0


@pytest.mark.parametrize("url", [f"{CHECK}/x", f"{CHECK}?limit=0", f"{RUNS}/99", f"{RUNS}?page=x", "/none"])
def test_head_of_an_error_is_the_error_without_the_body(url: str, client: FlaskClient) -> None:
    got, head = (client.open(url, method=method) for method in ("GET", "HEAD"))
    assert (head.status_code, head.data, head.content_type) == (got.status_code, b"", got.content_type)
    assert head.headers["X-Response-Id"]


@pytest.mark.parametrize("accept", [JSON, XML, TEXT])
@pytest.mark.parametrize("url", [ITEM, RUN])
def test_one_item_and_one_run_bear_a_strong_etag(url: str, accept: str, client: FlaskClient) -> None:
    response = client.get(url, headers={"Accept": accept})
    etag = response.headers["ETag"]
    assert etag.startswith('"')
    assert client.get(url, headers={"Accept": accept}).headers["ETag"] == etag
    for condition in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        for method in ("GET", "HEAD"):
            headers = {"Accept": accept, "If-None-Match": condition}
            unchanged = client.open(url, method=method, headers=headers)
            assert (unchanged.status_code, unchanged.data) == (304, b"")
            assert unchanged.headers["ETag"] == etag
            assert unchanged.headers["Vary"] == "Accept"
            assert unchanged.headers["X-Response-Id"]
    for condition in ('"x"', etag[:-1] + 'x"', ""):
        changed = client.get(url, headers={"Accept": accept, "If-None-Match": condition})
        assert (changed.status_code, changed.data) == (200, response.data)


@pytest.mark.parametrize("url", [ITEM, RUN])
def test_another_format_has_another_etag(url: str, client: FlaskClient) -> None:
    etags = [client.get(url, headers={"Accept": accept}).headers["ETag"] for accept in (JSON, XML)]
    assert etags[0] != etags[1]
    other = client.get(url, headers={"Accept": XML, "If-None-Match": etags[0]})
    assert other.status_code == 200


def test_an_etag_changes_with_what_it_stands_for(client: FlaskClient) -> None:
    before = client.get(ITEM).headers["ETag"]
    changed = send(client, "PUT", ITEM, item_at(NOW_MS, state="CRITICAL"))
    after = client.get(ITEM, headers={"If-None-Match": before})
    assert after.status_code == 200
    assert after.headers["ETag"] == changed.headers["ETag"] != before


@pytest.mark.parametrize("url", [ALARM, CHECK, RUNS])
def test_lists_bear_no_etag(url: str, client: FlaskClient) -> None:
    response = client.get(url, headers={"If-None-Match": "*"})
    assert (response.status_code, response.headers.get("ETag")) == (200, None)


@URLS
def test_a_content_type_without_a_body_is_ignored(url: str, client: FlaskClient) -> None:
    for content_type in ("application/xml", "text/html", "multipart/form-data", "x", ""):
        response = client.get(url, headers={"Content-Type": content_type})
        assert_is(response, JSON, ROOTS[url])


BODIES: list[tuple[str, str, Any]] = [
    ("POST", CHECK, item_at(NOW_MS, 5)),
    ("POST", CHECK, {"values": [item_at(NOW_MS, 5)]}),
    ("PUT", ITEM, item_at(NOW_MS, state="new")),
    ("POST", f"{ITEM}/notification_results/n/attempts", {}),
    ("POST", RUNS, run_of()),
    ("PUT", RUN, run_of(status="FAILED")),
]


OTHER_TYPES = (
    *("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "*/*", "application/*", "json"),
    *("application/json, application/xml", "application/problem+json", ""),
)


@pytest.mark.parametrize(("method", "url", "document"), BODIES)
def test_a_body_of_another_type_is_unsupported(method: str, url: str, document: Any, client: FlaskClient) -> None:
    for headers in ({}, *({"Content-Type": each} for each in OTHER_TYPES)):
        response = client.open(url, method=method, data=json.dumps(document), headers=headers)
        if url.startswith(RUNS):
            assert_run_error(response, 415, "BAD_REQUEST")
        else:
            assert_fault(response, 415, "unsupportedMediaType")
    assert get_json(client, CHECK)["values"] == [item_at(NOW_MS)]
    assert get_json(client, RUNS)["total"] == 1


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", 'application/json;a="b"']
)
def test_parameters_and_case_of_a_content_type_do_not_count(content_type: str, client: FlaskClient) -> None:
    item = json.dumps(item_at(NOW_MS, 5))
    assert client.post(CHECK, data=item, content_type=content_type).status_code == 201


@pytest.mark.parametrize("content_type", [XML, TEXT, "text/xml; charset=utf-8"])
def test_a_body_of_the_other_format_is_not_well_formed(content_type: str, client: FlaskClient) -> None:
    response = client.post(CHECK, data=json.dumps(item_at(NOW_MS, 5)), content_type=content_type)
    assert_fault(response, 400, "badRequest")
    assert_fault(client.post(CHECK, data="<a/>", content_type=JSON), 400, "badRequest")


@pytest.mark.parametrize(("method", "url", "document"), BODIES)
def test_a_body_that_is_missing_is_a_bad_request(method: str, url: str, document: Any, client: FlaskClient) -> None:
    for headers in ({}, {"Content-Type": JSON}, {"Content-Type": XML}, {"Content-Type": "text/plain"}):
        response = client.open(url, method=method, headers=headers)
        assert response.status_code == 400, document


@pytest.mark.parametrize(
    ("method", "url", "status", "root"),
    [
        ("GET", f"{CHECK}?limit=0", 400, "fault"),
        ("GET", f"{CHECK}/x", 404, "fault"),
        ("GET", "/none", 404, "fault"),
        ("PATCH", CHECK, 405, "fault"),
        ("POST", CHECK, 400, "fault"),
        ("GET", f"{RUNS}?page=x", 400, "error"),
        ("GET", f"{RUNS}/99", 404, "error"),
        ("GET", "/api/none", 404, "error"),
        ("PATCH", RUNS, 405, "error"),
        ("POST", RUNS, 400, "error"),
    ],
)
@pytest.mark.parametrize("accept", [XML, TEXT])
def test_errors_are_negotiated_like_answers(
    method: str, url: str, status: int, root: str, accept: str, client: FlaskClient
) -> None:
    response = client.open(url, method=method, headers={"Accept": accept})
    error = read_xml(response, status, accept)
    request_id = response.headers["X-Response-Id"]
    assert error.tag == root
    if root == "fault":
        assert [child.tag for child in error] == ["type", "code", "message", "details", "request_id"]
        assert (error.findtext("code"), error.findtext("request_id")) == (str(status), request_id)
    else:
        members = ["details", "gatewayHttpStatus", "httpStatus", "message", "requestId", "type"]
        assert [child.tag for child in error] == members
        assert (error.findtext("httpStatus"), error.findtext("requestId")) == (str(status), request_id)
    assert response.headers["Vary"] == "Accept"


def test_keys_and_characters_that_xml_cannot_hold_are_mapped(client: FlaskClient) -> None:
    odd = {"a b": 1, "x:y": [2, 3], "": {"1": None}, "ok": "\0\ufffe", "\0": "nul"}
    post(client, CHECK, item_at(NOW_MS, 5, **odd))
    url = f"{CHECK}/{id_at(NOW_MS, 5)}"
    root = read_xml(client.get(url, headers={"Accept": XML}))
    entries = [(entry.get("key"), entry.text) for entry in root.iterfind("entry")]
    assert entries == [("a b", "1"), ("x:y", "2"), ("x:y", "3"), ("", None), ("\ufffd", "nul")]
    assert root.findtext("ok") == "\ufffd\ufffd"
    assert get_json(client, url) == item_at(NOW_MS, 5, **odd)


def test_what_was_answered_in_xml_answers_the_same_xml_when_posted(client: FlaskClient) -> None:
    odd = {"a b": [1, None], "m": {"n": [[1], [2, 3]], "o": True}, "attempts": {"x": "1"}, "t": "1\r\n2"}
    post(client, CHECK, item_at(NOW_MS, 5, **odd))
    url = f"{ALARM}/chTwo"
    answered = client.get(f"{CHECK}/{id_at(NOW_MS, 5)}", headers={"Accept": XML})
    copied = client.post(url, data=answered.data, content_type=XML, headers={"Accept": XML})
    assert copied.status_code == 201
    one, other = (etree.tostring(validated(each.data), method="c14n") for each in (answered, copied))
    assert one == other
