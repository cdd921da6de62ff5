"""On PostgreSQL, to record a new item of a known series takes one statement; each is a round trip."""

from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient

from notifhist.config import MS_PER_DAY
from notifhist.store.database import Database
from tests.conftest import NOW_MS
from tests.http.helpers import CHECK, RUNS, item_at, post, run_of

on_postgresql = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All statements, without those for what each request needs: a connection that works, and a key."""
    execute, statements = psycopg.Cursor.execute, []

    def noted(self: Any, query: str, *arguments: Any, **options: Any) -> Any:
        if query != "SELECT 1" and "api_key" not in query:
            statements.append(query)
        return execute(self, query, *arguments, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    return statements


@on_postgresql
@pytest.mark.parametrize("age_days", [0, 1, 60, 15_000], ids=["now", "yesterday", "expired", "without a partition"])
def test_a_post_of_a_new_item_is_one_statement(
    db: Database, client: FlaskClient, executed: list[str], age_days: int
) -> None:
    if not db.inserts_alone:
        pytest.skip("This database stores no item by one statement.")
    ms = NOW_MS - age_days * MS_PER_DAY
    post(client, CHECK, item_at(ms))
    post(client, CHECK, item_at(ms, 1))  # looks up the codes of names that were new a moment ago
    for number in range(2, 10):
        executed.clear()
        post(client, CHECK, item_at(ms, number))
        assert [each.split()[:3] for each in executed] == [["WITH", "item", "AS"]]
        assert "INSERT INTO history_item" in executed[0]
        assert "INSERT INTO delivery_recent" in executed[0]


@on_postgresql
def test_what_is_more_than_a_new_item_takes_a_transaction(
    db: Database, client: FlaskClient, executed: list[str]
) -> None:
    if not db.inserts_alone:
        pytest.skip("This database tries to insert by a transaction first.")
    post(client, f"{CHECK}-another", item_at(NOW_MS))  # which may make the partitions of the week
    for url, document, status in [
        (CHECK, item_at(NOW_MS), 201),
        (CHECK, item_at(NOW_MS), 200),
        (CHECK, item_at(NOW_MS, state="WARNING"), 400),
        (CHECK, {"values": [item_at(NOW_MS, 1), item_at(NOW_MS, 2)]}, 201),
        (RUNS, run_of(id=1), 201),
    ]:
        executed.clear()
        post(client, url, document, status)
        assert executed.count("BEGIN") == 1, document
