"""The numbers of the tenants, which lead the keys of all that is theirs."""

from notifhist.store.database import Database
from notifhist.store.models import TenantRow
from notifhist.store.sql import Statement, given

_FIND = Statement(lambda db: TenantRow.select(TenantRow.id).where(TenantRow.name == given("name")))


def find_tenant(db: Database, name: str) -> int | None:
    """Return a tenant's number; None if nothing has been recorded of it."""
    return next((number for (number,) in _FIND.rows(db, name=name)), None)


def ensure_tenant(db: Database, name: str) -> int:
    """Return a tenant's number, giving it one if this is the first that is recorded of it."""
    if (number := find_tenant(db, name)) is not None:
        return number
    db.lock_name("tenants")
    if (number := find_tenant(db, name)) is not None:
        return number
    last: int | None = TenantRow.select(TenantRow.id).order_by(TenantRow.id.desc()).limit(1).scalar(db)
    TenantRow.insert(id=(last or 0) + 1, name=name).execute(db)
    return (last or 0) + 1


def numbers_of(tenant_id: int, bits: int) -> tuple[int, int]:
    """Return the first and last of the numbers with `bits` bits behind the tenant's own."""
    return tenant_id << bits, ((tenant_id + 1) << bits) - 1
