"""The API keys; the store has only the hash of a key's secret."""

from typing import Any

from notifhist.auth import ApiKey
from notifhist.store.database import Database
from notifhist.store.database.sql import first
from notifhist.store.models import ApiKeyRow

_FIND = """SELECT id, name, tenant, roles, secret_hash, created, expires, revoked FROM api_key
WHERE id = :key_id"""


def find_key(db: Database, key_id: str) -> ApiKey | None:
    """Return the key of this id, valid or not."""
    found = first(db, _FIND, key_id=key_id)
    return _key(*found) if found else None


def list_keys(db: Database) -> list[ApiKey]:
    """Return all keys, oldest first."""
    found = db.execute(ApiKeyRow.select().order_by(ApiKeyRow.created, ApiKeyRow.id))
    return [_key(*row) for row in found.fetchall()]


def add_key(db: Database, key: ApiKey) -> None:
    """Store a new key."""
    with db.writing():
        db.execute(ApiKeyRow.insert(**key._asdict() | {"roles": " ".join(key.roles)}))


def revoke_keys(db: Database, name_or_id: str, now_ms: int) -> int:
    """Revoke the keys of this id or name that are not revoked yet; return how many."""
    row = ApiKeyRow
    named = (row.id == name_or_id) | (row.name == name_or_id)
    with db.writing():
        return int(db.execute(row.update(revoked=now_ms).where(named & row.revoked.is_null())).rowcount)


def _key(key_id: str, name: str, tenant: str, roles: str, *others: Any) -> ApiKey:
    """Return the key of a row; its columns stand in the order of the key's attributes."""
    return ApiKey(key_id, name, tenant, tuple(roles.split()), *others)
