"""What the client under test asked, as tests look at it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from http.client import HTTPMessage
from typing import Any, NamedTuple

_KEYS = frozenset({"x-auth-token", "cookie", "proxy-authorization"})
"""The headers, in lower case, whose values are keys."""


class Headers(HTTPMessage):
    """Headers, found in any case."""

    def __repr__(self) -> str:
        return f"Headers({dict(self.items())})"


class Request(NamedTuple):
    """A request. `path` and `query` are as they were sent, keys are blotted out."""

    method: str
    path: str
    query: str
    headers: Headers


def request_of(environ: Mapping[str, Any], hide: Callable[[str], str]) -> Request:
    """Return the request of WSGI's environ; `hide` blots keys out of a text."""
    path, _, query = environ["RAW_URI"].partition("?")
    headers = Headers()
    for name, value in environ.items():
        if name in ("CONTENT_TYPE", "CONTENT_LENGTH") or name.startswith("HTTP_"):
            shown = name.removeprefix("HTTP_").replace("_", "-").title()
            headers[shown] = _blotted(shown.lower(), value, hide)
    return Request(environ["REQUEST_METHOD"], hide(path), hide(query), headers)


def _blotted(name: str, value: str, hide: Callable[[str], str]) -> str:
    if name == "authorization":
        return re.sub(r"^(\S+) .*", r"\1 ***", value, flags=re.DOTALL) if " " in value else "***"
    return "***" if name in _KEYS else hide(value)
