"""Who looks at a page: by the cookie of a session, or by the header of a proxy that knows the user.

Pages never read a key from a header, and nothing but pages reads the cookie. The key behind a session is looked up on
each request: with the key the session ends.
"""

import secrets
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote

from flask import Request, Response, g, request

from notifhist.auth import ApiKey, hash_secret, hide_secrets
from notifhist.errors import ApiError
from notifhist.store import sessions as stored
from notifhist.store.database import ERRORS
from notifhist.store.sources import Source
from notifhist.web.context import Service, current_service, host, key_of_id
from notifhist.web.pages.links import ROOT, absolute, base_path, page_url
from notifhist.web.shortcuts import unwrap

IDLE_MS = 12 * 3_600_000
"""A session ends so long after it was used last,"""
LONGEST_MS = 7 * 86_400_000
"""and so long after it was opened."""
_EXTEND_AFTER_MS = 600_000
"""A session is not written on each request: only when it can last so much longer."""
MOST_FORM_BYTES = 16 * 1024
"""The forms of pages are short: one has a key, or a URL to come back to."""
_MOST_NEXT_CHARACTERS = 2000
"""A longer URL to come back to is left out: proxies refuse long headers."""


class Visit(NamedTuple):
    """Who looks: what their requests are counted for, and their name if a proxy knows it.

    The requests of a session are counted for it, those of a proxy's user for the user.
    """

    account: str
    user: str | None = None


class LoginRequired(ApiError):
    """There is no session, or its key is no longer valid."""

    status = HTTPStatus.SEE_OTHER
    message = "Sign in first."


def find_caller(asked: Request) -> ApiKey:
    """Return the key of who looks, and set `g.session` to their Visit. Raises LoginRequired, with a way back."""
    service = current_service()
    found = _user_of_proxy(asked, service) or _session_of(asked, service)
    if found is None:
        raise LoginRequired(headers={"Location": page_url("login", next=_way_back(asked))})
    key, unwrap(g).session = found
    return key


def account_of(key: ApiKey) -> str:
    """Return what the request is counted for."""
    visit: Visit = unwrap(g).session
    return visit.account


def open_session(response: Response, key: ApiKey) -> Response:
    """Open a session with a key, and return the answer with its cookie; the session that was open before ends."""
    service, token = current_service(), secrets.token_urlsafe(32)
    if former := request.cookies.get(_cookie_name(request)):
        stored.delete_session(service.db, hash_secret(former))
    now_ms = service.clock.now_ms()
    stored.add_session(service.db, stored.Session(hash_secret(token), key.id, now_ms, now_ms + IDLE_MS))
    _set_cookie(response, token, LONGEST_MS // 1000)
    return response


def close_session(asked: Request) -> None:
    """End the session of the request, if there is one."""
    if token := asked.cookies.get(_cookie_name(asked)):
        stored.delete_session(current_service().db, hash_secret(token))


def take_cookie_back(response: Response) -> Response:
    """Return the answer, by which the browser forgets the session."""
    _set_cookie(response, "", 0)
    return response


def is_own_page(asked: Request, *, if_unknown: bool) -> bool:
    """Say whether a page of our own sent a form, `if_unknown` where no page did or the browser does not tell.

    Source: the Fetch standard, "Origin header", and the W3C's Fetch Metadata.
    """
    site, origin = asked.headers.get("Sec-Fetch-Site"), asked.headers.get("Origin")
    if site is not None:
        return site == "same-origin" or (site == "none" and if_unknown)
    if origin is not None:
        return origin in (f"{asked.scheme}://{host(asked)}", absolute(""))
    return if_unknown


def safe_next(path: str | None) -> str:
    """Return the URL to go on to after signing in: `path`, if it is one of a page, else the overview."""
    if path and len(path) <= _MOST_NEXT_CHARACTERS and path.startswith(f"{ROOT}/") and path.isprintable():
        route = path.partition("?")[0].lower().replace("%2e", ".")
        parts = route.split("/")
        is_plain = "\\" not in path and "." not in parts and ".." not in parts and "//" not in route
        if is_plain and parts[2] not in ("login", "logout"):
            return base_path() + quote(path, safe="/?&=%:@!$'()*+,;~")
    return page_url()


def _way_back(asked: Request) -> str | None:
    """Return the path of a page to come back to; None for the overview, for what is no page, and for a long one."""
    if asked.method not in ("GET", "HEAD") or asked.path == f"{ROOT}/":
        return None
    query = asked.query_string.decode("latin-1")
    way_back = hide_secrets(quote(asked.path, safe="/") + (f"?{query}" if query else ""))
    return way_back if len(way_back) <= _MOST_NEXT_CHARACTERS else None


def _user_of_proxy(asked: Request, service: Service) -> tuple[ApiKey, Visit] | None:
    settings = service.settings
    user = asked.headers.get(settings.pages_user_header) if settings.pages_user_header else None
    key = key_of_id(service, settings.pages_user_key_id) if user else None
    return (key, Visit(f"user {user}", user)) if key else None


def _session_of(asked: Request, service: Service) -> tuple[ApiKey, Visit] | None:
    token = asked.cookies.get(_cookie_name(asked))
    if not token:
        return None
    now_ms = service.clock.now_ms()
    source: Source = unwrap(g).source
    session = stored.find_session(source.db, hash_secret(token), now_ms)
    key = key_of_id(service, session.key_id) if session else None
    if session is None or key is None:
        return None
    expires = min(now_ms + IDLE_MS, session.created + LONGEST_MS)
    if expires >= session.expires + _EXTEND_AFTER_MS and not source.may_lag:
        with suppress(*ERRORS):  # a page is shown though nothing can be written; the next request tries again
            stored.extend_session(service.db, session.id, expires)
    return key, Visit(session.id)


def _cookie_name(asked: Request) -> str:
    return "__Secure-notifhist" if asked.is_secure else "notifhist"


def _set_cookie(response: Response, value: str, max_age_s: int) -> None:
    name, path, is_secure = _cookie_name(request), base_path() + ROOT, request.is_secure
    response.set_cookie(name, value, max_age_s, path=path, secure=is_secure, httponly=True, samesite="Lax")
