"""Where the service goes past Flask and Werkzeug to save time. Each shortcut can be switched off here by itself.

Every answer is the same without them. What is no shortcut, such as to serve any Host, stands here all the same where
one of them is taken.
"""

import re
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar, cast
from wsgiref.types import WSGIEnvironment

import flask
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter, Rule

UNWRAP_PROXIES: bool = True
MATCH_BY_PATTERN: bool = True
SEND_HEADERS_AS_MADE: bool = True
SKIP_ENSURE_SYNC: bool = True

T = TypeVar("T")
_Routes = dict[str, list[tuple[re.Pattern[str], Rule]]]


def unwrap(proxy: T) -> T:
    """Return the object behind one of Flask's proxies: each access through the proxy looks it up again."""
    if not UNWRAP_PROXIES:
        return proxy
    return cast("T", proxy._get_current_object())  # type: ignore[attr-defined]


class Response(flask.Response):
    """A response whose headers are complete when it is made; Werkzeug goes through them once more."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """Return the headers to send."""
        return self.headers if SEND_HEADERS_AS_MADE else super().get_wsgi_headers(environ)


class Flask(flask.Flask):
    """Flask with shorter ways from the request to its view."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func` as it is: no view is asynchronous."""
        return func if SKIP_ENSURE_SYNC else super().ensure_sync(func)

    def create_url_adapter(self, request: flask.Request | None) -> MapAdapter | None:
        """Return what finds the route of a request, whatever its Host; None if this has found it already.

        Without an adapter Flask's `url_for` does not work while a request is answered; `url_here` does.
        """
        if request is None:
            return None
        for pattern, rule in self._routes.get(request.method, ()):
            if found := pattern.fullmatch(request.path):
                request.url_rule, request.view_args = rule, found.groupdict()
                return None
        return self.url_map.bind("", path_info=request.path, default_method=request.method)

    @cached_property
    def _routes(self) -> _Routes:
        """A pattern for each rule, by method, in the order in which Werkzeug tries them: words before ids.

        Empty where a rule has parts that the patterns do not know: then Werkzeug finds all routes.
        """
        rules = sorted(self.url_map.iter_rules(), key=lambda rule: _parts_that_are_ids(rule.rule))
        if not MATCH_BY_PATTERN or not all(_ONLY_WHOLE_IDS.fullmatch(rule.rule) for rule in rules):
            return {}
        routes: _Routes = {}
        for rule in rules:
            pattern = re.compile(re.sub("<([a-z_]+)>", "(?P<\\1>[^/]+)", re.escape(rule.rule)))
            for method in rule.methods or ():
                routes.setdefault(method, []).append((pattern, rule))
        return routes


_ONLY_WHOLE_IDS = re.compile("(/([^/<>]*|<[a-z_]+>))+")


def _parts_that_are_ids(rule: str) -> list[bool]:
    return [part.startswith("<") for part in rule.split("/")]
