"""A PostgreSQL that answers late, or takes no writes: 503 in the caller's format, counted, and over by itself."""

from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import etree

from notifhist.store.database import ensure_connected
from tests.conftest import NOW_MS, MakeApp, authorized
from tests.http.helpers import CHECK, FAULT_MEMBERS, RUN_ERROR_MEMBERS, RUNS, XML, item_at, run_of
from tests.unit.tenant_rows import connection_of

DEADLINE_S = 0.3


@pytest.fixture
def database_url(postgres_database: str) -> str:
    return postgres_database


def connection_to_database(app: Flask) -> Any:
    """Return the connection that the next request of this thread uses."""
    db = app.extensions["notifhist"].db
    ensure_connected(db)
    return connection_of(db)


def given_up(client: FlaskClient) -> int:
    (line,) = (line for line in client.get("/metrics").text.splitlines() if 'given_up_total{reason="late"}' in line)
    return int(float(line.rpartition(" ")[2]))


@pytest.mark.parametrize("accept", ["application/json", XML])
def test_a_late_answer_is_503_in_the_callers_format_and_counted(
    accept: str, make_app: MakeApp, key: str, database_url: str
) -> None:
    app = make_app()
    client = authorized(app, key, {"Accept": accept})
    for url, document, members in ((CHECK, item_at(NOW_MS), FAULT_MEMBERS), (RUNS, run_of(), RUN_ERROR_MEMBERS)):
        before = given_up(client)
        connection_to_database(app).longest_wait_s = DEADLINE_S
        with psycopg.connect(database_url) as other:
            other.execute("LOCK TABLE history_item, notification_run IN EXCLUSIVE MODE")
            refused = client.post(url, json=document)
            assert client.get(url).status_code == 200  # over another connection
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        named = (
            [str(each.tag) for each in etree.fromstring(refused.data)] if accept == XML else list(refused.get_json())
        )
        assert named == members
        assert given_up(client) == before + 1
        assert client.post(url, json=document).status_code == 201


def test_a_server_that_takes_no_writes_any_more_is_503_and_left(make_app: MakeApp, key: str) -> None:
    app = make_app()
    client = authorized(app, key)
    connection = connection_to_database(app)
    connection.execute("SET default_transaction_read_only = on")  # as a standby is, behind an address that moved
    refused = client.post(CHECK, json=item_at(NOW_MS))
    assert (refused.status_code, list(refused.get_json())) == (503, FAULT_MEMBERS)
    assert connection.closed
    assert client.post(CHECK, json=item_at(NOW_MS)).status_code == 201
