"""The index of a series' deliveries tells their items and states too: pages ask each series for its newest state.

They read a delivery of each series, and most of these are alone on their page of the file.
"""

from peewee import Database
from playhouse.migrate import SchemaMigrator

_COLUMNS = "tenant_id, series_id, ticks, clock_and_node, item_clock_and_node, state"


def up(migrator: SchemaMigrator, db: Database) -> None:
    db.execute_sql("DROP INDEX delivery_series_id")  # type: ignore[no-untyped-call]
    db.execute_sql(f"CREATE INDEX delivery_series_id ON delivery ({_COLUMNS})")  # type: ignore[no-untyped-call]
