"""The application, put together from its parts; nothing is opened and no file touched until the first request."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import flask
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix

from notifhist.clock import Clock
from notifhist.config import PREFIX, ConfigError, RateLimit, Settings, load_settings
from notifhist.metrics import Metrics
from notifhist.serializers.bodies import MAX_BODY_BYTES
from notifhist.store.database import Database, open_database
from notifhist.store.remembered_keys import RememberedKeys
from notifhist.store.replicas import Replica
from notifhist.store.request_counts import open_counter
from notifhist.store.sources import Sources
from notifhist.web import (  # noqa: F401 - most are imported so that their views declare themselves
    changelogs,
    cors,
    deliveries,
    feeds,
    history,
    latest_states,
    limits,
    logs,
    operations,
    register,
    response_hooks,
    runs,
)
from notifhist.web.apis import APIS, served
from notifhist.web.context import Service
from notifhist.web.declarations import Api
from notifhist.web.pages import alarms as alarm_pages  # noqa: F401
from notifhist.web.pages import appearance, items, overview, signing_in, static_files  # noqa: F401
from notifhist.web.pages import deliveries as delivery_pages  # noqa: F401
from notifhist.web.pages import runs as run_pages  # noqa: F401
from notifhist.web.rate_limits import RateLimiter
from notifhist.web.request_checks import check_request
from notifhist.web.shortcuts import Flask

_AUTHORITY = re.compile("^[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
"""Scheme and host, which precede the path in a request line of absolute form (RFC 9112, 3.2.2)."""


FAILED_TRIES = RateLimit(10, window_s=60)
"""How often an address may fail to sign in."""


class _Request(flask.Request):
    """A request whose body is never longer than `max_content_length`."""

    def get_data(self, *args: Any, **kwargs: Any) -> Any:
        """Return the body. Raises RequestEntityTooLarge for a longer chunked body, which Werkzeug would cut off."""
        data = super().get_data(*args, **kwargs)
        is_full = len(data) == self.max_content_length and "wsgi.input_terminated" in self.environ
        if is_full and self.environ["wsgi.input"].read(1):
            raise RequestEntityTooLarge
        return data


class App(Flask):
    """Flask that serves declared views, and no others."""

    request_class = _Request

    def register_api(self, api: Api) -> None:
        """Serve the views of an API below each of its prefixes."""
        for prefix, suffix in api.prefixes.items():
            for view in api.views:
                endpoint = view.name + suffix
                if endpoint in self.view_functions:
                    raise TypeError(f"Two views have the name {endpoint}; it is their operation id.")
                self.extensions["notifhist"].views[endpoint] = view
                self.add_url_rule(prefix + view.path, endpoint, view.function, methods=[view.method])

    def add_url_rule(self, rule: str, endpoint: str | None = None, *args: Any, **options: Any) -> None:
        """Add the route of a declared view. Raises TypeError for any other view, a blueprint's too."""
        if endpoint not in self.extensions["notifhist"].views:
            raise TypeError(f"The view at {rule} has no declaration; decorate it with web.declarations.View.")
        super().add_url_rule(rule, endpoint, *args, **options)


def create_app(
    overrides: Mapping[str, object] | None = None,
    apis: Iterable[Api] = APIS,
    *,
    clock: Clock | None = None,
    given_keys: Mapping[str, str] | None = None,
) -> App:
    """Return the WSGI application, which serves `apis`.

    Its settings are those of `overrides`, else `NOTIFHIST_*`. Raises ConfigError for a bad setting. For contract tests:
    `clock` is in the place of the setting NOW, and `given_keys` has texts that are taken for keys, with the keys' ids.
    """
    settings = load_settings(os.environ, overrides)
    _check_user_header(settings)
    apis = served(apis, pages=settings.pages)
    db = open_database(settings.database_url, statement_timeout_s=settings.statement_timeout_s)
    app = App("notifhist", static_folder=None)
    app.config.update(PROVIDE_AUTOMATIC_OPTIONS=False, MAX_CONTENT_LENGTH=MAX_BODY_BYTES)  # of views without a body
    app.url_map.merge_slashes = False  # it would redirect
    service = app.extensions["notifhist"] = Service(
        settings=settings,
        clock=clock or Clock(settings.now, db.ahead_ticks),
        db=db,
        keys=RememberedKeys(settings.database_url),
        sources=Sources(db, _open_replica(settings, db)),
        rate_limiters=_rate_limiters(settings, clock or Clock(settings.now)),
        metrics=Metrics(api.name for api in apis if api.access is not None),
        apis=apis,
        given_keys=given_keys or {},
    )
    app.before_request(check_request)
    response_hooks.register(app)
    cors.register(app, settings.cors_origins)
    for api in service.apis:
        app.register_api(api)
    app.wsgi_app = _keep_encoded_slashes(app.wsgi_app)  # type: ignore[assignment]
    if hops := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, hops, hops, hops, hops, hops)  # type: ignore[method-assign]
    return app


def _rate_limiters(settings: Settings, clock: Clock) -> dict[str, RateLimiter]:
    """Return the limiters by name; they count in one place. Raises ConfigError for a place that cannot be used."""
    counter = open_counter(settings.rate_limit_storage, settings.database_url, clock)
    named = {
        "history": settings.history_rate_limit,
        "runs": settings.runs_rate_limit,
        "feeds": settings.feed_rate_limit,
        "login": FAILED_TRIES,
        "pages": settings.pages_rate_limit,
    }
    return {name: RateLimiter(limit, counter, name) for name, limit in named.items()}


def _open_replica(settings: Settings, primary: Database) -> Replica | None:
    """Return the replica that is configured, not connected to. Raises ConfigError beside an SQLite file."""
    if not settings.replica_url:
        return None
    db = open_database(settings.replica_url, statement_timeout_s=settings.statement_timeout_s, tells_time=False)
    if not (primary.has_replicas and db.has_replicas):
        raise ConfigError(f"{PREFIX}REPLICA_URL: only a PostgreSQL has replicas")
    return Replica(db)


def _check_user_header(settings: Settings) -> None:
    """Raise ConfigError unless the header that names a user comes with a key, and from a proxy."""
    if bool(settings.pages_user_header) != bool(settings.pages_user_key_id):
        raise ConfigError(f"{PREFIX}PAGES_USER_HEADER, {PREFIX}PAGES_USER_KEY_ID: give both or none")
    if settings.pages_user_header and not settings.trusted_proxies:
        raise ConfigError(f"{PREFIX}PAGES_USER_HEADER: anybody could send it; it needs {PREFIX}TRUSTED_PROXIES")


def _keep_encoded_slashes(wsgi_app: WSGIApplication) -> WSGIApplication:
    """Turn `%2F` in a path into a control character, so that an id with it is refused.

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
