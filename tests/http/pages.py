"""A browser of the tests' own: a client that has signed in, and what a page shows."""

from flask import Flask
from flask.testing import FlaskClient

from notifhist.auth import hash_secret, split_key
from notifhist.store.database import ensure_connected
from notifhist.store.sessions import Session, add_session


def signed_in(app: Flask, key: str) -> FlaskClient:
    """Return a client with an open session of `key`, opened past the login page: cookies of the right name and path."""
    service, parts = app.extensions["notifhist"], split_key(key)
    assert parts is not None
    now_ms = service.clock.now_ms()
    ensure_connected(service.db)
    add_session(service.db, Session(hash_secret(f"token of {key}"), parts[0], now_ms, now_ms + 3_600_000))
    client = app.test_client()
    client.set_cookie("notifhist", f"token of {key}", path="/ui")
    return client
