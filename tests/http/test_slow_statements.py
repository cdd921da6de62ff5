"""Statements that would never end: the request is answered 503 in its format, the next one as if nothing was."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import etree

from notifhist.store.database import Database, ensure_connected
from tests.conftest import NOW_MS, MakeApp, authorized
from tests.http.helpers import CHECK, FAULT_MEMBERS, RUN_ERROR_MEMBERS, RUNS, XML, item_at, run_of

COLUMNS = {
    "history_item": ("series_id", "ticks", "clock_and_node", "document", "xml", "xml_version"),
    "notification_run": ("number", "tenant_id", "id", "date_created", "search_text", "brief", "document"),
}


@pytest.fixture
def impatient(make_app: MakeApp, key: str) -> FlaskClient:
    return authorized(make_app(STATEMENT_TIMEOUT_S=1), key)


@contextmanager
def endless(db: Database, table: str) -> Iterator[None]:
    """Put in the place of a table one of which no query finds the end."""
    columns = ", ".join(
        f"{'i' if name not in ('document', 'xml', 'brief', 'search_text') else 'CAST(i AS TEXT)'} AS {name}"
        for name in COLUMNS[table]
    )
    rows = "SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i > 0"
    db.execute_sql(f"ALTER TABLE {table} RENAME TO {table}_kept")
    db.execute_sql(f"CREATE VIEW {table} AS WITH RECURSIVE n (i) AS ({rows}) SELECT {columns} FROM n")
    try:
        yield
    finally:
        db.execute_sql(f"DROP VIEW {table}")
        db.execute_sql(f"ALTER TABLE {table}_kept RENAME TO {table}")


def test_an_item_that_takes_too_long_is_503_in_the_callers_format(impatient: FlaskClient, db: Database) -> None:
    item = item_at(NOW_MS)
    assert impatient.post(CHECK, json=item).status_code == 201
    with endless(db, "history_item"):
        refused = impatient.get(CHECK)
        in_xml = impatient.get(CHECK, headers={"Accept": XML})
    fault = refused.get_json()
    assert (refused.status_code, in_xml.status_code) == (503, 503)
    assert list(fault) == FAULT_MEMBERS
    assert (fault["type"], fault["code"]) == ("systemFailureError", "503")
    assert "Ask for less" in fault["details"]
    assert int(refused.headers["Retry-After"]) > 0
    assert [str(member.tag) for member in etree.fromstring(in_xml.data)] == FAULT_MEMBERS
    assert impatient.get(f"{CHECK}/{item['id']}").get_json() == item


def test_a_search_that_takes_too_long_is_503(impatient: FlaskClient, db: Database) -> None:
    assert impatient.post(RUNS, json=run_of(id=1, summary="ab")).status_code == 201
    with endless(db, "notification_run"):
        refused = impatient.get(f"{RUNS}?searchQuery=ab")
    error = refused.get_json()
    assert list(error) == RUN_ERROR_MEMBERS
    assert (error["httpStatus"], error["type"]) == (503, "UNHANDLED_EXCEPTION")
    assert impatient.get(f"{RUNS}?searchQuery=ab").get_json()["total"] == 1


def test_a_write_that_takes_too_long_is_told_so_and_undone(impatient: FlaskClient, db: Database) -> None:
    with endless(db, "notification_run"):
        refused = impatient.post(RUNS, json=run_of(id=1))
    assert refused.status_code == 503
    assert "Ask for less" not in refused.get_json()["details"]
    assert impatient.get(RUNS).get_json()["total"] == 0


# PostgreSQL's limit of 1 GB cannot be lowered.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_pages_are_not_bound_by_the_longest_text_of_the_database_but_one_record_is(
    app: Flask, client: FlaskClient
) -> None:
    database = app.extensions["notifhist"].db
    for n in range(4):
        assert client.post(CHECK, json=item_at(NOW_MS, n, status="x" * 10_000)).status_code == 201
    database.connection().setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 30_000)
    assert client.get(CHECK).data.count(b"x" * 10_000) == 4
    database.connection().setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 9_000)
    refused = client.get(f"{CHECK}?limit=1")
    assert (refused.status_code, refused.get_json()["type"]) == (503, "systemFailureError")
    ensure_connected(database)
    assert client.get(CHECK).status_code == 200
