"""Where the service goes past Flask and Werkzeug to save time. Each shortcut can be switched off here by itself.

Every answer is the same without them. The figures say how much more CPU time reading an item costs without the
shortcut, measured in one process, without gunicorn (Flask 3.1.3, Werkzeug 3.1.9).
"""

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, TypeVar
from wsgiref.types import StartResponse, WSGIEnvironment

import flask
from werkzeug.routing import MapAdapter, Rule

UNWRAP_PROXIES: bool = True  # 20 %
MATCH_BY_PATTERN: bool = True  # 14 %
SEND_AS_MADE: bool = True  # 9 %
BUILD_LATE: bool = True  # nothing of a request, but 15 of the 18 ms in which an application is made

_ID = re.compile("<([a-z_]+)>")
_ONLY_WHOLE_IDS = re.compile(f"(/([^/<>]*|{_ID.pattern}))+")
T = TypeVar("T")


def unwrap(proxy: T) -> T:
    """Return the object behind one of Flask's proxies: each access through the proxy looks it up again."""
    return proxy._get_current_object() if UNWRAP_PROXIES else proxy  # type: ignore[attr-defined]


class Response(flask.Response):
    """A response that is sent as it was made; Werkzeug would go through its headers again and wrap its body."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send it; Werkzeug sends it if its body has to be closed afterwards."""
        if not SEND_AS_MADE or self._on_close or not self.is_sequence:
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        return () if environ["REQUEST_METHOD"] == "HEAD" else self.iter_encoded()


class _Rule(Rule):
    """A route that compiles what builds its URLs when one is built, which the service never does."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile_now = super()._compile_builder
        if not BUILD_LATE:
            return compile_now(append_unknown)
        return lambda rule, **values: compile_now(append_unknown)(rule, **values)


class Flask(flask.Flask):
    """Flask that finds routes by one pattern for each, where Werkzeug goes from part to part."""

    url_rule_class = _Rule

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func`: none of our functions is a coroutine, and checking it each time costs more than the call."""
        return func

    def create_url_adapter(self, request: flask.Request | None) -> MapAdapter | None:
        """Return the adapter that finds a request's route, whatever its Host; None if the route is found already.

        Without an adapter Flask's `url_for` does not work while a request is answered; `url_here` does.
        """
        if request is None:
            return None
        for pattern, rule in self._routes.get((request.method, request.path.count("/")), ()):
            if found := pattern.fullmatch(request.path):
                request.url_rule, request.view_args = rule, found.groupdict()
                return None
        return self.url_map.bind("", path_info=request.path, default_method=request.method)

    @cached_property
    def _routes(self) -> dict[tuple[str, int], list[tuple[re.Pattern[str], Rule]]]:
        """Patterns and rules by method and number of slashes, in the order in which Werkzeug tries them.

        Empty where a rule has more than words and whole ids: then Werkzeug finds all routes.
        """
        rules = sorted(self.url_map.iter_rules(), key=lambda rule: [part[:1] == "<" for part in rule.rule.split("/")])
        if not MATCH_BY_PATTERN or not all(_ONLY_WHOLE_IDS.fullmatch(rule.rule) for rule in rules):
            return {}
        routes: dict[tuple[str, int], list[tuple[re.Pattern[str], Rule]]] = {}
        for rule in rules:
            pattern = re.compile(_ID.sub("(?P<\\1>[^/]+)", re.escape(rule.rule)))
            for method in rule.methods or ():
                routes.setdefault((method, rule.rule.count("/")), []).append((pattern, rule))
        return routes
