"""A list that may be streamed: a toy is added without touching the package (docs/extending.md, "A format")."""

import csv
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO, StringIO
from typing import Any
from wsgiref.handlers import SimpleHandler

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from werkzeug.test import create_environ

from notifhist.schemas.instants import format_instant
from notifhist.serializers.lines import BATCH
from notifhist.store.database import Database
from notifhist.web.apis import APIS
from notifhist.web.streams import BrokenStream
from tests.conftest import MakeApp
from tests.contract.described import description_of
from tests.http.helpers import assert_fault, read_xml
from tests.http.toy_stream import STREAMS, document

COUNT = 5 * BATCH + 1
URL = f"/streams/numbers/{COUNT}"
HEADER = ["timestamp", "number", "parity", "text"]


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(apis=(*APIS, STREAMS))


def rows(data: bytes) -> list[list[str]]:
    return list(csv.reader(StringIO(data.decode(), newline=""), strict=True))


def row(number: int) -> list[str]:
    cells = document(number)
    return [format_instant(number * 1000), str(number), str(cells["parity"]), f"'{cells['text']}"]


def test_all_is_streamed_as_csv(client: FlaskClient) -> None:
    response = client.get(URL, headers={"Accept": "text/csv"})
    assert response.status_code == 200
    assert response.content_type == "text/csv; charset=utf-8; header=present"
    assert response.headers["Content-Disposition"] == f'attachment; filename="numbers-{COUNT}.csv"'
    assert response.headers["Vary"] == "Accept"
    assert not {"ETag", "Content-Length"} & set(response.headers.keys())
    assert rows(response.data) == [HEADER, *(row(number) for number in range(1, COUNT + 1))]


def test_all_is_streamed_as_ndjson(client: FlaskClient) -> None:
    response = client.get(URL, headers={"Accept": "application/x-ndjson"})
    assert response.content_type == "application/x-ndjson"
    assert response.headers["Content-Disposition"] == f'attachment; filename="numbers-{COUNT}.ndjson"'
    assert [json.loads(line) for line in response.data.splitlines()] == [document(n) for n in range(1, COUNT + 1)]


def test_nothing_is_a_header_line_alone(client: FlaskClient) -> None:
    assert rows(client.get("/streams/numbers/0?format=csv").data) == [HEADER]
    assert client.get("/streams/numbers/0?format=ndjson").data == b""


def test_a_page_has_the_same_form(client: FlaskClient) -> None:
    assert rows(client.get(f"{URL}?format=csv&limit=3").data) == [HEADER, row(1), row(2), row(3)]
    lines = client.get(f"{URL}?limit=2", headers={"Accept": "application/x-ndjson"}).data.splitlines()
    assert [json.loads(line) for line in lines] == [document(1), document(2)]
    assert "Content-Disposition" not in client.get(f"{URL}?format=json").headers


@pytest.mark.parametrize("accept", ["application/json", "application/xml", "image/png", "*/*", ""])
def test_the_parameter_format_beats_accept(client: FlaskClient, accept: str) -> None:
    def asked(word: str) -> str | None:
        response = client.get(f"{URL}?limit=1&format={word}", headers={"Accept": accept})
        assert (response.status_code, response.headers["Vary"]) == (200, "Accept")
        return response.content_type

    assert asked("json") == "application/json"
    assert asked("xml") == "application/xml; charset=utf-8"
    assert asked("csv") == "text/csv; charset=utf-8; header=present"
    assert asked("ndjson") == "application/x-ndjson"
    assert asked("csv&format=json") == "text/csv; charset=utf-8; header=present"


@pytest.mark.parametrize("word", ["", "CSV", "html", "text/csv", "js%00n"])
def test_an_unknown_format_is_an_error_in_the_form_of_accept(client: FlaskClient, word: str) -> None:
    for accept in ("*/*", "text/csv", "image/png", "application/json"):
        fault = assert_fault(client.get(f"{URL}?format={word}", headers={"Accept": accept}), 400, "badRequest")
        assert fault["details"].endswith("is none of json, xml, csv, ndjson")
    root = read_xml(client.get(f"{URL}?format={word}", headers={"Accept": "application/xml"}), 400)
    assert root.findtext("type") == "badRequest"


def test_other_errors_are_in_the_format_named_if_errors_have_it(client: FlaskClient) -> None:
    in_xml = {"Accept": "application/xml"}
    assert_fault(client.get("/streams/numbers/1%00?format=json"), 400, "badRequest")
    url = f"{URL}?failsAt=0&format="
    assert_fault(client.get(f"{url}csv"), 503, "systemFailureError")
    read_xml(client.get(f"{url}csv", headers=in_xml), 503)
    assert client.get(f"{url}ndjson", headers={"Accept": "application/xml"}).mimetype == "application/xml"


def test_other_views_ignore_the_parameter(client: FlaskClient) -> None:
    for word in ("xml", "csv", "nothing"):
        assert client.get(f"/streams/none?format={word}").content_type == "application/json"
    assert_fault(client.get("/streams/none", headers={"Accept": "text/csv"}), 406, "notAcceptable")


def test_what_fails_before_the_first_piece_is_an_error(client: FlaskClient) -> None:
    for word in ("csv", "ndjson"):
        assert_fault(client.get(f"{URL}?format={word}&failsAt=0"), 503, "systemFailureError")
    assert client.get(f"{URL}?format=csv").status_code == 200


def test_what_fails_midway_breaks_the_stream_off(client: FlaskClient, app: Flask) -> None:
    response: Any = client.get(f"{URL}?format=csv&failsAt=2", buffered=False)
    pieces = iter(response.response)
    assert response.status_code == 200
    assert [len(rows(next(pieces))) for _ in range(2)] == [BATCH + 1, BATCH]
    with pytest.raises(BrokenStream, match="no_such_table") as caught:
        next(pieces)
    assert caught.value.__suppress_context__  # of a connection, it may hold a password
    response.close()
    assert app.extensions["notifhist"].db.is_closed()
    assert client.get(f"{URL}?format=csv").status_code == 200


def test_each_piece_may_be_made_by_another_thread_and_nothing_is_held_between(
    client: FlaskClient, app: Flask, db: Database
) -> None:
    service_db: Database = app.extensions["notifhist"].db
    pieces: Any = iter(client.get(f"{URL}?format=ndjson", buffered=False).response)

    def make(_: int) -> bytes:
        try:
            piece: bytes = next(pieces)
            assert not service_db.in_transaction()
            return piece
        finally:
            service_db.close()

    made = []
    for n in range(6):
        with ThreadPoolExecutor(1) as pool:
            made += [pool.submit(make, n).result()]
            assert others_are_let_in(db)
    assert [len(piece.splitlines()) for piece in made] == [BATCH] * 5 + [1]
    assert next(pieces, None) is None


def others_are_let_in(db: Database) -> bool:
    """Say whether nobody keeps anything: SQLite's log can be emptied, no other session of PostgreSQL's is in use."""
    if db.runs_in_process:
        return bool(db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    in_use = "backend_type = 'client backend' AND xact_start IS NOT NULL"
    return bool(db.execute_sql(f"{others} AND {in_use}").fetchone()[0] == 0)


def test_a_client_that_goes_away_ends_what_reads(client: FlaskClient) -> None:
    response = client.get(f"{URL}?format=csv", buffered=False)
    pieces = iter(response.response)
    next(pieces)
    response.close()
    assert list(pieces) == []


def test_head_is_get_without_a_body(client: FlaskClient) -> None:
    got, head = (client.open(f"{URL}?format=csv", method=method) for method in ("GET", "HEAD"))
    assert (head.status_code, head.data) == (200, b"")
    for name in ("Content-Type", "Content-Disposition"):
        assert head.headers[name] == got.headers[name]


def test_any_server_of_wsgi_sends_it(app: Flask, key: str) -> None:
    environ = create_environ(URL, query_string="format=csv", headers={"X-Auth-Token": key})
    sent = BytesIO()
    SimpleHandler(BytesIO(), sent, StringIO(), environ).run(app)
    assert len(rows(sent.getvalue().partition(b"\r\n\r\n")[2])) == COUNT + 1


@pytest.fixture
def access_log() -> Iterator[list[logging.LogRecord]]:
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[assignment, method-assign]
    logger = logging.getLogger("notifhist.access")
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    yield records
    logger.setLevel(before)
    logger.removeHandler(handler)


def test_a_stream_is_logged_and_counted_once_as_it_begins(
    client: FlaskClient, access_log: list[logging.LogRecord]
) -> None:
    response: Any = client.get(f"{URL}?format=csv", buffered=False)
    (record,) = access_log
    assert isinstance(record.args, dict)
    assert (record.args["status"], record.args["bytes"]) == (200, 0)
    b"".join(response.response)
    assert len(access_log) == 1
    counted = 'notifhist_requests_total{method="GET",route="/streams/numbers/<count>",status="200"} 1.0'
    assert counted in client.get("/metrics").text


def test_openapi_describes_formats_and_parameter(app: Flask) -> None:
    description = description_of(app)
    validate(description.document)
    (parameter,) = description.operation("list_numbers")["parameters"]
    assert (parameter["name"], parameter["schema"]["enum"]) == ("format", ["json", "xml", "csv", "ndjson"])
    answer = description.response("list_numbers", 200)
    assert {"text/csv", "application/x-ndjson"} <= answer["content"].keys()
    assert answer["headers"]["Content-Disposition"]["required"] is False
    assert "parameters" not in description.operation("list_none")
