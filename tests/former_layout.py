"""Databases of the layout before this one, as short as they may be: the list of their migrations, and some tables."""

from playhouse.migrations import Runner

from notifhist.store.database import Database

FORMER_MIGRATIONS = ("0001_initial", "0002_texts_counts_and_partitions", "0003_last_writes")
_TABLES = (
    "CREATE TABLE series (id BIGINT NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, entity_id TEXT NOT NULL, "
    "alarm_id TEXT NOT NULL, check_id TEXT NOT NULL, alarm_digest TEXT NOT NULL)",
    "CREATE TABLE history_item (series_id BIGINT NOT NULL, ticks BIGINT NOT NULL, rest BIGINT NOT NULL, "
    "document TEXT NOT NULL, PRIMARY KEY (series_id, ticks, rest))",
    "CREATE TABLE api_key (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, tenant TEXT NOT NULL, "
    "roles TEXT NOT NULL, secret_hash TEXT NOT NULL, created BIGINT NOT NULL, expires BIGINT, revoked BIGINT)",
    "INSERT INTO series VALUES (3, '123456', 'enOne', 'alOne', 'chOne', 'digest')",
    "INSERT INTO history_item VALUES (3, 13208855448750000, -9223371487098961920, '{}')",
)


def make_former_layout(db: Database, *migrations: str) -> None:
    """Make of an empty database one that these migrations have been applied to."""
    history = Runner(db, table_name="schema_migration").History
    with db.writing():
        for sql in _TABLES:
            db.execute_sql(sql)
        history.create_table()
        for name in migrations:
            history.create(name=name)
