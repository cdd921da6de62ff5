"""The sessions of people who signed in to the pages, and links that sign in once.

The store has only the hash of what a browser holds or a link says, so a copy of the database opens nothing.
"""

import secrets
from typing import NamedTuple

from notifhist.auth import hash_secret
from notifhist.store.database import Database
from notifhist.store.database.sql import changed, first

LINK_MS = 600_000
_ADD = "INSERT INTO page_session (id, key_id, created, expires) VALUES (:id, :key_id, :created, :expires)"
_FIND = "SELECT id, key_id, created, expires FROM page_session WHERE id = :id AND expires > :now_ms"
_EXTEND = "UPDATE page_session SET expires = :expires WHERE id = :id"
_HAS = "SELECT 1 FROM page_session WHERE id = :id"
_DELETE = "DELETE FROM page_session WHERE id = :id"
_ADD_LINK = "INSERT INTO login_link (id, key_id, expires) VALUES (:id, :key_id, :expires)"
_FIND_LINK = "SELECT key_id FROM login_link WHERE id = :id AND expires > :now_ms"
_DELETE_LINK = "DELETE FROM login_link WHERE id = :id AND expires > :now_ms"
_PURGE = tuple(f"DELETE FROM {table} WHERE expires <= :now_ms" for table in ("page_session", "login_link"))


class Session(NamedTuple):
    """A session: the hash of its cookie, the id of the key that opened it. Times in ms since the epoch, UTC."""

    id: str
    key_id: str
    created: int
    expires: int


def add_session(db: Database, session: Session) -> None:
    """Store a new session, and delete those and the links that have expired by the time of its creation."""
    with db.writing():
        for purge in _PURGE:
            changed(db, purge, now_ms=session.created)
        changed(db, _ADD, **session._asdict())


def find_session(db: Database, session_id: str, now_ms: int) -> Session | None:
    """Return the session of a hash; None if there is none, or it has expired."""
    found = first(db, _FIND, id=session_id, now_ms=now_ms)
    return Session(*found) if found else None


def extend_session(db: Database, session_id: str, expires: int) -> None:
    """Let a session expire at another time."""
    with db.writing():
        changed(db, _EXTEND, id=session_id, expires=expires)


def delete_session(db: Database, session_id: str) -> None:
    """End a session, if it is there; for any other text nothing waits for the one writer of a database."""
    if first(db, _HAS, id=session_id):
        with db.writing():
            changed(db, _DELETE, id=session_id)


def new_login_link(db: Database, key_id: str, now_ms: int) -> str:
    """Return what a new link says, which signs in with a key once, within LINK_MS."""
    token = secrets.token_urlsafe(32)
    with db.writing():
        changed(db, _ADD_LINK, id=hash_secret(token), key_id=key_id, expires=now_ms + LINK_MS)
    return token


def use_login_link(db: Database, link_id: str, now_ms: int) -> str | None:
    """Return the id of the key that a link signs in with, once; None if it was used, has expired or is none."""
    found = first(db, _FIND_LINK, id=link_id, now_ms=now_ms)
    if found is None:
        return None
    with db.writing():
        return str(found[0]) if changed(db, _DELETE_LINK, id=link_id, now_ms=now_ms) else None
