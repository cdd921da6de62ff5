"""The views for operators and tools: liveness, readiness, metrics, and the contract in machine-readable form."""

from functools import lru_cache
from importlib.resources import files

import orjson
from flask import g

from notifhist.config import ConfigError
from notifhist.errors import NotUpToDate, Unavailable
from notifhist.serializers.formats import CHARSET, XML
from notifhist.store.migrating import pending_migrations
from notifhist.web.apis import OPERATIONS
from notifhist.web.context import current_service
from notifhist.web.declarations import AS_OF, Api, View
from notifhist.web.openapi import describe
from notifhist.web.shortcuts import Response, unwrap

_JSON = "application/json"
_ANY_JSON = {_JSON: {"type": "object"}}
_XML_SCHEMA = {"application/xml": {"type": "object", "xml": {"name": "schema"}}}
_TEXT = {"text/plain": {"type": "string"}}


@View(OPERATIONS, "GET", "/healthz", "Tell that the process lives", content=_ANY_JSON)
def healthz() -> Response:
    """Answer that the process lives."""
    return Response(b'{"status":"ok"}', content_type=_JSON)


@View(
    *(OPERATIONS, "GET", "/readyz", "Tell whether requests can be served"),
    content=_ANY_JSON,
    may_bear=(AS_OF,),
    errors=(Unavailable,),
)
def readyz() -> Response:
    """Answer that the database can be reached and its tables are up to date, or that it can only be read.

    `read-only` is a replica without its primary, or a SQLite file that may only be read, which `notifhist doctor`
    names. Raises Unavailable.
    """
    unwrap(g).source = source = current_service().sources.connect(may_lag=True)
    try:
        pending = pending_migrations(source.db)
    except ConfigError as error:
        raise Unavailable("The tables are of another version.", str(error)) from None
    if pending:
        raise NotUpToDate(pending)
    is_whole = source.db.may_be_written() and not source.may_lag
    return Response(b'{"status":"ready"}' if is_whole else b'{"status":"read-only"}', content_type=_JSON)


@View(OPERATIONS, "GET", "/metrics", "Read the metrics of all workers, as Prometheus text", content=_TEXT)
def metrics() -> Response:
    """Answer the metrics of all workers as Prometheus text."""
    text, content_type = current_service().metrics.render()
    return Response(text, content_type=content_type)


@View(OPERATIONS, "GET", "/openapi.json", "Read this description", content=_ANY_JSON)
def openapi() -> Response:
    """Answer the contract as OpenAPI."""
    return Response(_openapi(current_service().apis), content_type=_JSON)


@View(
    OPERATIONS, "GET", "/schemas/notification_history.xsd", "Read the XML schema of all documents", content=_XML_SCHEMA
)
def xsd() -> Response:
    """Answer the XML schema of all documents."""
    return Response(_xsd(), content_type=XML.media_types[0] + CHARSET)


@lru_cache(maxsize=8)
def _openapi(apis: tuple[Api, ...]) -> bytes:
    return orjson.dumps(describe(apis))


@lru_cache(maxsize=1)
def _xsd() -> bytes:
    return files("notifhist.schemas").joinpath("notification_history.xsd").read_bytes()
