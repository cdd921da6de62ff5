"""The sessions of people who signed in to the pages, and the links that sign in once. Of both only hashes are kept."""

from peewee import Database
from playhouse.migrate import SchemaMigrator

_TABLES = (
    """CREATE TABLE page_session (
        id text NOT NULL PRIMARY KEY, key_id text NOT NULL, created bigint NOT NULL, expires bigint NOT NULL)""",
    "CREATE TABLE login_link (id text NOT NULL PRIMARY KEY, key_id text NOT NULL, expires bigint NOT NULL)",
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    for table in _TABLES:
        db.execute_sql(table)  # type: ignore[no-untyped-call]
