"""Kept texts for both formats, series numbered by tenant, partitions of time, counted and indexed runs."""

import datetime as dt
import json
import time
from collections import Counter, defaultdict
from itertools import combinations

from peewee import Database, SqliteDatabase
from playhouse.migrate import SchemaMigrator

ROOT_SHIFT, PART_BITS, PARTS = 48, 4, 16
MOST_UNDIVIDED = 1000
CODES = {
    "notification_type": (
        "INITIATIVE_CREATION INITIATIVE_CUSTOM_SCHEDULE INITIATIVE_N_DAYS_LEFT SERVICE_REEVALUATED WEEKLY_REPORT "
        "BROKEN_OPEN_API_SPEC ENTITLEMENT_EXPIRATION ONCALL_ASSISTANT ONBOARDING_MESSAGE "
        "NOTIFY_INVALID_INTEGRATION ONCALL_PERSON_CHANGED ONCALL_STARTS_IN_N_DAYS TEAM_MEMBER_INVITATION "
        "PENDING_RULE_EXEMPTION TOKEN_EXPIRES_IN_N_DAYS SCHEDULED_SCORECARD_RULE_CREATION "
        "SCORECARD_RULE_ACTIVATES_IN_N_DAYS WORKFLOW_STATUS_UPDATE WORKFLOW_APPROVAL_PENDING "
        "VERIFICATION_PERIOD_STARTED VERIFICATION_PERIOD_REMINDER AI_ASSISTANT_WELCOME_MESSAGE "
        "ENTITY_SCORE_DROPPED ONBOARDING_WIZARD_STATE_COMPLETED"
    ),
    "status": "CREATED FAILED IGNORED COMPLETED COMPLETED_WITH_ERRORS",
    "medium": "SLACK MICROSOFT_TEAMS EMAIL WEBHOOK",
    "ignored_reason": "SCORECARD_DISABLED WORKSPACE_DISABLED NO_RECIPIENTS",
    "failed_reason": "PACKET_GENERATOR_ERROR CONTEXT_RESOLUTION_ERROR MISSING_RECIPIENTS INTERNAL_ERROR",
}
FILTERS = tuple(CODES)
TICKS_PER_S = 10_000_000
WEEK_TICKS = 7 * 86_400 * TICKS_PER_S
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Counted = tuple[int, tuple[tuple[int, int], ...]]
"""Of a run its date, ms, and the pairs of terms that it is counted as."""
RENAMED = ("series", "history_item", "notification_run")

TABLES = (
    """CREATE TABLE tenant (
        id {key} NOT NULL PRIMARY KEY,
        name TEXT NOT NULL UNIQUE)""",
    """CREATE TABLE series (
        id {key} NOT NULL PRIMARY KEY,
        tenant_id BIGINT NOT NULL,
        entity_id TEXT NOT NULL,
        alarm_id TEXT NOT NULL,
        check_id TEXT NOT NULL,
        alarm_digest TEXT NOT NULL)""",
    "CREATE UNIQUE INDEX series_alarm_check ON series (alarm_digest, check_id)",
    """CREATE TABLE notification_run (
        number {key} NOT NULL PRIMARY KEY,
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
        document TEXT NOT NULL)""",
    "CREATE UNIQUE INDEX run_id ON notification_run (tenant_id, id)",
    # Each has all filters, so that a run which one of them leaves out need not be looked up.
    f"CREATE INDEX run_date ON notification_run (tenant_id, date_created, id, {', '.join(FILTERS)})",
    *(
        f"CREATE INDEX run_{name} ON notification_run (tenant_id, {name}, date_created, id, "
        f"{', '.join(other for other in FILTERS if other != name)})"
        + (f" WHERE {name} IS NOT NULL" if name.endswith("reason") else "")
        for name in FILTERS
    ),
)
ITEM = """CREATE TABLE history_item (
    series_id BIGINT NOT NULL,
    ticks BIGINT NOT NULL,
    rest BIGINT NOT NULL,
    document TEXT NOT NULL,
    xml TEXT,
    xml_version INTEGER NOT NULL,
    PRIMARY KEY (series_id, ticks, rest))"""
COUNT = f"""CREATE TABLE run_count (
    tenant_id BIGINT NOT NULL,
    shift INTEGER NOT NULL,
    bucket BIGINT NOT NULL,
    one BIGINT NOT NULL,
    other BIGINT NOT NULL,
    {", ".join(f"runs{n} BIGINT NOT NULL" for n in range(PARTS))},
    divided INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, shift, bucket, one, other))"""
SQLITE = (
    f"{ITEM} WITHOUT ROWID",
    f"{COUNT} WITHOUT ROWID",
    "CREATE VIRTUAL TABLE run_search USING fts5 (text, content='', tokenize='trigram case_sensitive 1')",
)
POSTGRESQL = (
    f"{ITEM} PARTITION BY RANGE (ticks)",
    # An item's texts stay in its row, and the longer one is compressed if else two rows do not fit into a page.
    "CREATE TABLE history_item_other PARTITION OF history_item DEFAULT WITH (toast_tuple_target = 4080)",
    "CREATE INDEX history_item_other_ticks ON history_item_other (ticks)",
    f"{COUNT} WITH (fillfactor = 50)",
    "ALTER TABLE notification_run SET (toast_tuple_target = 8160)",
    # Not by substr for each place, which counts the characters before it each time.
    """CREATE FUNCTION notifhist_trigrams(text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    'SELECT array(SELECT DISTINCT trigram FROM (
        SELECT one || lead(one) OVER places || lead(one, 2) OVER places AS trigram
        FROM unnest(string_to_array($1, NULL)) WITH ORDINALITY AS characters (one, place)
        WINDOW places AS (ORDER BY place)) AS trigrams WHERE trigram IS NOT NULL)'""",
    "CREATE INDEX run_search ON notification_run USING gin (notifhist_trigrams(search_text))",
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    is_sqlite = isinstance(db, SqliteDatabase)
    for table in RENAMED:
        db.execute_sql(f"ALTER TABLE {table} RENAME TO old_{table}")  # type: ignore[no-untyped-call]
    for sql in (*TABLES, *(SQLITE if is_sqlite else POSTGRESQL)):
        db.execute_sql(sql.replace("{key}", "INTEGER" if is_sqlite else "BIGINT"))  # type: ignore[no-untyped-call]
    if not is_sqlite:
        make_partitions(db)
    move_series_and_items(db)
    move_runs(db, is_sqlite)
    for table in RENAMED:
        db.execute_sql(f"DROP TABLE old_{table}")  # type: ignore[no-untyped-call]


def make_partitions(db: Database) -> None:
    """Make one for each week of the last year that has items; others stay in the default partition."""
    now = int(time.time() * TICKS_PER_S) // WEEK_TICKS
    weeks = db.execute_sql(  # type: ignore[no-untyped-call]
        f"SELECT DISTINCT ticks / {WEEK_TICKS} FROM old_history_item "
        f"WHERE ticks >= {(now - 53) * WEEK_TICKS} AND ticks < {(now + 5) * WEEK_TICKS}"
    ).fetchall()
    for (week,) in weeks:
        db.execute_sql(  # type: ignore[no-untyped-call]
            f"CREATE TABLE history_item_w{week} PARTITION OF history_item FOR VALUES "
            f"FROM ({week * WEEK_TICKS}) TO ({(week + 1) * WEEK_TICKS}) WITH (toast_tuple_target = 4080)"
        )


def move_series_and_items(db: Database) -> None:
    db.execute_sql(  # type: ignore[no-untyped-call]
        """INSERT INTO tenant (id, name) SELECT row_number() OVER (ORDER BY tenant), tenant FROM
        (SELECT tenant FROM old_series UNION SELECT tenant FROM old_notification_run) AS known"""
    )
    db.execute_sql(  # type: ignore[no-untyped-call]
        """INSERT INTO series
        SELECT tenant.id * 4294967296 + row_number() OVER (PARTITION BY tenant.id ORDER BY old_series.id),
            tenant.id, entity_id, alarm_id, check_id, alarm_digest
        FROM old_series JOIN tenant ON tenant.name = old_series.tenant"""
    )
    db.execute_sql(  # type: ignore[no-untyped-call]
        """INSERT INTO history_item
        SELECT series.id, ticks, rest, document, NULL, 0 FROM old_history_item
        JOIN old_series ON old_series.id = old_history_item.series_id
        JOIN series ON series.alarm_digest = old_series.alarm_digest AND series.check_id = old_series.check_id"""
    )


def move_runs(db: Database, is_sqlite: bool) -> None:
    columns = (
        "date_created, date_updated, delivered_count, error_message, failed_reason, old.id, ignored_reason, "
        "medium, notification_objects, notification_type, original_run_id, seq_no, status, summary"
    )
    rows = db.execute_sql(  # type: ignore[no-untyped-call]
        f"""SELECT {columns}, tenant.id, search_text FROM old_notification_run AS old
        JOIN tenant ON tenant.name = old.tenant ORDER BY tenant.id, old.id"""
    )
    counted: dict[int, list[Counted]] = defaultdict(list)
    insert_run = f"INSERT INTO notification_run VALUES ({', '.join([db.param] * 12)})"
    number = 0
    for *values, tenant_id, search_text in rows.fetchall():
        run = dict(
            zip([name.strip().removeprefix("old.") for name in columns.split(",")], values, strict=True)
        )
        number = number + 1 if number >> 40 == tenant_id else (tenant_id << 40) + 1
        filters = [run[name] and CODES[name].split().index(run[name]) + 1 for name in FILTERS]
        document = document_of(run)
        brief = {name: value for name, value in document.items() if name != "notificationObjects"}
        texts = (text_of(brief) if brief != document else None, text_of(document))
        row = (number, tenant_id, run["id"], run["date_created"], *filters, search_text, *texts)
        db.execute_sql(insert_run, row)  # type: ignore[no-untyped-call]
        if is_sqlite:
            db.execute_sql(  # type: ignore[no-untyped-call]
                "INSERT INTO run_search (rowid, text) VALUES (?, ?)", (number, search_text)
            )
        terms = [n << 8 | code for n, code in enumerate(filters, start=1) if code is not None]
        pairs = ((0, 0), *((term, 0) for term in terms), *combinations(terms, 2))
        counted[tenant_id].append((run["date_created"], pairs))
    for tenant_id, of_tenant in counted.items():
        insert_counts(db, tenant_id, of_tenant, ROOT_SHIFT)


def insert_counts(db: Database, tenant_id: int, runs: list[Counted], shift: int) -> None:
    """Insert the counts of runs in the parts of their buckets, and in the parts of each part that is full."""
    counts: dict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0] * PARTS)
    by_part = defaultdict(list)
    for date_created, pairs in runs:
        part = date_created >> shift - PART_BITS
        by_part[part].append((date_created, pairs))
        for one, other in pairs:
            counts[part >> PART_BITS, one, other][part % PARTS] += 1
    full = [
        part for part, its_runs in by_part.items() if len(its_runs) > MOST_UNDIVIDED and shift > PART_BITS
    ]
    divided: Counter[tuple[int, int, int]] = Counter()
    for part in full:
        divided[part >> PART_BITS, 0, 0] += 1 << part % PARTS
    insert = f"INSERT INTO run_count VALUES ({', '.join([db.param] * (6 + PARTS))})"
    for key, numbers in counts.items():
        db.execute_sql(insert, (tenant_id, shift, *key, *numbers, divided[key]))  # type: ignore[no-untyped-call]
    for part in full:
        insert_counts(db, tenant_id, by_part[part], shift - PART_BITS)


def document_of(run: dict[str, object]) -> dict[str, object]:
    """Return the run as it is answered; its columns are in the published order of its members."""
    members = {}
    for name, value in run.items():
        if value is not None:
            first, *rest = name.split("_")
            members[first + "".join(each.title() for each in rest)] = value
    for name in ("dateCreated", "dateUpdated"):
        at = EPOCH + dt.timedelta(milliseconds=int(str(members[name])))
        members[name] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if "notificationObjects" in members:
        members["notificationObjects"] = json.loads(str(members["notificationObjects"]))
    return members


def text_of(document: dict[str, object]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
