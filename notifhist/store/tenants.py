"""The numbers of the tenants, which lead the keys of everything that is theirs."""

from notifhist.store.database import Database
from notifhist.store.database.sql import first
from notifhist.store.models import TenantRow

_FIND = "SELECT id FROM tenant WHERE name = :name"
_LIST_LOCK = "/tenants"
"""The lock of the list of tenants; no tenant has a slash in its name."""


def find_tenant(db: Database, name: str) -> int | None:
    """Return a tenant's number; None if nothing of it has been recorded."""
    found = first(db, _FIND, name=name)
    return None if found is None else int(found[0])


def ensure_tenant(db: Database, name: str) -> int:
    """Return a tenant's number, giving it one with its first record.

    To be called after every lock of a tenant's name: the lock that it may take comes last, so that of two transactions
    one waits for the other, and never both.
    """
    if (number := find_tenant(db, name)) is not None:
        return number
    db.lock_name(_LIST_LOCK)
    if (number := find_tenant(db, name)) is not None:
        return number
    last = first(db, "SELECT id FROM tenant ORDER BY id DESC LIMIT 1")
    number = int(last[0]) + 1 if last else 1
    db.execute(TenantRow.insert(id=number, name=name))
    return number
