"""The delivery index (docs/adr/0024); what counts are kept of a bucket is now in its `level`, not its `shift`."""

from peewee import Database, SqliteDatabase
from playhouse.migrate import SchemaMigrator

CODES = ("outcome", "state", "notification_type", "notification_id", "notification_plan_id", "entity_id", "receiver")
COLUMNS = f"""
    tenant_id BIGINT NOT NULL,
    ticks BIGINT NOT NULL,
    clock_and_node BIGINT NOT NULL,
    series_id BIGINT NOT NULL,
    item_clock_and_node BIGINT NOT NULL,
    log_clock_and_node BIGINT,
    is_change INTEGER NOT NULL,
    is_suppressed INTEGER NOT NULL,
    {", ".join(f"{name} BIGINT" for name in CODES)},
    transaction_hash BIGINT,
    search_text TEXT NOT NULL,
    document TEXT NOT NULL,
    log_members TEXT"""
NAME = """CREATE TABLE delivery_name (
    tenant_id BIGINT NOT NULL,
    column_name TEXT NOT NULL,
    digest TEXT NOT NULL,
    code BIGINT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (tenant_id, column_name, digest))"""
COUNT = f"""CREATE TABLE delivery_count (
    tenant_id BIGINT NOT NULL,
    level INTEGER NOT NULL,
    bucket BIGINT NOT NULL,
    first_filter BIGINT NOT NULL,
    second_filter BIGINT NOT NULL,
    {", ".join(f"part_{n} INTEGER NOT NULL" for n in range(16))},
    split_mask INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, level, bucket, first_filter, second_filter))"""
RECENT_KEY = "PRIMARY KEY (tenant_id, ticks, clock_and_node, series_id, item_clock_and_node)"
BY_TIME = "ticks, clock_and_node"
INDEXES = (
    "CREATE UNIQUE INDEX delivery_name_code ON delivery_name (tenant_id, column_name, code)",
    # With all codes, so that deliveries are counted without being read.
    f"CREATE INDEX delivery_time ON delivery (tenant_id, {BY_TIME}, {', '.join(CODES)})",
    *(
        f"CREATE INDEX delivery_{name} ON delivery (tenant_id, {name}, {BY_TIME}) WHERE {name} IS NOT NULL"
        for name in CODES[:-1]
    ),
    f"CREATE INDEX delivery_receiver ON delivery (tenant_id, receiver, {BY_TIME}) WHERE outcome = 4",
    f"CREATE INDEX delivery_series_id ON delivery (tenant_id, series_id, {BY_TIME})",
    f"CREATE INDEX delivery_transaction_hash ON delivery (tenant_id, transaction_hash, {BY_TIME}) "
    "WHERE transaction_hash IS NOT NULL",
    "CREATE INDEX delivery_change ON delivery (tenant_id, ticks, log_clock_and_node) WHERE is_change = 1",
    "CREATE INDEX delivery_entity_change ON delivery (tenant_id, entity_id, ticks, log_clock_and_node) "
    "WHERE is_change = 1",
    "CREATE INDEX delivery_suppressed ON delivery (tenant_id, ticks, log_clock_and_node) WHERE is_suppressed = 1",
    "CREATE INDEX series_alarm ON series (tenant_id, alarm_id)",
    "CREATE INDEX series_check_id ON series (tenant_id, check_id)",
)
SQLITE = (
    f"CREATE TABLE delivery (number INTEGER NOT NULL PRIMARY KEY, {COLUMNS})",
    f"CREATE TABLE delivery_recent ({COLUMNS}, {RECENT_KEY}) WITHOUT ROWID",
    f"{NAME} WITHOUT ROWID",
    f"{COUNT} WITHOUT ROWID",
    # Without the places of trigrams it has a third of the size; what it finds is compared with the text.
    """CREATE VIRTUAL TABLE delivery_search
    USING fts5 (text, content='', detail=none, tokenize='trigram case_sensitive 1')""",
)
POSTGRESQL = (
    f"CREATE TABLE delivery ({COLUMNS}) PARTITION BY RANGE (ticks)",
    "CREATE TABLE delivery_other PARTITION OF delivery DEFAULT WITH (toast_tuple_target = 4080)",
    f"CREATE TABLE delivery_recent ({COLUMNS}, {RECENT_KEY})",
    NAME,
    f"{COUNT} WITH (fillfactor = 70)",
    "CREATE INDEX delivery_search ON delivery USING gin (notifhist_trigrams(search_text))",
)


# A week of items without one of deliveries would get it later, and wait for the deliveries to move there.
WEEKS = """SELECT substr(relname, 15), pg_get_expr(relpartbound, pg_class.oid)
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'history_item'::regclass AND relname ~ '^history_item_w[0-9]+$'"""
WEEK = "CREATE TABLE delivery_w{} PARTITION OF delivery {} WITH (toast_tuple_target = 4080)"


def up(migrator: SchemaMigrator, db: Database) -> None:
    of_engine = SQLITE if isinstance(db, SqliteDatabase) else POSTGRESQL
    for sql in ("ALTER TABLE notification_run_count RENAME COLUMN shift TO level", *of_engine, *INDEXES):
        db.execute_sql(sql)  # type: ignore[no-untyped-call]
    if not isinstance(db, SqliteDatabase):
        for week in db.execute_sql(WEEKS).fetchall():  # type: ignore[no-untyped-call]
            db.execute_sql(WEEK.format(*week))  # type: ignore[no-untyped-call]
