"""Asking the service, and its answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection, HTTPMessage, HTTPSConnection
from string import punctuation
from typing import Any
from urllib.parse import quote, urlsplit

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Answer:
    """An answer of the service. `headers` finds names in any case."""

    status: int
    headers: HTTPMessage
    body: bytes

    @cached_property
    def json(self) -> Any:
        """The body as JSON. Raises ValueError for another."""
        return json.loads(self.body)

    @cached_property
    def xml(self) -> Any:
        """The root element of the body, by lxml. Raises lxml's XMLSyntaxError for another."""
        from lxml import etree

        return etree.fromstring(self.body, etree.XMLParser(resolve_entities=False))


def ask(
    method: str,
    base: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Return the answer to a request for a path below `base`, or for a link, by a connection of its own."""
    where = urlsplit(path if path.startswith(("http://", "https://")) else base + path)
    connect = HTTPSConnection if where.scheme == "https" else HTTPConnection
    connection = connect(where.hostname or "", where.port, timeout=timeout_s)
    target = quote(where.path + (f"?{where.query}" if where.query else ""), safe=punctuation)
    try:
        connection.request(method, target or "/", body, {"Connection": "close", **headers})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()
