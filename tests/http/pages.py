"""A browser of the tests' own: a client that has signed in, and what a page shows."""

import secrets

from flask import Flask
from flask.testing import FlaskClient

from notifhist.auth import hash_secret, split_key
from notifhist.store.database import ensure_connected
from notifhist.store.sessions import Session, add_session
from notifhist.web.pages.sessions import IDLE_MS


def signed_in(app: Flask, key: str) -> FlaskClient:
    """Return a client with an open session of `key`, opened past the login page: cookies of the right name and path."""
    service, parts = app.extensions["notifhist"], split_key(key)
    assert parts is not None
    now_ms, token = service.clock.now_ms(), secrets.token_urlsafe()
    ensure_connected(service.db)
    add_session(service.db, Session(hash_secret(token), parts[0], now_ms, now_ms + IDLE_MS))
    client = app.test_client()
    client.set_cookie("notifhist", token, path="/ui")
    return client
