"""A browser of the tests' own: a client that has signed in, and what a page shows."""

import secrets

from flask import Flask
from flask.testing import FlaskClient
from lxml import html

from notifhist.auth import hash_secret, split_key
from notifhist.store.database import ensure_connected
from notifhist.store.sessions import Session, add_session
from notifhist.web.pages.sessions import IDLE_MS

LIST = "/ui/deliveries"


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


def page_at(client: FlaskClient, url: str, status: int = 200) -> html.HtmlElement:
    """Return a page, once its status is the expected one."""
    response = client.get(url)
    assert response.status_code == status, (url, response.status_code, response.text[:2000])
    assert response.content_type == "text/html; charset=utf-8"
    return html.fromstring(response.text)


def ids_on(page: html.HtmlElement) -> list[str]:
    """Return the ids of the deliveries on a page, in their order."""
    return [str(row.get("data-id")) for row in page.xpath("//tr[@data-id]")]


def link_of(page: html.HtmlElement, text: str) -> str | None:
    """Return the URL of the link whose text has these words; None if there is none."""
    found = [each for each in page.xpath("//a") if text in each.text_content()]
    return found[0].get("href") if found else None


def text_of(page: html.HtmlElement) -> str:
    """Return what a page says, with single blanks."""
    return " ".join(page.text_content().split())
