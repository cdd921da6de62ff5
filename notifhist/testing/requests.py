"""What the client under test asked, as tests look at it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import unescape
from http.client import HTTPMessage
from typing import Any

_KEYS = frozenset({"x-auth-token", "cookie", "proxy-authorization"})
"""The headers, in lower case, whose values are keys."""
_ELEMENT = re.compile("<(message|details)>([^<]*)</")
_MESSAGE_CHARACTERS = 500


class Headers(HTTPMessage):
    """Headers, found in any case."""

    def __repr__(self) -> str:
        return f"Headers({dict(self.items())})"


@dataclass
class Request:
    """A request. `path` and `query` are as they were sent, keys are blotted out."""

    method: str
    path: str
    query: str
    headers: Headers
    status: int | None = None
    """That of the answer; None while there is none."""
    problem: str = ""
    """The message of an answer of 400 and more."""

    def __str__(self) -> str:
        target = self.path + (f"?{self.query}" if self.query else "")
        status = "no answer" if self.status is None else self.status
        return f"{self.method} {target} -> {status} {self.problem}".rstrip()


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


def message_of(body: bytes) -> str:
    """Return the message of an error and its details, in JSON or XML; empty for a page."""
    text = body.decode(errors="replace")
    try:
        found = json.loads(text)
    except ValueError:
        found = {name: unescape(value) for name, value in _ELEMENT.findall(text)}
    said = [str(found[name]) for name in ("message", "details") if found.get(name)]
    return ": ".join([*(part.rstrip(".") for part in said[:-1]), *said[-1:]])[:_MESSAGE_CHARACTERS]
