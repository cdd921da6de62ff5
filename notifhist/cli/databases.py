"""The database of a command: opened, its tables up to date, and closed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from notifhist.config import Settings, load_settings
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.migrating import migrate
from notifhist.transfer.progress import progress


@contextmanager
def database(*, create: bool = False, migrated: bool = True) -> Iterator[tuple[Database, Settings]]:
    """Open the database; `create` makes a SQLite file that is missing, `migrated` brings the tables up to date."""
    settings = load_settings(os.environ)
    db = open_database(settings.database_url, create=create)
    ensure_connected(db)
    try:
        if migrated:
            migrate(db, progress)
        yield db, settings
    finally:
        db.close()
