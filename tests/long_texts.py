"""What is true of the texts that SQLite stores apart from their items."""

from notifhist.store.database import Database, SqliteDatabase
from notifhist.store.database.sql import rows

_REFERENCES = " UNION ALL ".join(
    f"""SELECT CAST({column} AS INTEGER), series_id, ticks, clock_and_node
    FROM history_item WHERE typeof({column}) = 'blob'"""
    for column in ("document", "xml")
)


def assert_every_reference_is_right(db: Database, texts: int | None = None) -> None:
    """Assert that each long text has one reference, from its own item; and that there are as many as `texts`."""
    if isinstance(db, SqliteDatabase):
        stored = rows(db, "SELECT id, series_id, ticks, clock_and_node FROM long_text")
        assert sorted(stored) == sorted(rows(db, _REFERENCES))
        assert texts is None or len(stored) == texts
