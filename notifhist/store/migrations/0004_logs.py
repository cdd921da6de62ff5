"""The notification logs: a counted table that nobody searches, with filters by open vocabularies."""

from peewee import Database, SqliteDatabase
from playhouse.migrate import SchemaMigrator

FILTERS = ("type", "status", "recipient_type", "medium", "ignored_reason", "failed_reason")
OPEN_FILTERS = ("run_id", "recipient_email", "recipient_entity_id", "recipient_channel")
NOT_NULL = {"type", "status", "recipient_type", "medium", "run_id"}

LOG = """CREATE TABLE notification_log (
    tenant_id BIGINT NOT NULL,
    id BIGINT NOT NULL,
    date_created BIGINT NOT NULL,
    type SMALLINT NOT NULL,
    status SMALLINT NOT NULL,
    recipient_type SMALLINT NOT NULL,
    medium SMALLINT NOT NULL,
    ignored_reason SMALLINT,
    failed_reason SMALLINT,
    run_id BIGINT NOT NULL,
    recipient_email TEXT,
    recipient_entity_id BIGINT,
    recipient_channel TEXT,
    brief TEXT,
    document TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id))"""
COUNT = f"""CREATE TABLE notification_log_count (
    tenant_id BIGINT NOT NULL,
    level INTEGER NOT NULL,
    bucket BIGINT NOT NULL,
    first_filter BIGINT NOT NULL,
    second_filter BIGINT NOT NULL,
    {", ".join(f"part_{n} BIGINT NOT NULL" for n in range(16))},
    split_mask INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, level, bucket, first_filter, second_filter))"""
COMMON = (
    # Each index has all filters with counts, so that a log that one of them excludes need not be fetched.
    f"CREATE INDEX log_date ON notification_log (tenant_id, date_created, id, {', '.join(FILTERS)})",
    *(
        f"CREATE INDEX log_{name} ON notification_log (tenant_id, {name}, date_created, id, "
        f"{', '.join(other for other in FILTERS if other != name)})"
        + ("" if name in NOT_NULL else f" WHERE {name} IS NOT NULL")
        for name in (*FILTERS, *OPEN_FILTERS)
    ),
)
SQLITE = (LOG, f"{COUNT} WITHOUT ROWID")
POSTGRESQL = (f"{LOG} WITH (toast_tuple_target = 8160)", f"{COUNT} WITH (fillfactor = 50)")


def up(migrator: SchemaMigrator, db: Database) -> None:
    for sql in (*(SQLITE if isinstance(db, SqliteDatabase) else POSTGRESQL), *COMMON):
        db.execute_sql(sql)  # type: ignore[no-untyped-call]
