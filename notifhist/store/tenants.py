"""The numbers of the tenants: all rows of a tenant have keys that begin with its number, `tenant_id` in SQL."""

from notifhist.store.database import Database
from notifhist.store.database.sql import first, lookup
from notifhist.store.models import TenantRow

TENANT_ID = lookup("SELECT id FROM tenant WHERE name = :tenant")
"""The number of the tenant whose name is the parameter."""
_FIND = "SELECT id FROM tenant WHERE name = :name"
_LIST_LOCK = "/tenants"
"""The lock of the list of tenants; no tenant has a slash in its name."""


def find_tenant(db: Database, name: str) -> int | None:
    """Return a tenant's number; None if nothing of it has been recorded."""
    found = first(db, _FIND, name=name)
    return None if found is None else int(found[0])


def ensure_tenant(db: Database, name: str) -> int:
    """Return a tenant's number; a new tenant gets the next one.

    Call it after all locks of tenants' names: the lock that it may take comes last, so two transactions never deadlock.
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
