"""The installation that is examined: its settings, its database, the services that run. All checks share one."""

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from notifhist.clock import Clock
from notifhist.config import ConfigError, Settings, hide_password, load_settings
from notifhist.operations.findings import NotMade
from notifhist.server.running import Running, find_running
from notifhist.store.database import ERRORS, Condition, Database, ensure_connected, open_database
from notifhist.store.machine import SHARED_MEMORY
from notifhist.store.migrating import pending_migrations

MB = 2**20
_CLOCK = Clock()
PATIENCE_S = 10
"""How long a statement may keep the database busy."""


class Installation:
    """What the environment's settings lead to. Its parts raise NotMade where what they need is not there.

    `now_ms` returns this machine's time, ms since the epoch; `shared_memory` is the folder that processes share.
    """

    def __init__(self, now_ms: Callable[[], float] = _CLOCK.now_ms, shared_memory: Path = SHARED_MEMORY) -> None:
        self.now_ms, self.shared_memory = now_ms, shared_memory

    @cached_property
    def settings_or_error(self) -> Settings | ConfigError:
        """The settings, or what is wrong with them."""
        try:
            return load_settings(os.environ)
        except ConfigError as error:
            return error

    @property
    def settings(self) -> Settings:
        """The settings."""
        if isinstance(found := self.settings_or_error, ConfigError):
            raise NotMade("the settings are faulty")
        return found

    @property
    def name(self) -> str:
        """The database's URL without its password, which says what is examined."""
        found = self.settings_or_error
        return "faulty settings" if isinstance(found, ConfigError) else hide_password(found.database_url)

    @property
    def clock(self) -> Clock:
        """The clock of the service, which may be frozen, or go by that of the database server."""
        return Clock(self.settings.now, self.db.ahead_ticks)

    @cached_property
    def db_or_error(self) -> Database | Exception:
        """The database, connected, or why it cannot be."""
        try:
            db = open_database(self.settings.database_url, statement_timeout_s=PATIENCE_S)
            ensure_connected(db)
        except (ConfigError, OSError, *ERRORS) as error:
            return error
        return db

    @property
    def db(self) -> Database:
        """The database, connected."""
        if isinstance(found := self.db_or_error, Exception):
            raise NotMade("the database cannot be reached")
        return found

    @cached_property
    def condition(self) -> Condition:
        """What the database tells of itself."""
        return self.db.condition()

    @cached_property
    def pending(self) -> list[str]:
        """The migrations and fills that are yet to be done. Raises ConfigError for tables of another version."""
        return pending_migrations(self.db)

    @property
    def tables(self) -> Database:
        """The database, whose tables are up to date."""
        try:
            if not self.pending:
                return self.db
        except ConfigError:
            pass
        raise NotMade("the tables are not up to date")

    @cached_property
    def running(self) -> list[Running]:
        """The services that run on this machine on this database."""
        return list(find_running(self.settings.database_url))

    def close(self) -> None:
        """Close what was opened."""
        db = self.__dict__.get("db_or_error")
        if db is not None and not isinstance(db, Exception):
            db.close()
