"""What a view declares is all that the service needs to know of it: an API of the tests' own shows it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from notifhist.auth import OBSERVER, RUNS_VIEW
from notifhist.factory import create_app
from notifhist.serializers.bodies import MAX_BODY_BYTES
from notifhist.web.apis import APIS
from tests.conftest import NOW, NOW_MS, MakeKey, authorized
from tests.contract.described import description_of
from tests.http.helpers import CHECK, assert_fault, item_at, post
from tests.http.toy_api import CLOSED, NOTE, OPEN_TOY, TOY, look

IN_CHUNKS = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
"""What a server says of a body whose length is not known in advance."""


@pytest.fixture
def app(sqlite_database: str) -> Iterator[Flask]:
    """An application that serves the toys too."""
    settings = {"DATABASE_URL": sqlite_database, "NOW": NOW, "RUNS_RATE_LIMIT": "6/minute"}
    app = create_app(settings, apis=(*APIS, TOY, OPEN_TOY))
    yield app
    app.extensions["notifhist"].db.close()


@pytest.fixture
def database_url(sqlite_database: str) -> str:
    """The database that keys are made in."""
    return sqlite_database


def accepting(client: FlaskClient, url: str, accept: str) -> tuple[int, str | None, bytes]:
    response = client.get(url, headers={"Accept": accept})
    return response.status_code, response.content_type, response.data


def test_a_word_in_a_route_is_not_taken_for_an_id(client: FlaskClient) -> None:
    assert client.get("/toys/logs/run").json == {"text": "the runs"}
    assert client.get("/toys/logs/other").json == {"text": "other"}


def test_a_list_is_answered_in_a_format_of_its_view_alone(client: FlaskClient) -> None:
    item = item_at(NOW_MS)
    post(client, CHECK, item)
    url = "/toys/checks/enOne/alOne/chOne"
    lines = f"id,state\r\n{item['id']},OK\r\n".encode()
    assert accepting(client, url, "text/csv, */*;q=0.1") == (200, "text/csv; charset=utf-8", lines)
    assert json.loads(accepting(client, url, "application/json")[2])["values"] == [item]
    fault = assert_fault(client.get(CHECK, headers={"Accept": "text/csv"}), 406, "notAcceptable")
    assert fault["message"].endswith("accept application/json or application/xml.")


@pytest.mark.parametrize("accept", ["text/html", "text/*", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"])
def test_a_view_may_offer_html(accept: str, client: FlaskClient) -> None:
    expected = (200, "text/html; charset=utf-8", b"<p>for people</p>")
    assert accepting(client, "/toys/page", accept) == expected


def test_errors_are_json_or_xml_whatever_a_view_offers(client: FlaskClient) -> None:
    for url in ("/toys/page", "/toys/checks/a/b/c?limit=0"):
        for accept in ("image/png", "text/csv;q=0, application/json;q=0"):
            status, content_type, body = accepting(client, url, accept)
            assert (status, content_type) == (406, "application/json")
    assert json.loads(body)["message"].endswith("application/json or application/xml or text/csv.")
    assert accepting(client, "/toys/page", "application/xml")[:2] == (406, "application/xml; charset=utf-8")
    assert accepting(client, "/toys/checks/a/b/c?limit=0", "text/csv")[:2] == (400, "application/json")


def test_a_body_may_have_a_format_and_a_size_of_its_own(client: FlaskClient) -> None:
    def send(body: bytes, content_type: str = "application/x-protobuf", **headers: str) -> Any:
        return client.post("/toys/notes", data=body, content_type=content_type, headers=headers)

    assert send(b"\n\x05hello").data == b"<p>hello</p>"
    assert send(b"\n\x05hello").content_type == "application/x-protobuf"
    assert_fault(send(b"no message"), 400, "badRequest")
    large = assert_fault(send(b"\n\x50" + b"x" * 80), 413, "requestTooLargeError")
    assert large["message"] == "The body is too large: it may have 64 bytes."


def test_a_body_of_another_format_is_told_which_are_read(client: FlaskClient) -> None:
    response = client.post("/toys/notes", json={"text": "x"})
    fault = assert_fault(response, 415, "unsupportedMediaType")
    assert fault["message"] == "Send the body as application/x-protobuf, and say so in Content-Type."


def test_a_view_may_read_more_than_others(client: FlaskClient) -> None:
    text = "x" * MAX_BODY_BYTES
    assert client.post("/toys/large", json={"text": text}).text == str(MAX_BODY_BYTES)
    assert_fault(client.post("/toys/large", json={"text": text * 2}), 413, "requestTooLargeError")


def test_a_body_that_no_view_declares_is_bounded_too(client: FlaskClient) -> None:
    assert client.post("/toys/raw", data=b"x" * MAX_BODY_BYTES).text == str(MAX_BODY_BYTES)
    for environ in ({}, IN_CHUNKS):
        response = client.post("/toys/raw", data=b"x" * (MAX_BODY_BYTES + 1), environ_overrides=environ)
        assert_fault(response, 413, "requestTooLargeError")


def test_a_body_in_chunks_is_not_cut_off_at_its_largest_size(client: FlaskClient) -> None:
    item = item_at(NOW_MS)
    whole = json.dumps(item).encode().ljust(MAX_BODY_BYTES)
    for body, status in ((whole, 201), (whole + b" ", 413)):
        url = f"{CHECK}/{item['id']}"
        response = client.put(url, data=body, content_type="application/json", environ_overrides=IN_CHUNKS)
        assert response.status_code == status


def test_key_role_and_rate_limit_are_those_declared(app: Flask, make_key: MakeKey) -> None:
    assert_fault(app.test_client().get("/toys/page"), 401, "unauthorizedError")
    other = authorized(app, make_key(RUNS_VIEW))
    assert OBSERVER in assert_fault(other.get("/toys/page"), 403, "forbiddenError")["message"]
    client = authorized(app, make_key(OBSERVER))
    statuses = [client.get("/toys/logs/run").status_code for _ in range(7)]
    assert statuses == [*[200] * 6, 429]
    assert "X-RateLimit-Limit" not in client.get("/toys/logs/run").headers
    assert 'notifhist_rate_limited_total{api="toy"} 2.0' in app.test_client().get("/metrics").text


def test_an_api_may_do_without_keys(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/open-toys/greetings/you", headers={"Accept": "text/xml"}).text.endswith(
        "<note><text>you</text></note>"
    )
    assert_fault(client.get("/open-toys/greetings/y%00u"), 400, "badRequest")
    assert_fault(client.get("/open-toys/greetings"), 404, "notFoundError")
    assert_fault(client.post("/open-toys/greetings/you"), 405, "methodNotAllowed")


def test_a_url_that_is_no_route_is_answered_by_the_api_above_it(client: FlaskClient) -> None:
    assert_fault(client.get("/toys/none"), 404, "notFoundError")
    with_problem = client.get("/api/none")
    assert with_problem.get_json()["httpStatus"] == 404


def test_metrics_count_the_route_and_openapi_describes_it(app: Flask, client: FlaskClient) -> None:
    client.get("/toys/logs/run")
    counted = 'notifhist_requests_total{method="GET",route="/toys/logs/run",status="200"} 1.0'
    assert counted in client.get("/metrics").text
    description = description_of(app)
    validate(description.document)
    content = description.response("list_items_as_csv", 200)["content"]
    assert content["text/csv"] == {"schema": {"type": "string"}}
    assert list(content) == ["application/json", "application/xml", "text/xml", "text/csv"]
    body = description.operation("record_note")["requestBody"]["content"]
    assert body == {"application/x-protobuf": {"schema": {"type": "string"}}}
    assert description.operation("read_log")["security"] == [{"Bearer": []}, {"X-Auth-Token": []}]
    assert description.operation("read_log")["description"] == f"Needs the role `{OBSERVER}`."
    assert description.document["components"]["schemas"]["Note"]["description"] == NOTE.description
    assert "401" in description.operation("read_log")["responses"]
    assert "security" not in description.operation("greet")


def test_applications_describe_their_own_apis(app: Flask, sqlite_database: str) -> None:
    without = create_app({"DATABASE_URL": sqlite_database})
    paths: list[Mapping[str, Any]] = [description_of(each).document["paths"] for each in (app, without)]
    assert ["/toys/page" in each for each in paths] == [True, False]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_an_answer_holds_is_closed(method: str, app: Flask) -> None:
    CLOSED.clear()
    response = app.test_client().open("/open-toys/stream/abc", method=method)
    assert response.data == (b"abc" if method == "GET" else b"")
    response.close()
    assert CLOSED[-1] == "the response"
    assert ("the stream" in CLOSED) == (method == "GET")  # one that has not begun holds nothing


def test_a_stream_is_closed_when_the_client_goes_away(app: Flask) -> None:
    CLOSED.clear()
    response = app.test_client().get("/open-toys/stream/abc", buffered=False)
    pieces = iter(response.response)
    assert next(pieces) == b"a"
    assert CLOSED == []
    response.close()
    assert sorted(CLOSED) == ["the response", "the stream"]


def test_a_view_without_declaration_is_refused(app: Flask) -> None:
    blueprint = Blueprint("stray", __name__)
    blueprint.add_url_rule("/stray", view_func=lambda: "", endpoint="view")
    with pytest.raises(TypeError, match="The view at /stray has no declaration"):
        app.register_blueprint(blueprint)
    with pytest.raises(TypeError, match="has no declaration"):
        app.add_url_rule("/stray", view_func=look)
    assert_fault(app.test_client().get("/stray"), 404, "notFoundError")
