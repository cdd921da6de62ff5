"""The newest item of each series, by its deliveries: a page that asks all series reads one small table.

To look for each in the index of deliveries took a page of the file for each, of 32 kB on SQLite.
"""

from peewee import Database, SqliteDatabase
from playhouse.migrate import SchemaMigrator

_TABLE = """CREATE TABLE series_newest (
    tenant_id BIGINT NOT NULL,
    series_id BIGINT NOT NULL,
    ticks BIGINT NOT NULL,
    clock_and_node BIGINT NOT NULL,
    state BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, series_id))"""
_FILL = """INSERT INTO series_newest
SELECT tenant_id, series_id, ticks, item_clock_and_node, state FROM (
    SELECT delivery.tenant_id, series_id, ticks, item_clock_and_node, coalesce(state, 0) AS state, row_number() OVER (
        PARTITION BY delivery.tenant_id, series_id ORDER BY item_clock_and_node DESC) AS place
    FROM series JOIN delivery ON delivery.tenant_id = series.tenant_id AND series_id = series.id AND ticks = (
        SELECT max(ticks) FROM delivery AS newest
        WHERE newest.tenant_id = series.tenant_id AND newest.series_id = series.id)) AS placed
WHERE place = 1"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    without_rowid = " WITHOUT ROWID" if isinstance(db, SqliteDatabase) else ""
    db.execute_sql(_TABLE + without_rowid)  # type: ignore[no-untyped-call]
    db.execute_sql(_FILL)  # type: ignore[no-untyped-call]
