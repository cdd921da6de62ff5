"""How far the log of a PostgreSQL had come when a tenant last wrote: from there on a replica knows what it wrote."""

from peewee import Database, PostgresqlDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    if isinstance(db, PostgresqlDatabase):
        # Unlogged: it costs no wait for a disk, and a replica does not need it.
        db.execute_sql("CREATE UNLOGGED TABLE last_write (tenant TEXT PRIMARY KEY, lsn PG_LSN NOT NULL)")  # type: ignore[no-untyped-call]
