"""What a view needs of the application and of the request it serves."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl, quote, urlencode

from flask import Request, current_app, g, request

from notifhist.auth import ApiKey
from notifhist.clock import Clock
from notifhist.config import Settings
from notifhist.errors import BadRequest
from notifhist.metrics import Metrics
from notifhist.schemas.document import DocumentSchema
from notifhist.serializers.bodies import MAX_BODY, MAX_CONTAINER, Body, parse_body
from notifhist.store.database import Database
from notifhist.store.replicas import Replica
from notifhist.web.rate_limits import RateLimiter

_HOST = re.compile(r"([A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_DEFAULT_PORT = {"http": ":80", "https": ":443"}
View = TypeVar("View", bound=Callable[..., object])
T = TypeVar("T")


@dataclass(frozen=True)
class Service:
    """What `create_app` wires together; one for each application."""

    settings: Settings
    clock: Clock
    db: Database
    replica: Replica | None
    history_limiter: RateLimiter
    runs_limiter: RateLimiter
    metrics: Metrics

    def oldest_ms(self) -> int | None:
        """Return the time before which items have expired, ms since the epoch; None if none ever does."""
        retention_ms = self.settings.retention_ms
        return None if retention_ms is None else self.clock.now_ms() - retention_ms


def behind(proxy: T) -> T:
    """Return what a proxy of Flask's stands for: a look through one takes longer than most of what we do."""
    return cast("T", proxy._get_current_object())  # type: ignore[attr-defined]


def service() -> Service:
    """Return the service of the current application."""
    return cast("Service", behind(current_app).extensions["notifhist"])


def caller() -> ApiKey:
    """Return the key that the request came with; admitted requests have one."""
    return cast("ApiKey", behind(g).key)


def readable() -> Database:
    """Return the database to read from: the replica, if there is one and it has all that the tenant recorded."""
    wired = service()
    if wired.replica is not None and wired.replica.has_all_of(wired.db, caller().tenant):
        g.read_from = wired.replica  # whose fault it is if that fails
        return wired.replica.db
    return wired.db


def requires(role: str) -> Callable[[View], View]:
    """Declare the role that a key must have for a view; `admission` holds to it."""

    def declare(view: View) -> View:
        view.required_role = role  # type: ignore[attr-defined]
        return view

    return declare


def required_role(endpoint: str) -> str:
    """Return the role that the view of `endpoint` requires."""
    view: Any = behind(current_app).view_functions[endpoint]
    role: str = view.required_role
    return role


def read_body(single: DocumentSchema, container: DocumentSchema | None = None) -> Body:
    """Return the request's body; see `parse_body` for what it raises."""
    request.max_content_length = MAX_BODY if container is None else MAX_CONTAINER
    return parse_body(request.get_data(cache=False), request.headers.get("Content-Type"), single, container)


def host(asked: Request) -> str:
    """Return the host, perhaps with a port, that the request was sent to. Raises BadRequest if it is none.

    Not Werkzeug's: that knows no underscore, which names of services in a network like to have.
    """
    environ = asked.environ
    name: str = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    if not _HOST.fullmatch(name):
        raise BadRequest(
            "The Host header does not fit.", "Send the name, and perhaps the port, of the service."
        )
    return name.removesuffix(_DEFAULT_PORT.get(asked.scheme, ""))


def url_here(*more: str, **replaced: str) -> str:
    """Return the absolute URL of the request's path and `more` parts.

    With `replaced` parameters, the request's query goes along, those replaced at the end of it.
    """
    path = "/".join(
        [quote(request.root_path + request.path, safe="/"), *(quote(part, safe="") for part in more)]
    )
    url = f"{request.scheme}://{host(request)}{path}"
    if not replaced:
        return url
    kept = parse_qsl(request.query_string.decode(), keep_blank_values=True, errors="surrogateescape")
    pairs = [pair for pair in kept if pair[0] not in replaced] + list(replaced.items())
    return f"{url}?{urlencode(pairs, errors='surrogateescape', quote_via=quote)}"
