"""The way of a database to this version: its tables, by the migrations, then what fills them (`store.fills`)."""

from pathlib import Path

from playhouse.migrations import Runner

from notifhist.config import ConfigError
from notifhist.store.database import Database
from notifhist.store.fills import Show, finish_all, pending_fills, run_fills, silently

_MIGRATIONS = Path(__file__).parent / "migrations"
_OTHER_LAYOUT = (
    "This database was made by another version, and this one does not read its tables. Keep its data: run "
    "`notifhist export > history.ndjson` with that version, name a new database in NOTIFHIST_DATABASE_URL, "
    "`notifhist load history.ndjson` with this one, and create new keys. A file of the demo "
    "(notifhist-demo.db) holds only examples: delete it."
)


def migrate(db: Database, show: Show = silently) -> list[str]:
    """Create or upgrade the tables, and fill them; safe to repeat, by several hosts at once, and after interruptions.

    `show` shows the progress of fills. Returns the names of the migrations applied, and of the fills finished. The
    database must be connected. Raises ConfigError for a database of another version's layout.
    """
    with db.migrating():
        _refuse_other_layout(db)
        is_new = all(each.applied is None for each in _runner(db).status())
        applied: list[str] = _runner(db).up()
        if is_new:
            finish_all(db)
    db.place_tables()
    return applied + run_fills(db, show)


def pending_migrations(db: Database) -> list[str]:
    """Return the names of the migrations and fills that `migrate` has yet to do. Raises ConfigError as it does."""
    _refuse_other_layout(db)
    return [each.name for each in _runner(db).status() if each.applied is None] + pending_fills(db)


def _refuse_other_layout(db: Database) -> None:
    """Raise ConfigError if a migration was applied that this version does not have."""
    if any(each.path is None for each in _runner(db).status()):
        raise ConfigError(_OTHER_LAYOUT)


def _runner(db: Database) -> Runner:
    return Runner(db, directory=str(_MIGRATIONS))
