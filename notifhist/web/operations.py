"""What operators and tools ask: liveness, readiness, metrics, and the contract in machine-readable form."""

from functools import lru_cache
from importlib.resources import files

import orjson
from flask import Blueprint, Response

from notifhist.config import ConfigError
from notifhist.errors import Unavailable
from notifhist.store.database import ensure_connected, pending_migrations
from notifhist.web.context import service
from notifhist.web.openapi import describe
from notifhist.web.responses import plain

blueprint = Blueprint("operations", __name__)

_JSON = "application/json"


@blueprint.get("/healthz")
def healthz() -> Response:
    """Answer that the process lives."""
    return plain(b'{"status":"ok"}', _JSON)


@blueprint.get("/readyz")
def readyz() -> Response:
    """Answer whether requests can be served: the database is reachable and its tables are up to date."""
    db = service().db
    ensure_connected(db)
    try:
        pending = pending_migrations(db)
    except ConfigError as error:
        raise Unavailable("The tables are of another version.", str(error)) from None
    if pending:
        raise Unavailable("The tables are not up to date: run `notifhist migrate`.", ", ".join(pending))
    return plain(b'{"status":"ready"}', _JSON)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Answer the metrics of all workers as Prometheus text."""
    return plain(*service().metrics.render())


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """Answer the contract as OpenAPI."""
    return plain(_openapi(), _JSON)


@blueprint.get("/schemas/notification_history.xsd")
def xsd() -> Response:
    """Answer the XML schema of all documents."""
    return plain(_xsd(), "application/xml")


@lru_cache(maxsize=1)
def _openapi() -> bytes:
    return orjson.dumps(describe())


@lru_cache(maxsize=1)
def _xsd() -> bytes:
    return files("notifhist.schemas").joinpath("notification_history.xsd").read_bytes()
