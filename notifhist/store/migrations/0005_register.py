"""Indexes by which the series of a tenant are listed: by entity and alarm, and by entity and check, by code point.

Three ids together may be longer than PostgreSQL indexes (2704 bytes), two are not.
"""

from peewee import Database, SqliteDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    collation = "" if isinstance(db, SqliteDatabase) else ' COLLATE "C"'
    for name, second in (("series_alarms", "alarm_id"), ("series_checks", "check_id")):
        columns = f"tenant_id, entity_id{collation}, {second}{collation}, id"
        db.execute_sql(f"CREATE INDEX {name} ON series ({columns})")  # type: ignore[no-untyped-call]
