"""On PostgreSQL, no statement brings more texts into an index than its time limit allows."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifhist.store.database import Database, PostgresqlDatabase, portions, postgresql
from notifhist.store.database.sql import rows
from notifhist.store.deliveries import recording
from tests.delivery_rows import assert_every_delivery_is_right
from tests.records import all_items
from tests.recount import assert_counts_are_true
from tests.unit.drafts import item, record_now, run

MOST = 3000
LENGTHS = (10, 700, 1500, 9000, 2900, 1, 1, 1400, 3100, 20, 30, 40)


@pytest.fixture(autouse=True)
def few_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "MOST_CHARACTERS", MOST)


def assert_statements_were_small(db: Database, table: str, *, transactions: bool) -> None:
    """Fail unless each statement, or transaction, that brought rows into a table brought one or MOST characters."""
    if isinstance(db, PostgresqlDatabase):
        by = "xmin" if transactions else "cmin"
        summed = f"SELECT count(*), sum(length(search_text)) FROM {table} GROUP BY CAST({by} AS text)"
        brought = rows(db, summed)
        assert 3 < len(brought) < len(LENGTHS)
        assert all(number == 1 or characters <= MOST for number, characters in brought)


def assert_all_is_right(db: Database) -> None:
    assert_every_delivery_is_right(db, "t", all_items(db))
    assert_counts_are_true(db, "t")


@pytest.mark.parametrize("state", ["x", "é🚨"])
def test_long_recent_deliveries_are_moved_by_several_transactions(
    db: Database, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    record_now(db, [item(100)])
    for n, length in enumerate(LENGTHS):
        record_now(db, [item(n, status=(state * length)[:length])])
    assert rows(db, "SELECT count(*) FROM delivery") == [(0,)]
    monkeypatch.setattr(recording, "_COUNT_AFTER", 1)
    monkeypatch.setattr(recording, "_MOVE_FROM", len(LENGTHS))
    record_now(db, [item(101)])
    assert rows(db, "SELECT count(*) FROM delivery_recent") == [(1,)]
    assert_statements_were_small(db, "delivery", transactions=True)
    assert_all_is_right(db)


def test_short_ones_are_moved_by_one(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(10):
        record_now(db, [item(n)])
    monkeypatch.setattr(recording, "_COUNT_AFTER", 1)
    monkeypatch.setattr(recording, "_MOVE_FROM", 10)
    record_now(db, [item(10)])
    assert rows(db, "SELECT count(*) FROM delivery") == [(10,)]
    if isinstance(db, PostgresqlDatabase):
        assert len(rows(db, "SELECT DISTINCT CAST(xmin AS text) FROM delivery")) == 1


@pytest.mark.parametrize("copied_from", [1, 500], ids=["copied", "as JSON"])
def test_many_long_ones_are_inserted_by_several_statements(
    db: Database, monkeypatch: pytest.MonkeyPatch, copied_from: int
) -> None:
    monkeypatch.setattr(postgresql, "_COPY_FROM_ROWS", copied_from)
    monkeypatch.setattr(recording, "_DIRECT_FROM", len(LENGTHS))
    record_now(db, [item(n, status="x" * length) for n, length in enumerate(LENGTHS)])
    record_now(db, [run(n, errorMessage="x" * length) for n, length in enumerate(LENGTHS)])
    for table in ("delivery", "notification_run"):
        assert rows(db, f"SELECT count(*) FROM {table}") == [(len(LENGTHS),)]
        assert_statements_were_small(db, table, transactions=False)
    assert_all_is_right(db)


@given(st.lists(st.integers(0, 2 * MOST)))
def test_portions_are_as_large_as_they_may_be(lengths: list[int]) -> None:
    records = [(n, "x" * length) for n, length in enumerate(lengths)]
    found = list(portions.portions_of(("id", "search_text"), records))
    assert [each for portion in found for each in portion] == records
    for portion, after in pairwise([*found, [(0, "x" * MOST * 2)]]):
        characters = sum(len(text) for _, text in portion)
        assert len(portion) <= 1 or characters <= MOST
        assert characters + len(after[0][1]) > MOST
    assert list(portions.portions_of(("id",), records)) == [records]
