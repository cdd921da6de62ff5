"""The stable application in front of the one of the current test: it notes requests, and answers faults."""

import secrets
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from notifhist.auth import hide_secrets
from notifhist.store.database import Database, discard_connection
from notifhist.testing.faults import Fault, whole
from notifhist.testing.requests import Request, message_of, request_of

OWN = "X-Notifhist-Testing"
"""The header by which the plugin says that a request is its own, and none of the client under test."""
_OWN_IN_WSGI = "HTTP_X_NOTIFHIST_TESTING"


@dataclass
class Scene:
    """The application of a test, its database, and what belongs to that test alone."""

    app: WSGIApplication
    db: Database
    requests: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


class Shim:
    """WSGI that hands each request on to the application of the current scene.

    A request that is answered while the scene changes ends in its own: it is noted there, and its keys are known there
    alone.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.token = secrets.token_hex(16)
        """The value of OWN."""
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request. No thread keeps a connection to a database, which the next reset deletes."""
        request, scene = request_of(environ, hide_secrets), self.scene
        is_own = environ.pop(_OWN_IN_WSGI, None) == self.token

        def noted(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            request.status = int(status.partition(" ")[0])  # before the client can see it
            return start_response(status, headers, *exc_info)

        with self._lock:
            if not is_own:
                scene.requests.append(request)
            fault = _next_fault(scene.faults)
        app = scene.app
        try:
            body = app(environ, noted) if fault is None else fault.answer(app, environ, noted)
            if (request.status or 0) >= HTTPStatus.BAD_REQUEST:
                body = whole(body)
                request.problem = hide_secrets(message_of(body[0]))
        finally:
            _disconnect(scene.db)
        return body if hasattr(body, "__len__") else _Body(body, scene.db)


def _next_fault(faults: list[Fault]) -> Fault | None:
    """Return the fault of this answer, if it is one; each fault counts down."""
    while faults and not faults[0].times:
        del faults[0]
    if not faults:
        return None
    first = faults[0]
    if first.after:
        first.after -= 1
        return None
    first.times -= 1
    first.was_met = True
    return first


def _disconnect(db: Database) -> None:
    """Close this thread's connection."""
    if not db.is_closed():
        discard_connection(db)


class _Body:
    """A body that may read while it is sent, from any thread."""

    def __init__(self, body: Iterable[bytes], db: Database) -> None:
        self._body, self._pieces, self._db = body, iter(body), db

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        finally:
            _disconnect(self._db)

    def close(self) -> None:
        """Give up what the body holds."""
        close: Any = getattr(self._body, "close", None)
        if close is not None:
            close()
