"""What every request passes before its view: who asks, may they, how often, and in which format.

The order is the contract's: who may ask is decided before what is asked is checked, except that a URL
which is no route is 404 for anyone (docs/contract.md, "Who may ask" and "Rate limit").
"""

import time
import unicodedata
import uuid
from typing import Any, cast

import peewee
from flask import current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Rule

from notifhist import errors
from notifhist.auth import ApiKey, split_key
from notifhist.database import lease
from notifhist.negotiation import choose
from notifhist.queries.keys import find_key
from notifhist.responses import FORMATS, is_runs_path
from notifhist.routes.context import service

OPERATIONS = "operations"
"""The blueprint whose views need no key and are charged to nobody."""
MAX_ID_LENGTH = 255


def admit() -> None:
    """Admit the request, or raise the ApiError that refuses it; sets `g.key` and `g.media_type`."""
    g.started = time.perf_counter()
    g.request_id = uuid.uuid4().hex
    rule, ids = _matched()
    if rule is not None and rule.endpoint.partition(".")[0] == OPERATIONS:
        return
    runs_api = is_runs_path(request.path)
    try:
        lease(service().db)
        g.key = _authenticate(runs_api)
        if rule is not None:
            _authorize(g.key, ids)
    except (errors.Unauthorized, errors.Forbidden, peewee.PeeweeException) as refused:
        if rule is None:
            raise errors.NotFound from None
        if runs_api and isinstance(refused, errors.Unauthorized):
            raise errors.Forbidden(refused.message) from None
        raise
    _charge(g.key, runs_api)
    if rule is None:
        raise errors.NotFound
    if request.routing_exception is not None:
        return  # Flask raises it
    _check_ids(ids)
    _check_query()
    g.media_type = choose(request.headers.get("Accept"), FORMATS)
    if g.media_type is None:
        raise errors.NotAcceptable


def _matched() -> tuple[Rule | None, dict[str, Any]]:
    """Return the rule and ids of the request's URL, whatever its method; None if it is no route."""
    if request.environ["PATH_INFO"].startswith("//"):
        return None, {}  # Werkzeug takes several leading slashes for one
    if request.url_rule is not None:
        return request.url_rule, request.view_args or {}
    refused = request.routing_exception
    if not isinstance(refused, MethodNotAllowed) or not refused.valid_methods:
        return None, {}
    adapter = current_app.create_url_adapter(request)
    if adapter is None:
        return None, {}
    try:
        rule, ids = adapter.match(method=next(iter(refused.valid_methods)), return_rule=True)
        return rule, dict(ids)
    except HTTPException:
        return None, {}


def _authenticate(runs_api: bool) -> ApiKey:
    """Return the caller's key. Each API reads its own header first, the other's only if that is absent."""
    own, other = ("Authorization", "X-Auth-Token") if runs_api else ("X-Auth-Token", "Authorization")
    name = own if own in request.headers else other
    token = request.headers.get(name, "")
    if name == "Authorization":
        scheme, _, token = token.partition(" ")
        token = token if scheme.lower() == "bearer" else ""
    parts = split_key(token.strip())
    key = find_key(service().db, parts[0]) if parts else None
    if (
        parts is None
        or key is None
        or not key.has_secret(parts[1])
        or not key.is_valid(service().clock.now_ms())
    ):
        raise errors.Unauthorized(
            f"No valid key: send one that is neither expired nor revoked as {own}"
            f"{': Bearer …' if runs_api else ''}."
        )
    return key


def _authorize(key: ApiKey, ids: dict[str, Any]) -> None:
    """Raise Forbidden unless the key may do this; takes the tenant out of `ids`, for it is the key's."""
    if ids.pop("tenant_id", key.tenant) != key.tenant:
        raise errors.Forbidden
    if request.endpoint is not None:
        role: str = cast("Any", current_app.view_functions[request.endpoint]).required_role
        if not key.allows(role):
            raise errors.Forbidden(f"This key may not do that; it lacks the role {role}.")


def _charge(key: ApiKey, runs_api: bool) -> None:
    """Count the request: part A by account, part B by key. Raises RateLimitReached."""
    limiter = service().runs_limiter if runs_api else service().history_limiter
    usage = limiter.charge(key.id if runs_api else key.tenant)
    g.usage = None if runs_api else usage
    if usage is not None and usage.exceeded:
        service().metrics.rate_limited("runs" if runs_api else "history")
        raise errors.RateLimitReached(
            details=f"{usage.limit} requests in {usage.window}.",
            headers={"Retry-After": str(usage.retry_after)},
        )


def _check_ids(ids: dict[str, Any]) -> None:
    """Raise BadRequest for an id in the path that no id may be."""
    try:
        request.environ["PATH_INFO"].encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        raise errors.BadRequest("An id in the URL is not UTF-8.") from None
    for name, value in ids.items():
        if len(value) > MAX_ID_LENGTH:
            raise errors.BadRequest(
                "An id in the URL is too long.", f"{name}: At most {MAX_ID_LENGTH} characters."
            )
        if any(unicodedata.category(character) == "Cc" for character in value):
            raise errors.BadRequest(
                "An id in the URL has a character that no id has.",
                f"{name}: No slash and no control character.",
            )


def _check_query() -> None:
    """Raise BadRequest for a query string of raw bytes that are no text."""
    try:
        request.query_string.decode()
    except UnicodeDecodeError:
        raise errors.BadRequest("The query string is not UTF-8.", "Percent-encode it as UTF-8.") from None
