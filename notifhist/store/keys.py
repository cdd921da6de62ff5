"""The keys."""

from typing import Any

from notifhist.auth import ApiKey
from notifhist.store.database import Database
from notifhist.store.models import ApiKeyRow
from notifhist.store.sql import Statement, given

_FIND = Statement(lambda _: ApiKeyRow.select().where(ApiKeyRow.id == given("key_id")))


def find_key(db: Database, key_id: str) -> ApiKey | None:
    """Return the key of this id, valid or not."""
    found = _FIND.rows(db, key_id=key_id)
    return _key(*found[0]) if found else None


def list_keys(db: Database) -> list[ApiKey]:
    """Return all keys, oldest first."""
    rows = ApiKeyRow.select().order_by(ApiKeyRow.created, ApiKeyRow.id).tuples().execute(db)
    return [_key(*row) for row in rows]


def add_key(db: Database, key: ApiKey) -> None:
    """Keep a new key."""
    with db.writing():
        ApiKeyRow.insert(
            id=key.id,
            name=key.name,
            tenant=key.tenant,
            roles=" ".join(key.roles),
            secret_hash=key.secret_hash,
            created=key.created,
            expires=key.expires,
            revoked=key.revoked,
        ).execute(db)


def revoke_keys(db: Database, name_or_id: str, now_ms: int) -> int:
    """Revoke the keys of this id or name that are not revoked yet; return how many."""
    with db.writing():
        revoked: int = (
            ApiKeyRow.update(revoked=now_ms)
            .where(
                ((ApiKeyRow.id == name_or_id) | (ApiKeyRow.name == name_or_id)) & ApiKeyRow.revoked.is_null()
            )
            .execute(db)
        )
    return revoked


def _key(key_id: str, name: str, tenant: str, roles: str, *rest: Any) -> ApiKey:
    """Return the key of a row: the columns stand in the order of the key's attributes."""
    return ApiKey(key_id, name, tenant, tuple(roles.split()), *rest)
