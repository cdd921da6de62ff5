"""The keys."""

from notifhist.auth import ApiKey
from notifhist.database import Database
from notifhist.models import ApiKeyRow


def find_key(db: Database, key_id: str) -> ApiKey | None:
    """Return the key of this id, valid or not."""
    row = ApiKeyRow.select().where(ApiKeyRow.id == key_id).execute(db)
    return next((_key(each) for each in row), None)


def list_keys(db: Database) -> list[ApiKey]:
    """Return all keys, oldest first."""
    rows = ApiKeyRow.select().order_by(ApiKeyRow.created, ApiKeyRow.id).execute(db)
    return [_key(each) for each in rows]


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


def _key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        tenant=row.tenant,
        roles=tuple(row.roles.split()),
        secret_hash=row.secret_hash,
        created=row.created,
        expires=row.expires,
        revoked=row.revoked,
    )
