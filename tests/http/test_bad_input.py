"""Bad input gets an error that says what is wrong, and changes nothing; `bad_input_cases` is the table."""

import json
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import psycopg
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from werkzeug.test import TestResponse

from notifhist.auth import ADMIN, RUNS_EDIT, ApiKey, new_key
from notifhist.factory import create_app
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.keys import add_key
from notifhist.store.machine import machine_directory
from notifhist.store.migrating import migrate
from tests.conftest import NAMED_POSTGRES, NOW, TENANT, authorized, every_row, without_tables
from tests.http.bad_input_cases import ATTEMPTS, ITEM_ID, RUN_ID, Case, header_cases, json_item, path_cases
from tests.http.bad_json_cases import conflict_cases, json_cases
from tests.http.bad_query_cases import query_cases
from tests.http.bad_xml_cases import xml_cases, xml_item
from tests.http.helpers import CHECK, FAULT_MEMBERS, IN_XML, JSON, RUN_ERROR_MEMBERS, RUNS, XML, post, run_of, validated

CASES = [*query_cases(), *path_cases(), *header_cases(), *json_cases(), *xml_cases(), *conflict_cases()]
FORMATS = (JSON, XML)


@dataclass(frozen=True)
class Served:
    """An app over a database with one item and one run; no test of this module changes that."""

    db: Database
    client: FlaskClient
    rows: dict[str, list[str]]

    def ask(self, case: Case, **headers: str) -> TestResponse:
        """Return the answer to a request as a server hands it on: path decoded to bytes, query as sent."""
        path, _, query = case.url.partition("?")
        environ = {
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "RAW_URI": case.url,
            **case.environ,
        }
        return self.client.open(
            method=case.method,
            data=case.body,
            content_type=case.content_type,
            headers={**headers, **case.headers},
            environ_overrides=environ,
        )


@contextmanager
def serving(url: str) -> Iterator[Served]:
    db = open_database(url, create=True)
    ensure_connected(db)
    migrate(db)
    key, key_id, secret_hash = new_key()
    add_key(db, ApiKey(key_id, "test", TENANT, (ADMIN, RUNS_EDIT), secret_hash, 0))
    app = create_app({"DATABASE_URL": url, "NOW": NOW, "HISTORY_RATE_LIMIT": "", "RUNS_RATE_LIMIT": ""})
    client = authorized(app, key)
    result = {"notification_id": "ntOne", "attempts": []}
    post(client, CHECK, {"id": ITEM_ID, "state": "WARNING", "notification_results": [result]})
    post(client, RUNS, run_of(id=RUN_ID))
    yield Served(db, client, every_row(db))
    for each in (db, app.extensions["notifhist"].db):
        assert not each.in_transaction()
        each.close()
    shutil.rmtree(machine_directory(url), ignore_errors=True)


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(f"sqlite:///{tmp_path_factory.mktemp('bad')}/notifhist.db") as served:
        yield served


@pytest.fixture(scope="module")
def on_postgres(request: pytest.FixtureRequest) -> Iterator[Served]:
    if NAMED_POSTGRES:
        with without_tables(request.getfixturevalue("postgres_tables")) as url, serving(url) as served:
            yield served
        return
    postgres_url: str = request.getfixturevalue("postgres_url")
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        with serving(postgres_url.replace("/postgres?", f"/{name}?")) as served:
            yield served
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module", params=["on_sqlite", "on_postgres"])
def served(request: pytest.FixtureRequest) -> Served:
    found: Served = request.getfixturevalue(request.param)
    return found


def error_of(response: TestResponse, is_of_runs: bool) -> dict[str, Any]:
    """Return the members of an error, less the request's id, the same from JSON as from XML."""
    names = RUN_ERROR_MEMBERS if is_of_runs else FAULT_MEMBERS
    if response.content_type == JSON:
        error: dict[str, Any] = json.loads(response.data)
    else:
        assert response.content_type == IN_XML
        root = validated(response.data)
        assert root.tag == ("error" if is_of_runs else "fault")
        error = {str(child.tag): child.text or "" for child in root}
        if is_of_runs:
            error |= {name: int(error[name]) for name in ("httpStatus", "gatewayHttpStatus")}
    assert list(error) == names
    assert error.pop("requestId" if is_of_runs else "request_id") == response.headers["X-Response-Id"]
    return error


def assert_is_the_error(case: Case, response: TestResponse) -> None:
    assert response.status_code == case.status, response.text
    error = error_of(response, case.is_of_runs)
    details = case.details
    if isinstance(details, re.Pattern):
        assert details.fullmatch(error["details"])
        details = error["details"]
    expected: dict[str, Any] = {"type": case.error_type, "message": case.message, "details": details}
    if case.is_of_runs:
        expected |= {"gatewayHttpStatus": 0, "httpStatus": case.status}
    else:
        expected |= {"code": str(case.status)}
    assert error == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_answered_with_what_is_wrong_and_changes_nothing(served: Served, case: Case) -> None:
    for media_type in FORMATS if case.status != 406 else (JSON,):
        assert_is_the_error(case, served.ask(case, Accept=media_type))
    assert every_row(served.db) == served.rows


def test_each_case_of_the_table_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 70


@pytest.mark.parametrize("content_type", FORMATS)
@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_container_with_one_bad_document_among_good_ones_stores_nothing(
    served: Served, content_type: str, place: int
) -> None:
    documents = [json_item() if content_type == JSON else xml_item()] * 6
    documents.insert(place, documents[0].replace(b"state", b"stale"))
    body = b'{"values":[%b]}' % b",".join(documents)
    if content_type == XML:
        body = b"<container><values>%b</values></container>" % b"".join(documents)
    response = served.client.post(CHECK, data=body, content_type=content_type)
    assert response.status_code == 400
    assert json.loads(response.data)["details"] == f"values[{place}].state: Missing data for required field"
    assert every_row(served.db) == served.rows


def test_legal_but_unusual_xml_is_taken(served: Served) -> None:
    plain = f'<notification_run id="{RUN_ID}"><medium>EMAIL</medium><status>CREATED</status>%s</notification_run>'
    plain %= "<notificationType>WEEKLY_REPORT</notificationType>"
    for body in (
        plain.encode(),
        f'<?xml version="1.0" encoding="utf-16"?>{plain}'.encode("utf-16"),
        f'<?xml version="1.0" encoding="iso-8859-1"?>{plain}'.encode("latin-1"),
        f"\ufeff{plain}".encode(),
        f'<?xml-stylesheet href="x"?>{plain}<!-- x -->'.encode(),
        plain.replace("EMAIL", "<![CDATA[EM]]><?x y?>A<!-- -->IL").encode(),
    ):
        response = served.client.post(RUNS, data=body, content_type=XML)
        assert response.status_code == 200, response.text  # the same again
    assert every_row(served.db) == served.rows


def test_no_entity_and_no_inclusion_fetches_anything(served: Served) -> None:
    secret = "root:"  # of /etc/passwd
    for case in CASES:
        if "entity of" in case.name:
            assert secret not in served.ask(case).text
    include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>'
    response = served.client.post(CHECK, data=xml_item(include), content_type=XML)
    assert response.status_code == 400
    assert secret not in response.text


few = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
urls, media_types = st.sampled_from([CHECK, RUNS, ATTEMPTS]), st.sampled_from(FORMATS)
names = st.sampled_from(["id", "timestamp", "state", "notification_results", "values", "runs", "message"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(names | st.text(st.characters(), max_size=3), inner, max_size=4)
    ),
    max_leaves=8,
)
item, results = "alarm_notification_history_item", "<notification_results/>"
pieces = [f"<{item}>", f"</{item}>", results, "<state>", "</state>", "<container>", "</container>", "<values>"]
pieces += ["<!DOCTYPE x [", "]>", "<![CDATA[", "]]>", "&amp;", "&x;", "&#0;", "<?x", "?>", "<!--", "-->", ' y="1"']
xml_texts = st.lists(st.sampled_from(pieces) | st.text(max_size=3), max_size=8).map("".join)
parameters = st.sampled_from(
    [
        "from",
        "to",
        "limit",
        "marker",
        "reverse",
        "fromDate",
        "untilDate",
        "page",
        "pageSize",
        "searchQuery",
        "statuses",
        "orderBy",
    ]
)
queries = st.lists(st.tuples(parameters, st.text() | st.integers().map(str)), max_size=4)


@pytest.fixture
def random_served(tmp_path: Path) -> Iterator[Served]:
    """A service that may store what random input happens to be sound."""
    with serving(f"sqlite:///{tmp_path}/random.db") as served:
        yield served


def assert_no_failure(response: TestResponse) -> None:
    assert response.status_code < 500, response.text
    if response.content_type == JSON:
        json.loads(response.data)
    else:
        assert response.content_type == IN_XML
        etree.fromstring(response.data)


@few
@given(body=st.binary(max_size=200), url=urls, sent=media_types, wanted=media_types)
def test_random_bytes_never_fail_the_service(
    random_served: Served, body: bytes, url: str, sent: str, wanted: str
) -> None:
    assert_no_failure(random_served.client.post(url, data=body, content_type=sent, headers={"Accept": wanted}))


@few
@given(value=json_values, url=urls, wanted=media_types)
def test_random_json_never_fails_the_service(random_served: Served, value: object, url: str, wanted: str) -> None:
    body = json.dumps(value)
    assert_no_failure(random_served.client.post(url, data=body, content_type=JSON, headers={"Accept": wanted}))


@few
@given(text=xml_texts, whole=st.booleans(), url=urls, wanted=media_types)
def test_random_xml_never_fails_the_service(
    random_served: Served, text: str, whole: bool, url: str, wanted: str
) -> None:
    body = f"<{item}><state>OK</state>{results}{text}</{item}>" if whole else text
    headers = {"Accept": wanted}
    assert_no_failure(random_served.client.post(url, data=body.encode(), content_type=XML, headers=headers))


@few
@given(pairs=queries, tail=st.binary(max_size=20), url=st.sampled_from([CHECK, RUNS]), wanted=media_types)
def test_random_queries_never_fail_the_service(
    random_served: Served, pairs: list[tuple[str, str]], tail: bytes, url: str, wanted: str
) -> None:
    query = "&".join(f"{name}={quote(value)}" for name, value in pairs) + tail.decode("latin-1")
    assert_no_failure(random_served.ask(Case("random", f"{url}?{query}", ""), Accept=wanted))
