"""What every request passes before its view: who asks, may they, how often, and in which format.

The order is the contract's: who may ask is decided before what is asked is checked, except that a URL
which is no route is 404 for anyone (docs/contract.md, "Who may ask" and "Rate limit").
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import peewee
from flask import current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Rule

from notifhist import errors
from notifhist.auth import ApiKey, split_key
from notifhist.database import lease
from notifhist.limits import RateLimiter
from notifhist.negotiation import choose
from notifhist.queries.keys import find_key
from notifhist.responses import FORMATS, is_runs_path
from notifhist.routes.context import Service, host, required_role, service
from schemas.fields import PATH_ID, is_path_id

OPERATIONS = "operations"
"""The blueprint whose views need no key and are charged to nobody."""


@dataclass(frozen=True)
class _Api:
    """In what the two APIs differ on the way in: each reads its own header first, and counts for itself."""

    name: str
    headers: tuple[str, str]
    how: str
    refusal: type[errors.ApiError]
    """Of a caller without a valid key."""
    limiter: Callable[[Service], RateLimiter]
    account: Callable[[ApiKey], str]
    shows_usage: bool


_HISTORY = _Api(
    name="history",
    headers=("X-Auth-Token", "Authorization"),
    how="X-Auth-Token",
    refusal=errors.Unauthorized,
    limiter=attrgetter("history_limiter"),
    account=attrgetter("tenant"),
    shows_usage=True,
)
_RUNS = _Api(
    name="runs",
    headers=("Authorization", "X-Auth-Token"),
    how="Authorization: Bearer …",
    refusal=errors.Forbidden,
    limiter=attrgetter("runs_limiter"),
    account=attrgetter("id"),
    shows_usage=False,
)


def admit() -> None:
    """Admit the request, or raise the ApiError that refuses it; sets `g.key` and `g.media_type`."""
    g.started = time.perf_counter()
    g.request_id = uuid.uuid4().hex
    rule, ids = _matched()
    if rule is not None and rule.endpoint.partition(".")[0] == OPERATIONS:
        return
    api = _RUNS if is_runs_path(request.path) else _HISTORY
    try:
        lease(service().db)
        g.key = _authenticate(api)
        if rule is not None:
            _authorize(g.key, ids)
    except (errors.Unauthorized, errors.Forbidden, peewee.PeeweeException):
        if rule is None:
            raise errors.NotFound from None
        raise
    _charge(g.key, api)
    if rule is None:
        raise errors.NotFound
    if request.routing_exception is not None:
        return  # Flask raises it
    host()  # before anything is recorded whose URL could not be told
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


def _authenticate(api: _Api) -> ApiKey:
    """Return the caller's key: from the API's own header, from the other's only if that is absent."""
    name = next((each for each in api.headers if each in request.headers), api.headers[0])
    token = request.headers.get(name, "")
    if name == "Authorization":
        scheme, _, token = token.partition(" ")
        token = token if scheme.lower() == "bearer" else ""
    parts = split_key(token.strip())
    key = find_key(service().db, parts[0]) if parts else None
    if parts and key and key.has_secret(parts[1]) and key.is_valid(service().clock.now_ms()):
        return key
    raise api.refusal(f"No valid key: send one that is neither expired nor revoked as {api.how}.")


def _authorize(key: ApiKey, ids: dict[str, Any]) -> None:
    """Raise Forbidden unless the key may do this; takes the tenant out of `ids`, for it is the key's."""
    if ids.pop("tenant_id", key.tenant) != key.tenant:
        raise errors.Forbidden
    if request.endpoint is not None:
        role = required_role(request.endpoint)
        if not key.allows(role):
            raise errors.Forbidden(f"This key may not do that; it lacks the role {role}.")


def _charge(key: ApiKey, api: _Api) -> None:
    """Count the request. Raises RateLimitReached."""
    usage = api.limiter(service()).charge(api.account(key))
    g.usage = usage if api.shows_usage else None
    if usage is not None and usage.exceeded:
        service().metrics.rate_limited(api.name)
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
    wrong = {name: PATH_ID for name, value in ids.items() if not is_path_id(value)}
    if wrong:
        raise errors.BadRequest("An id in the URL does not fit.", errors.name_problems(wrong))


def _check_query() -> None:
    """Raise BadRequest for a query string of raw bytes that are no text."""
    try:
        request.query_string.decode()
    except UnicodeDecodeError:
        raise errors.BadRequest("The query string is not UTF-8.", "Percent-encode it as UTF-8.") from None
