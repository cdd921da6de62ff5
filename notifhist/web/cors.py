"""What browsers ask before a page of another origin may read an answer (the Fetch standard, "CORS protocol").

Only origins in NOTIFHIST_CORS_ORIGINS are answered, and only by APIs: no script of another origin reads the pages for
people. Keys come in headers that the page sets, never as what the standard calls credentials, so
`Access-Control-Allow-Credentials` is left out.
"""

import flask
from flask import Flask, Request, Response
from werkzeug.exceptions import MethodNotAllowed

from notifhist.web.declarations import AS_OF, Api
from notifhist.web.responses import no_content
from notifhist.web.shortcuts import unwrap

_ALLOWED_HEADERS = (
    *("Accept", "Authorization", "Content-Encoding", "Content-Type"),
    *("If-Match", "If-None-Match", "X-Auth-Token"),
)
_EXPOSED_HEADERS = (
    *("ETag", "Location", "Retry-After", AS_OF, "X-Response-Id"),
    *("X-RateLimit-Limit", "X-RateLimit-Type", "X-RateLimit-Used", "X-RateLimit-Window"),
)
_MAX_AGE_S = 600
"""How long a browser keeps the answer to a preflight."""


def register(app: Flask, origins: frozenset[str]) -> None:
    """Let pages of `origins` read the answers of `app`; without any, no header is added."""

    def allow_origin(response: Response) -> Response:
        if unwrap(flask.g).api.is_described:
            response.headers.extend(fields_for(unwrap(flask.request).environ.get("HTTP_ORIGIN"), origins))
        return response

    if origins:
        app.after_request(allow_origin)


def fields_for(origin: str | None, origins: frozenset[str]) -> list[tuple[str, str]]:
    """Return the fields of an answer to a page of `origin` that let it read the answer, if it is one of `origins`."""
    fields = [("Vary", "Origin")] if origins else []
    if origin is not None and origin in origins:
        fields.append(("Access-Control-Allow-Origin", origin))
        fields.append(("Access-Control-Expose-Headers", ", ".join(_EXPOSED_HEADERS)))
    return fields


def preflight_answer(request: Request, api: Api, origins: frozenset[str]) -> Response | None:
    """Return the answer to a browser that asks, for a page of one of `origins`, which requests may be sent.

    None for any other request, one for a URL that is no route too.
    """
    refused, environ = request.routing_exception, request.environ
    if not isinstance(refused, MethodNotAllowed) or request.method != "OPTIONS":
        return None
    if not api.is_described or environ.get("HTTP_ORIGIN") not in origins:
        return None
    if "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ:
        return None
    response = no_content()
    response.headers["Access-Control-Allow-Methods"] = ", ".join(sorted(refused.valid_methods or ()))
    response.headers["Access-Control-Allow-Headers"] = ", ".join(_ALLOWED_HEADERS)
    response.headers["Access-Control-Max-Age"] = str(_MAX_AGE_S)
    return response
