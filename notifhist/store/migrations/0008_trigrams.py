"""PostgreSQL: trigrams are numbers, not texts. To find those of a text and to index them takes half the time."""

from peewee import Database, SqliteDatabase
from playhouse.migrate import SchemaMigrator

# Of characters beyond Latin-1 different trigrams may have the same number: what is found is compared with the text.
STATEMENTS = (
    "DROP INDEX run_search",  # Citus drops one at a time
    "DROP INDEX delivery_search",
    "DROP FUNCTION notifhist_trigrams(text)",
    """CREATE FUNCTION notifhist_trigrams(text) RETURNS integer[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    'SELECT array(SELECT (ascii(a) << 20) # (ascii(b) << 10) # ascii(c)
        FROM (SELECT string_to_array($1, NULL) AS characters) AS text,
            unnest(characters, characters[2:], characters[3:]) AS trigrams (a, b, c) WHERE c IS NOT NULL)'""",
    "CREATE INDEX run_search ON notification_run USING gin (notifhist_trigrams(search_text))",
    "CREATE INDEX delivery_search ON delivery USING gin (notifhist_trigrams(search_text))",
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    for sql in () if isinstance(db, SqliteDatabase) else STATEMENTS:
        db.execute_sql(sql)  # type: ignore[no-untyped-call]
