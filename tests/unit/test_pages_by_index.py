"""A page by a filter that is not counted, or by few matches of one that is, is read by the filter's own index."""

from itertools import product
from typing import Any

import pytest

from notifhist.schemas.logs import LOG
from notifhist.schemas.query import LogsQuery
from notifhist.store.counted import pages
from notifhist.store.counted.pages import list_records
from notifhist.store.database import Database, SqliteDatabase
from notifhist.store.database.sql import rows
from notifhist.store.logs import TABLE
from tests.conftest import NOW_MS
from tests.http.helpers import log_of
from tests.records import record_logs

LOGS = 2000
MEMBERS = {
    "notification_run_ids": ("runId", "{}"),
    "recipient_emails": ("recipientEmail", "user-{}@example.com"),
    "recipient_entity_ids": ("recipientEntityId", "{}"),
    "recipient_channels": ("recipientChannel", "#{}"),
}
"""The open filters: the member of a log, and its value for each two logs."""
COLUMNS = {each.parameter: each.column for each in TABLE.indexed}
Plans = list[str]


def value_of(parameter: str, n: int) -> Any:
    text = MEMBERS[parameter][1].format(n)
    return int(text) if parameter.endswith("_ids") else text


@pytest.fixture
def many(db: Database) -> Database:
    """A database with LOGS logs, each two alike; the last 20 are the only ones that failed or were ignored."""
    logs = []
    for n in range(LOGS):
        status = ("FAILED" if n % 2 else "IGNORED") if n >= LOGS - 20 else "DELIVERED"
        members = {member: value_of(parameter, n // 2) for parameter, (member, _) in MEMBERS.items()}
        logs.append(LOG.load(log_of(**members, status=status)) | {"date_created": NOW_MS - n})
    record_logs(db, "t", logs)
    if not isinstance(db, SqliteDatabase):
        db.execute_sql("ANALYZE notification_log")  # as the server does it by itself after a while
    return db


@pytest.fixture
def plans(many: Database, monkeypatch: pytest.MonkeyPatch) -> Plans:
    """The plans of all statements that counted or fetched logs."""
    explained: Plans = []

    first_within = type(many).first_within

    def explain(db: Database, text: str, **values: object) -> None:
        word = "EXPLAIN QUERY PLAN" if isinstance(db, SqliteDatabase) else "EXPLAIN"
        explained.append("\n".join(str(row[-1]) for row in rows(db, f"{word} {text}", **values)))

    def explain_and_run(db: Database, text: str, **values: object) -> Any:
        explain(db, text, **values)
        return rows(db, text, **values)

    def explain_and_fetch(db: Database, max_bytes: int, limit: int, text: str, values: dict[str, object]) -> Any:
        explain(db, text, **values, limit=limit, share=max_bytes)
        return first_within(db, max_bytes, limit, text, values)

    monkeypatch.setattr(pages, "rows", explain_and_run)
    monkeypatch.setattr(type(many), "first_within", explain_and_fetch)
    return explained


def test_a_page_by_an_open_filter_is_read_by_its_index(many: Database, plans: Plans) -> None:
    if many.nodes():
        pytest.skip("The nodes of a cluster make plans of their own.")
    for parameter, count, descending in product(MEMBERS, [1, 2, 30], [True, False]):
        plans.clear()
        wanted = tuple(value_of(parameter, 100 + n) for n in range(count))
        query = LogsQuery("t", **{parameter: wanted}, descending=descending)  # type: ignore[arg-type]
        assert list_records(many, TABLE, query).total == 2 * count
        assert len(plans) == 2, (parameter, count, descending)  # one counts, one fetches
        for plan in plans:
            assert f"log_{COLUMNS[parameter]}" in plan, (count, descending, plan)
            assert "log_date" not in plan, (count, descending, plan)


def test_of_several_open_filters_the_most_selective_one_leads(many: Database, plans: Plans) -> None:
    query = LogsQuery("t", recipient_channels=("#5", "#6"), notification_run_ids=(5, 6), statuses=("DELIVERED",))
    assert list_records(many, TABLE, query).total == 4
    if isinstance(many, SqliteDatabase):
        assert all("log_run_id" in plan for plan in plans)


def test_few_matches_of_several_values_are_read_by_their_index(many: Database, plans: Plans) -> None:
    query = LogsQuery("t", statuses=("FAILED", "IGNORED"))
    assert list_records(many, TABLE, query).total == 20
    assert len(plans) == 1  # the counts say how many
    assert "log_status" in plans[0], plans[0]
