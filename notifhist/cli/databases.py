"""The database of a command: opened, its tables up to date, and closed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from notifhist.config import Settings, load_settings
from notifhist.store.database import Database, ensure_connected, migrate, open_database


@contextmanager
def connected(*, create: bool) -> Iterator[tuple[Database, Settings]]:
    """Open the database; `create` makes a SQLite file that is missing."""
    settings = load_settings(os.environ)
    db = open_database(settings.database_url, create=create)
    ensure_connected(db)
    try:
        yield db, settings
    finally:
        db.close()


@contextmanager
def database(*, create: bool = False) -> Iterator[tuple[Database, Settings]]:
    """Open the database, its tables up to date; `create` as above."""
    with connected(create=create) as (db, settings):
        migrate(db)
        yield db, settings
