"""The parts of the application and of the current request that views use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import parse_qsl, quote, urlencode

from flask import Request, current_app, g, request

from notifhist.auth import ApiKey, split_key
from notifhist.clock import Clock
from notifhist.config import HOST, Settings
from notifhist.errors import BadRequest, NotUpToDate
from notifhist.metrics import Metrics
from notifhist.run.sending import HOST_REFUSED
from notifhist.serializers.bodies import Body, ExpectedBody, parse_body
from notifhist.serializers.codings import unpack
from notifhist.store.database import Database
from notifhist.store.fills import FillsSeen
from notifhist.store.keys import find_key
from notifhist.store.remembered_keys import RememberedKeys
from notifhist.store.sources import Source, Sources
from notifhist.web.declarations import Api, View
from notifhist.web.rate_limits import RateLimiter
from notifhist.web.shortcuts import unwrap

READING = ("GET", "HEAD")
"""The methods of requests that change nothing."""
_HOST = re.compile(HOST)
_DEFAULT_PORT = {"http": ":80", "https": ":443"}


@dataclass(frozen=True)
class Service:
    """The parts of an application; `create_app` makes a Service for each. `views` are found by endpoint."""

    settings: Settings
    clock: Clock
    db: Database
    keys: RememberedKeys
    sources: Sources
    rate_limiters: Mapping[str, RateLimiter]
    metrics: Metrics
    apis: tuple[Api, ...]
    given_keys: Mapping[str, str] = field(default_factory=dict)
    """The ids of the keys that some texts stand for, which contract tests chose; usually none."""
    views: dict[str, View] = field(default_factory=dict)
    fills: FillsSeen = field(default_factory=FillsSeen)

    def oldest_ms(self) -> int | None:
        """Return the time before which items have expired, ms since the epoch; None if none ever does."""
        retention_ms = self.settings.retention_ms
        return None if retention_ms is None else self.clock.now_ms() - retention_ms


def connect(service: Service) -> Source:
    """Return where this request is answered from, connected in this thread, and set `g.source` to it.

    Raises NotUpToDate, and one of ERRORS.
    """
    unwrap(g).source = source = service.sources.connect(may_lag=unwrap(request).method in READING)
    if pending := service.fills.pending(source.db):
        raise NotUpToDate(pending)
    return source


def valid_key(service: Service, token: str) -> ApiKey | None:
    """Return the key that a caller shows; None if it has not the form of one, or is unknown, expired or revoked."""
    if key_id := service.given_keys.get(token):
        return key_of_id(service, key_id)
    id_and_secret = split_key(token)
    key = key_of_id(service, id_and_secret[0]) if id_and_secret else None
    return key if id_and_secret and key and key.has_secret(id_and_secret[1]) else None


def key_of_id(service: Service, key_id: str) -> ApiKey | None:
    """Return the key of an id, as `g.source` has it; None if it is unknown, expired or revoked.

    What a replica says that may lag is not remembered: it may not know of a revocation.
    """
    source: Source = unwrap(g).source
    key = find_key(source.db, key_id) if source.may_lag else service.keys.find(source.db, key_id)
    return key if key is not None and key.is_valid(service.clock.now_ms()) else None


def current_service() -> Service:
    """Return the service of the current application."""
    return cast("Service", unwrap(current_app).extensions["notifhist"])


def caller() -> ApiKey:
    """Return the key that the request came with; a view whose API needs keys has one."""
    return cast("ApiKey", unwrap(g).key)


def readable_db() -> Database:
    """Return the database to read from, and set `g.source` to it: the replica, if it has all that the tenant recorded.

    Without a primary it is the replica, whatever it has.
    """
    context = unwrap(g)
    if not context.source.may_lag:
        context.source = current_service().sources.of_tenant(caller().tenant)
    db: Database = context.source.db
    return db


def read_body() -> Body:
    """Return the body that the view declares; see `unpack` and `parse_body` for the errors they raise."""
    expected = cast("ExpectedBody", unwrap(g).view.body)
    headers = request.headers
    data = unpack(request.get_data(cache=False), headers.get("Content-Encoding"), expected)
    return parse_body(data, headers.get("Content-Type"), expected)


def host(request: Request) -> str:
    """Return the host, perhaps with a port, that the request was sent to.

    Raises BadRequest if it is none, or none that may be asked (NOTIFHIST_ALLOWED_HOSTS, with or without the port).
    Werkzeug's own check refuses underscores, which are common in the names of services in a network.
    """
    environ = request.environ
    name: str = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    matched, allowed = _HOST.fullmatch(name), current_service().settings.allowed_hosts
    if not matched or (allowed and allowed.isdisjoint((name.lower(), matched[1].lower()))):
        raise BadRequest(HOST_REFUSED, "Send the name, and perhaps the port, of the service.")
    return name.removesuffix(_DEFAULT_PORT.get(request.scheme, ""))


def url_here(*more: str, **replaced: str) -> str:
    """Return the absolute URL of the request's path and `more` parts, below NOTIFHIST_PUBLIC_URL, if there is one.

    With `replaced` parameters the request's query is kept, with the replaced ones at its end.
    """
    base = current_service().settings.public_url
    if not base:
        base = f"{request.scheme}://{host(request)}{quote(request.root_path, safe='/')}"
    url = "/".join([base + quote(request.path, safe="/"), *(quote(part, safe="") for part in more)])
    if not replaced:
        return url
    query = parse_qsl(request.query_string.decode(), keep_blank_values=True, errors="surrogateescape")
    pairs = [pair for pair in query if pair[0] not in replaced] + list(replaced.items())
    return f"{url}?{urlencode(pairs, errors='surrogateescape', quote_via=quote)}"
