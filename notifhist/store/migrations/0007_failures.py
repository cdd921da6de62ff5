"""An index of the failures of each check: the pages count them for each alarm, and a check has many more deliveries."""

from peewee import Database
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    columns = "tenant_id, series_id, ticks"
    db.execute_sql(f"CREATE INDEX delivery_failure ON delivery ({columns}) WHERE outcome = 4")  # type: ignore[no-untyped-call]
