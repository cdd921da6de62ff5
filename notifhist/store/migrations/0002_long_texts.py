"""SQLite: an item's long texts stand in a table of their own (docs/adr/0021).

In `history_item`, such a text is replaced by a reference: its id in `long_text` as a blob, which no text is. Triggers
set texts apart when an item is updated, and remove texts that nothing refers to. None fires at an insert, where it
would double the cost of usual items: `SqliteDatabase.insert_missing` itself stores a new item's long texts apart.
"""

from peewee import Database, SqliteDatabase
from playhouse.migrate import SchemaMigrator

IS_LONG = "length({}) > 65536"
KEY_IS = "series_id = {0}.series_id AND ticks = {0}.ticks AND clock_and_node = {0}.clock_and_node"
SET_APART = f"""CREATE TRIGGER long_{{0}}_updated AFTER UPDATE OF {{0}} ON history_item WHEN {IS_LONG.format("NEW.{0}")}
BEGIN
    INSERT INTO long_text (series_id, ticks, clock_and_node, text)
    VALUES (NEW.series_id, NEW.ticks, NEW.clock_and_node, NEW.{{0}});
    UPDATE history_item SET {{0}} = CAST(last_insert_rowid() AS BLOB) WHERE {KEY_IS.format("NEW")};
END"""
REPLACED = """CREATE TRIGGER long_{0}_replaced AFTER UPDATE OF {0} ON history_item
WHEN typeof(OLD.{0}) = 'blob' AND NEW.{0} IS NOT OLD.{0}
BEGIN DELETE FROM long_text WHERE id = CAST(OLD.{0} AS INTEGER); END"""
STATEMENTS = (
    """CREATE TABLE long_text (
        id INTEGER NOT NULL PRIMARY KEY,
        series_id BIGINT NOT NULL,
        ticks BIGINT NOT NULL,
        clock_and_node BIGINT NOT NULL,
        text TEXT NOT NULL)""",
    "CREATE INDEX long_text_item ON long_text (series_id, ticks, clock_and_node)",
    *(trigger.format(column) for column in ("document", "xml") for trigger in (SET_APART, REPLACED)),
    # By the item's key: to look for a reference would read all texts that are deleted.
    f"""CREATE TRIGGER long_texts_deleted AFTER DELETE ON history_item
    BEGIN DELETE FROM long_text WHERE {KEY_IS.format("OLD")}; END""",
    f"""UPDATE history_item SET document = document, xml = xml
    WHERE {IS_LONG.format("document")} OR {IS_LONG.format("xml")}""",
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    if isinstance(db, SqliteDatabase):
        for sql in STATEMENTS:
            db.execute_sql(sql)  # type: ignore[no-untyped-call]
