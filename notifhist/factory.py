"""The application, wired together; nothing is opened and no file touched until the first request."""

import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_to_bytes
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from notifhist.clock import Clock
from notifhist.config import load_settings
from notifhist.database import open_database
from notifhist.limits import RateLimiter, open_storage
from notifhist.metrics import Metrics
from notifhist.routes import departure, history, operations, runs
from notifhist.routes.admission import admit
from notifhist.routes.context import Service

_AUTHORITY = re.compile("^[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
"""What a request line in absolute form has before the path (RFC 9112, 3.2.2)."""


def create_app(overrides: Mapping[str, object] | None = None) -> Flask:
    """Return the WSGI application, configured by `NOTIFHIST_*` and, before them, by `overrides`.

    Raises ConfigError for settings that cannot be used.
    """
    settings = load_settings(os.environ, overrides)
    clock = Clock(settings.now)
    storage = open_storage(settings.rate_limit_storage, settings.database_url, clock)
    app = Flask("notifhist", static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False  # it would redirect
    app.extensions["notifhist"] = Service(
        settings=settings,
        clock=clock,
        db=open_database(settings.database_url),
        history_limiter=RateLimiter(settings.history_rate_limit, storage, clock, "history"),
        runs_limiter=RateLimiter(settings.runs_rate_limit, storage, clock, "runs"),
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


def _keep_encoded_slashes(wsgi_app: WSGIApplication) -> WSGIApplication:
    """Let `%2F` in a path arrive as a control character, so that an id with it is refused as such.

    WSGI decodes paths before they are routed: `chOne%2F<uuid>` would find the item of another check.
    """

    def keep(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raw_path = _AUTHORITY.sub("", environ.get("RAW_URI", "").partition("?")[0])
        if "%2f" in raw_path.lower():
            path = unquote_to_bytes(re.sub("%2f", "%00", raw_path, flags=re.IGNORECASE)).decode("latin-1")
            environ["PATH_INFO"] = path.removeprefix(environ.get("SCRIPT_NAME", ""))
        return wsgi_app(environ, start_response)

    return keep
