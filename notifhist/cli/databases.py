"""The database of a command: opened, its tables up to date, and closed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from notifhist.clock import Clock
from notifhist.config import Settings, load_settings
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.migrating import migrate, pending_migrations
from notifhist.transfer.progress import progress

_OURS_ALONE = 0o077


@contextmanager
def database(*, create: bool = False, migrated: bool = True) -> Iterator[tuple[Database, Settings]]:
    """Open the database; `create` makes a SQLite file that is missing, `migrated` brings the tables up to date.

    A new file is its owner's alone, as a backup is: it has the hashes of keys, and where notifications went. The mode
    of one that is there stays; SQLite gives the files beside it the same.
    """
    settings = load_settings(os.environ)
    db = open_database(settings.database_url, create=create)
    before = os.umask(_OURS_ALONE)  # for the moment in which SQLite makes the file
    try:
        ensure_connected(db)
    finally:
        os.umask(before)
    try:
        if migrated:
            migrate(db, progress)
        yield db, settings
    finally:
        db.close()


def clock_of(db: Database, settings: Settings) -> Clock:
    """Return the clock by which the services on a database go."""
    return Clock(settings.now, db.ahead_ticks)


def require_tables(db: Database) -> None:
    """Raise ClickException unless the tables are up to date. For what runs by itself beside a service.

    After an upgrade that service may still be of the earlier version, and must be stopped before the tables change.
    """
    if pending := pending_migrations(db):
        raise click.ClickException(
            f"The tables are not up to date; missing: {', '.join(pending)}. Stop the service, run `notifhist migrate`, "
            "and start it again."
        )
