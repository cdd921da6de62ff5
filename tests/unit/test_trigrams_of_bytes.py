"""A database from before trigrams of bytes: its texts are indexed again, and its counts of receivers alone go."""

import importlib

from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.fields import MAX_TIMESTAMP
from notifhist.schemas.query import RunsQuery
from notifhist.store.counted.table import PARTS
from notifhist.store.database import Database
from notifhist.store.database.sql import changed, rows
from notifhist.store.deliveries.reading import list_deliveries
from tests.records import list_runs, move_recent_deliveries
from tests.recount import assert_counts_are_true
from tests.unit.drafts import item, record_now, run

_RECEIVERS = "second_filter >> 40 = 7"
# A receiver alone was counted as often as with all outcomes together.
_COUNT_RECEIVERS = f"""INSERT INTO delivery_count
(tenant_id, level, bucket, first_filter, second_filter, {", ".join(PARTS)})
SELECT tenant_id, level, bucket, second_filter, 0, {", ".join(f"sum({part})" for part in PARTS)}
FROM delivery_count WHERE {_RECEIVERS} GROUP BY tenant_id, level, bucket, second_filter"""


def found(db: Database, text: str) -> tuple[int, int]:
    """Return how many deliveries and how many runs have a text."""
    deliveries = DeliveriesQuery("t", 0, MAX_TIMESTAMP, 10, search_query=text)
    runs = RunsQuery("t", search_query=text)
    return list_deliveries(db, deliveries, None).total, list_runs(db, runs).total


def test_a_database_from_before_is_searched_and_counted_as_any(db: Database) -> None:
    texts = ["Grüße 🚨 abc", "abcd", "ab"]
    results = [{"notification_id": "nt1", "success": True}, {"notification_id": "nt2", "success": False}]
    record_now(db, [item(n, status=text, notification_results=results) for n, text in enumerate(texts)])
    record_now(db, [run(n, errorMessage=text) for n, text in enumerate(texts)])
    move_recent_deliveries(db, "t")
    importlib.import_module("notifhist.store.migrations.0008_trigrams").up(None, db)
    assert changed(db, _COUNT_RECEIVERS) > 0
    importlib.import_module("notifhist.store.migrations.0010_trigrams_of_bytes").up(None, db)
    assert_counts_are_true(db, "t")
    assert rows(db, f"SELECT count(*) FROM delivery_count WHERE {_RECEIVERS}")[0][0] > 0
    assert [found(db, text) for text in ("ABC", "üße 🚨", "🚨 a", "bcd", "bce")] == [
        (4, 2),
        (2, 1),
        (2, 1),
        (2, 1),
        (0, 0),
    ]
