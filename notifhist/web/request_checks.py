"""What every request passes before its view: who asks, may they, how often, and in which format.

The order is the contract's: who may ask is decided before what is asked is checked, except that a URL
which is no route is 404 for anyone (docs/contract.md, "Who may ask" and "Rate limit").
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from random import getrandbits
from typing import Any

from flask import Request, current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Rule

from notifhist import errors
from notifhist.auth import ApiKey, split_key
from notifhist.schemas.fields import PATH_ID, is_path_id
from notifhist.serializers.negotiation import choose
from notifhist.store.database import ERRORS, ensure_connected
from notifhist.store.keys import find_key
from notifhist.web.context import Service, behind, host, required_role, service
from notifhist.web.rate_limits import RateLimiter
from notifhist.web.responses import FORMATS, is_runs_path

OPERATIONS = "operations"
"""The blueprint whose views need no key and are charged to nobody."""


@dataclass(frozen=True)
class _Api:
    """In what the two APIs differ on the way in: each reads its own header first, and counts for itself."""

    name: str
    headers: tuple[str, str]
    """As WSGI names them."""
    how: str
    refusal: type[errors.ApiError]
    """Of a caller without a valid key."""
    limiter: Callable[[Service], RateLimiter]
    account: Callable[[ApiKey], str]
    shows_usage: bool


_HISTORY = _Api(
    name="history",
    headers=("HTTP_X_AUTH_TOKEN", "HTTP_AUTHORIZATION"),
    how="X-Auth-Token",
    refusal=errors.Unauthorized,
    limiter=attrgetter("history_limiter"),
    account=attrgetter("tenant"),
    shows_usage=True,
)
_RUNS = _Api(
    name="runs",
    headers=("HTTP_AUTHORIZATION", "HTTP_X_AUTH_TOKEN"),
    how="Authorization: Bearer …",
    refusal=errors.Forbidden,
    limiter=attrgetter("runs_limiter"),
    account=attrgetter("id"),
    shows_usage=False,
)


def admit() -> None:
    """Admit the request, or raise the ApiError that refuses it; sets `g.key` and `g.media_type`."""
    asked, state, wired = behind(request), behind(g), service()
    state.started = time.perf_counter()
    state.request_id = f"{getrandbits(128):032x}"
    rule, ids = _matched(asked)
    if rule is not None and rule.endpoint.partition(".")[0] == OPERATIONS:
        return
    api = _RUNS if is_runs_path(asked.path) else _HISTORY
    try:
        ensure_connected(wired.db)
        state.key = _authenticate(asked, wired, api)
        if rule is not None:
            _authorize(state.key, asked.endpoint, ids)
    except (errors.Unauthorized, errors.Forbidden, *ERRORS):
        if rule is None:
            raise errors.NotFound from None
        raise
    _charge(state, wired, api)
    if rule is None:
        raise errors.NotFound
    if asked.routing_exception is not None:
        return  # Flask raises it
    host(asked)  # before anything is recorded whose URL could not be told
    _check_ids(asked, ids)
    _check_query(asked)
    state.media_type = choose(asked.environ.get("HTTP_ACCEPT"), FORMATS)
    if state.media_type is None:
        raise errors.NotAcceptable


def _matched(asked: Request) -> tuple[Rule | None, dict[str, Any]]:
    """Return the rule and ids of the request's URL, whatever its method; None if it is no route."""
    if asked.environ["PATH_INFO"].startswith("//"):
        return None, {}  # Werkzeug takes several leading slashes for one
    if asked.url_rule is not None:
        return asked.url_rule, asked.view_args or {}
    refused = asked.routing_exception
    if not isinstance(refused, MethodNotAllowed) or not refused.valid_methods:
        return None, {}
    adapter = current_app.create_url_adapter(asked)
    if adapter is None:
        return None, {}
    try:
        rule, ids = adapter.match(method=next(iter(refused.valid_methods)), return_rule=True)
        return rule, dict(ids)
    except HTTPException:
        return None, {}


def _authenticate(asked: Request, wired: Service, api: _Api) -> ApiKey:
    """Return the caller's key: from the API's own header, from the other's only if that is absent."""
    own, other = api.headers
    name = other if own not in asked.environ else own
    token: str = asked.environ.get(name, "")
    if name == "HTTP_AUTHORIZATION":
        scheme, _, token = token.partition(" ")
        token = token if scheme.lower() == "bearer" else ""
    parts = split_key(token.strip())
    key = find_key(wired.db, parts[0]) if parts else None
    if parts and key and key.has_secret(parts[1]) and key.is_valid(wired.clock.now_ms()):
        return key
    raise api.refusal(f"No valid key: send one that is neither expired nor revoked as {api.how}.")


def _authorize(key: ApiKey, endpoint: str | None, ids: dict[str, Any]) -> None:
    """Raise Forbidden unless the key may do this; takes the tenant out of `ids`, for it is the key's."""
    if ids.pop("tenant_id", key.tenant) != key.tenant:
        raise errors.Forbidden
    if endpoint is not None:
        role = required_role(endpoint)
        if not key.allows(role):
            raise errors.Forbidden(f"This key may not do that; it lacks the role {role}.")


def _charge(state: Any, wired: Service, api: _Api) -> None:
    """Count the request; sets `g.usage`. Raises RateLimitReached."""
    usage = api.limiter(wired).charge(api.account(state.key))
    state.usage = usage if api.shows_usage else None
    if usage is not None and usage.exceeded:
        wired.metrics.rate_limited(api.name)
        raise errors.RateLimitReached(
            details=f"{usage.limit} requests in {usage.window}.",
            headers={"Retry-After": str(usage.retry_after)},
        )


def _check_ids(asked: Request, ids: dict[str, Any]) -> None:
    """Raise BadRequest for an id in the path that no id may be."""
    try:
        asked.environ["PATH_INFO"].encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        raise errors.BadRequest("An id in the URL is not UTF-8.") from None
    wrong = {name: PATH_ID for name, value in ids.items() if not is_path_id(value)}
    if wrong:
        raise errors.BadRequest("An id in the URL does not fit.", errors.name_problems(wrong))


def _check_query(asked: Request) -> None:
    """Raise BadRequest for a query string of raw bytes that are no text."""
    try:
        asked.query_string.decode()
    except UnicodeDecodeError:
        raise errors.BadRequest("The query string is not UTF-8.", "Percent-encode it as UTF-8.") from None
