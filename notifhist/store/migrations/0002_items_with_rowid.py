"""SQLite: items are found by an index of their keys.

Without rowid, each step of a search read a whole item, JSON and XML, to compare its key (docs/adr/0021).
"""

from peewee import Database, SqliteDatabase
from playhouse.migrate import SchemaMigrator

STATEMENTS = (
    "ALTER TABLE history_item RENAME TO former_item",
    """CREATE TABLE history_item (
        series_id BIGINT NOT NULL,
        ticks BIGINT NOT NULL,
        clock_and_node BIGINT NOT NULL,
        document TEXT NOT NULL,
        xml TEXT,
        xml_version INTEGER NOT NULL,
        PRIMARY KEY (series_id, ticks, clock_and_node))""",
    "INSERT INTO history_item SELECT * FROM former_item ORDER BY series_id, ticks, clock_and_node",
    "DROP TABLE former_item",
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    if isinstance(db, SqliteDatabase):
        for sql in STATEMENTS:
            db.execute_sql(sql)  # type: ignore[no-untyped-call]
