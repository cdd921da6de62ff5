"""The application, wired together; nothing is opened and no file touched until the first request."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Request
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import MapAdapter, Rule

from notifhist.clock import Clock
from notifhist.config import PREFIX, ConfigError, Settings, load_settings
from notifhist.metrics import Metrics
from notifhist.store.database import PostgresqlDatabase, open_database
from notifhist.store.replicas import Replica
from notifhist.store.request_counts import open_counter
from notifhist.web import history, operations, runs
from notifhist.web import response_hooks as departure
from notifhist.web.context import Service
from notifhist.web.rate_limits import RateLimiter
from notifhist.web.request_checks import admit

_AUTHORITY = re.compile("^[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
"""What a request line in absolute form has before the path (RFC 9112, 3.2.2)."""


class _App(Flask):
    """Flask, without some things that it does at every request and that are of no use to us."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func` as it is: none of ours is asynchronous."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what finds the route of a request; None where there is nothing to find, or it is found."""
        if request is None:
            return None
        for pattern, rule in self._routes.get(request.method, ()):
            if found := pattern.fullmatch(request.path):
                request.url_rule, request.view_args = rule, found.groupdict()
                return None
        return self.url_map.bind("", path_info=request.path, default_method=request.method)

    @cached_property
    def _routes(self) -> dict[str, list[tuple[re.Pattern[str], Rule]]]:
        """The rules by method, each as one pattern: Werkzeug matches part by part, which takes longer."""
        routes = defaultdict(list)
        for rule in self.url_map.iter_rules():
            pattern = re.compile(re.sub("<([a-z_]+)>", "(?P<\\1>[^/]+)", re.escape(rule.rule)))
            for method in rule.methods or ():
                routes[method].append((pattern, rule))
        return routes


def create_app(overrides: Mapping[str, object] | None = None) -> Flask:
    """Return the WSGI application, configured by `NOTIFHIST_*` and, before them, by `overrides`.

    Raises ConfigError for settings that cannot be used.
    """
    settings = load_settings(os.environ, overrides)
    clock = Clock(settings.now)
    counter = open_counter(settings.rate_limit_storage, settings.database_url, clock)
    app = _App("notifhist", static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False  # it would redirect
    app.extensions["notifhist"] = Service(
        settings=settings,
        clock=clock,
        db=open_database(settings.database_url, statement_timeout_s=settings.statement_timeout_s),
        replica=_open_replica(settings),
        history_limiter=RateLimiter(settings.history_rate_limit, counter, "history"),
        runs_limiter=RateLimiter(settings.runs_rate_limit, counter, "runs"),
        metrics=Metrics(),
    )
    app.before_request(admit)
    departure.register(app)
    app.register_blueprint(history.blueprint)
    app.register_blueprint(history.blueprint, name="tenant_history", url_prefix="/v1.0/<tenant_id>")
    app.register_blueprint(runs.blueprint)
    app.register_blueprint(operations.blueprint)
    app.wsgi_app = _keep_encoded_slashes(app.wsgi_app)  # type: ignore[assignment]
    if hops := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, hops, hops, hops, hops, hops)  # type: ignore[method-assign]
    return app


def _open_replica(settings: Settings) -> Replica | None:
    """Return the replica that is configured, not connected to. Raises ConfigError beside an SQLite file."""
    if not settings.replica_url:
        return None
    db = open_database(settings.replica_url, statement_timeout_s=settings.statement_timeout_s)
    if not isinstance(db, PostgresqlDatabase) or not settings.database_url.startswith("postgres"):
        raise ConfigError(f"{PREFIX}REPLICA_URL: only a PostgreSQL has replicas")
    return Replica(db)


def _keep_encoded_slashes(wsgi_app: WSGIApplication) -> WSGIApplication:
    """Let `%2F` in a path arrive as a control character, so that an id with it is refused as such.

    WSGI decodes paths before they are routed: `chOne%2F<uuid>` would find the item of another check.
    """

    def keep(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raw_uri = environ.get("RAW_URI", "")
        if "%2f" in raw_uri.lower():
            raw_path = _AUTHORITY.sub("", raw_uri.partition("?")[0])
            path = unquote_to_bytes(re.sub("%2f", "%00", raw_path, flags=re.IGNORECASE)).decode("latin-1")
            environ["PATH_INFO"] = path.removeprefix(environ.get("SCRIPT_NAME", ""))
        return wsgi_app(environ, start_response)

    return keep
