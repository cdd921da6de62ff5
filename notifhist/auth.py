"""API keys: their form, their stored parts, and the rights of their roles; pure.

Source: docs/contract.md, "Who may ask" and "Notification runs".
"""

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

OBSERVER = "monitoring:observer"
CREATOR = "monitoring:creator"
ADMIN = "monitoring:admin"
RUNS_VIEW = "notification-logs:view"
RUNS_EDIT = "notification-logs:edit"

GRANTS = {
    OBSERVER: frozenset({OBSERVER}),
    CREATOR: frozenset({OBSERVER, CREATOR}),
    ADMIN: frozenset({OBSERVER, CREATOR, ADMIN}),
    RUNS_VIEW: frozenset({RUNS_VIEW}),
    RUNS_EDIT: frozenset({RUNS_VIEW, RUNS_EDIT}),
}
"""The roles that each role includes."""

KEY_PREFIX = "nh_"
_KEY = re.compile(rf"{KEY_PREFIX}([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})")
KEY_CHARACTERS = len(KEY_PREFIX) + 12 + 1 + 43
"""The length of a key."""
_SECRET = re.compile(rf"({KEY_PREFIX}[0-9a-f]{{12}}_)[A-Za-z0-9_-]{{43}}")


class ApiKey(NamedTuple):
    """A key as it is stored: everything but its secret. Times in ms since the epoch, UTC."""

    id: str
    name: str
    tenant: str
    roles: tuple[str, ...]
    secret_hash: str
    created: int
    expires: int | None = None
    revoked: int | None = None

    def is_valid(self, now_ms: int) -> bool:
        """Say whether the key is neither expired nor revoked."""
        return self.revoked is None and (self.expires is None or now_ms < self.expires)

    def allows(self, role: str) -> bool:
        """Say whether one of the key's roles is or includes `role`."""
        return any(role in GRANTS.get(own, ()) for own in self.roles)

    def has_secret(self, secret: str) -> bool:
        """Say whether `secret` is this key's, by a comparison in constant time."""
        return hmac.compare_digest(self.secret_hash, hash_secret(secret))


def new_key() -> tuple[str, str, str]:
    """Return a new key for its owner, its public id, and its secret's hash to store."""
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return f"{KEY_PREFIX}{key_id}_{secret}", key_id, hash_secret(secret)


def split_key(key: str) -> tuple[str, str] | None:
    """Return a key's id and secret; None if it does not have the form of one."""
    matched = _KEY.fullmatch(key)
    return (matched[1], matched[2]) if matched else None


def hide_secrets(text: str) -> str:
    """Return `text` with `***` for the secret of each key in it: clients send keys in paths too."""
    return _SECRET.sub(r"\1***", text)


def beginning(text: str, length: int) -> str:
    """Return the first `length` characters of a text, with `***` for secrets: of a key at the cut, nothing is shown."""
    end = length
    for found in _SECRET.finditer(text, 0, length + KEY_CHARACTERS):
        if found.start() < length < found.end():
            end = found.end()
    return hide_secrets(text[:end])[:length]


def hash_secret(secret: str) -> str:
    """Return the hash that is stored: plain SHA-256 is enough for a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()
