"""Signing in, by a key or by a link that somebody made with one, and signing out."""

from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address

from flask import Response, after_this_request, request

from notifhist import errors
from notifhist.auth import ApiKey, hash_secret
from notifhist.store.sessions import use_login_link
from notifhist.web.apis import OPEN_PAGES, PAGES
from notifhist.web.context import Service, connect, current_service, key_of_id, valid_key
from notifhist.web.declarations import View
from notifhist.web.pages.links import page_url, see_other
from notifhist.web.pages.rendering import PAGE, page
from notifhist.web.pages.sessions import (
    IDLE_MS,
    MOST_FORM_BYTES,
    close_session,
    is_own_page,
    open_session,
    safe_next,
    take_cookie_back,
)

_OTHER_SITE = "The form was sent from another site, or the browser does not say from where."
_WRONG_KEY = "No valid key."
_SIGNED_OUT_HERE = (
    "This browser is signed out. The database cannot be reached, so the session itself ends only "
    f"{IDLE_MS // 3_600_000} hours after it was used last."
)
_WRONG_LINK = "This link has been used, or is older than 10 minutes."


@View(OPEN_PAGES, "GET", "", "Go to the overview", offers=PAGE)
def go_to_overview() -> Response:
    """Send the browser from /ui to /ui/."""
    return see_other(page_url())


@View(OPEN_PAGES, "GET", "/login", "Look at the form to sign in", offers=PAGE)
def show_login() -> Response:
    """Show the form, or one button to whoever has a link: a preview in a chat must not use it up."""
    return page("login.html", next=request.args.get("next", ""), once=request.args.get("once"), problem=None)


@View(OPEN_PAGES, "POST", "/login", "Sign in", answers={303: ("Location",)}, offers=PAGE)
def sign_in() -> Response:
    """Open a session and go on to `next`; the form again, with 403, for a key or link that is not valid."""
    request.max_content_length = MOST_FORM_BYTES
    if not is_own_page(request, if_unknown=True):
        raise errors.Forbidden(_OTHER_SITE)
    service, once = _ready_service(), request.form.get("once")
    key, client, is_refused = None, client_of(request.remote_addr or ""), False
    _begin_try(service, client)
    try:
        key = valid_key(service, request.form.get("key", "").strip()) if once is None else _key_of_link(service, once)
        is_refused = key is None
    finally:
        if not is_refused:
            service.rate_limiters["login"].give_back(client)
    if key is not None:
        return open_session(see_other(safe_next(request.form.get("next"))), key)
    service.metrics.refused_key(PAGES.name)
    problem = _WRONG_KEY if once is None else _WRONG_LINK
    return page("login.html", HTTPStatus.FORBIDDEN, next=request.form.get("next", ""), once=None, problem=problem)


@View(
    *(OPEN_PAGES, "POST", "/logout", "Sign out"),
    answers={303: ("Location",)},
    offers=PAGE,
    without_database=_SIGNED_OUT_HERE,
)
def sign_out() -> Response:
    """End the session and show the form to sign in; without the database the browser alone forgets the session."""
    if not is_own_page(request, if_unknown=False):
        raise errors.Forbidden(_OTHER_SITE)
    after_this_request(take_cookie_back)
    _ready_service()
    close_session(request)
    return see_other(page_url("login"))


def _ready_service() -> Service:
    """Return the service, connected to its database. Raises Unavailable while that is not up to date."""
    service = current_service()
    connect(service)
    return service


def _key_of_link(service: Service, token: str) -> ApiKey | None:
    """Use up a link, and return its key; None if it was used before, has expired, or its key is not valid."""
    key_id = use_login_link(service.db, hash_secret(token), service.clock.now_ms())
    return key_of_id(service, key_id) if key_id else None


def _begin_try(service: Service, client: str) -> None:
    """Count a try of a client to sign in, before its key is looked at. Raises RateLimitReached."""
    usage = service.rate_limiters["login"].charge(client)
    if usage is not None and usage.exceeded:
        service.metrics.rate_limited(PAGES.name)
        raise errors.RateLimitReached(
            "Too many failed tries to sign in.", headers={"Retry-After": str(usage.retry_after)}
        )


def client_of(address: str) -> str:
    """Return what tries of an address are counted for: of IPv6 its network of 64 bits, which one client has alone."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
