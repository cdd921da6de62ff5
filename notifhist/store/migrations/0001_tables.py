"""All tables. Keys begin with the tenant's number, so that a cluster can spread them (docs/adr/0018)."""

from peewee import Database, SqliteDatabase
from playhouse.migrate import SchemaMigrator

FILTERS = ("notification_type", "status", "medium", "ignored_reason", "failed_reason")

RUN = """
    tenant_id BIGINT NOT NULL,
    id BIGINT NOT NULL,
    date_created BIGINT NOT NULL,
    notification_type SMALLINT NOT NULL,
    status SMALLINT NOT NULL,
    medium SMALLINT NOT NULL,
    ignored_reason SMALLINT,
    failed_reason SMALLINT,
    search_text TEXT NOT NULL,
    brief TEXT,
    document TEXT NOT NULL"""
ITEM = """CREATE TABLE history_item (
    series_id BIGINT NOT NULL,
    ticks BIGINT NOT NULL,
    clock_and_node BIGINT NOT NULL,
    document TEXT NOT NULL,
    xml TEXT,
    xml_version INTEGER NOT NULL,
    PRIMARY KEY (series_id, ticks, clock_and_node))"""
SERIES = """CREATE TABLE series (
    tenant_id BIGINT NOT NULL,
    id BIGINT NOT NULL,
    entity_id TEXT NOT NULL,
    alarm_id TEXT NOT NULL,
    check_id TEXT NOT NULL,
    alarm_digest TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id))"""
COUNT = f"""CREATE TABLE notification_run_count (
    tenant_id BIGINT NOT NULL,
    shift INTEGER NOT NULL,
    bucket BIGINT NOT NULL,
    first_filter BIGINT NOT NULL,
    second_filter BIGINT NOT NULL,
    {", ".join(f"part_{n} BIGINT NOT NULL" for n in range(16))},
    split_mask INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, shift, bucket, first_filter, second_filter))"""
COMMON = (
    "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE tenant (id BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE api_key (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        tenant TEXT NOT NULL,
        roles TEXT NOT NULL,
        secret_hash TEXT NOT NULL,
        created BIGINT NOT NULL,
        expires BIGINT,
        revoked BIGINT)""",
    "CREATE UNIQUE INDEX series_check ON series (tenant_id, alarm_digest, check_id)",
    # Each index has all filters, so that a run that one of them excludes need not be fetched.
    f"CREATE INDEX run_date ON notification_run (tenant_id, date_created, id, {', '.join(FILTERS)})",
    *(
        f"CREATE INDEX run_{name} ON notification_run (tenant_id, {name}, date_created, id, "
        f"{', '.join(other for other in FILTERS if other != name)})"
        + (f" WHERE {name} IS NOT NULL" if name.endswith("reason") else "")
        for name in FILTERS
    ),
)
SQLITE = (
    f"{SERIES} WITHOUT ROWID",
    f"{ITEM} WITHOUT ROWID",
    f"{COUNT} WITHOUT ROWID",
    f"CREATE TABLE notification_run (number INTEGER NOT NULL PRIMARY KEY, {RUN}, UNIQUE (tenant_id, id))",
    "CREATE VIRTUAL TABLE notification_run_search USING fts5 (text, content='', tokenize='trigram case_sensitive 1')",
)
POSTGRESQL = (
    SERIES,
    f"{ITEM} PARTITION BY RANGE (ticks)",
    # An item's texts stay in its row; the longer one is compressed if otherwise two rows do not fit into a page.
    "CREATE TABLE history_item_other PARTITION OF history_item DEFAULT WITH (toast_tuple_target = 4080)",
    "CREATE INDEX history_item_other_ticks ON history_item_other (ticks)",
    f"{COUNT} WITH (fillfactor = 50)",
    f"CREATE TABLE notification_run ({RUN}, PRIMARY KEY (tenant_id, id)) WITH (toast_tuple_target = 8160)",
    # Not by substr for each place: it would count the characters before the place each time.
    """CREATE FUNCTION notifhist_trigrams(text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    'SELECT array(SELECT DISTINCT trigram FROM (
        SELECT one || lead(one) OVER places || lead(one, 2) OVER places AS trigram
        FROM unnest(string_to_array($1, NULL)) WITH ORDINALITY AS characters (one, place)
        WINDOW places AS (ORDER BY place)) AS trigrams WHERE trigram IS NOT NULL)'""",
    "CREATE INDEX run_search ON notification_run USING gin (notifhist_trigrams(search_text))",
    # The position in the log of each tenant's last write; unlogged, so that it costs no wait for a disk.
    "CREATE UNLOGGED TABLE last_write (tenant TEXT PRIMARY KEY, lsn PG_LSN NOT NULL)",
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    for sql in (*(SQLITE if isinstance(db, SqliteDatabase) else POSTGRESQL), *COMMON):
        db.execute_sql(sql)  # type: ignore[no-untyped-call]
