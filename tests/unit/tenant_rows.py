"""A table to write to and to count in, for tests that are about databases."""

from typing import Any

from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.models import TenantRow


def connection_of(db: Database) -> Any:
    return db.connection()


def insert(db: Database, tenant: str = "t") -> None:
    db.execute(TenantRow.insert(id=1, name=tenant))


def count(db: Database) -> int:
    return int(rows(db, "SELECT count(*) FROM tenant")[0][0])
