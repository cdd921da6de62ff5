"""Reads that take turns: of many threads, those that would only wait for the interpreter lock wait apart from it."""

from collections.abc import Iterable
from queue import Empty, SimpleQueue
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_PATIENCE_S = 0.01


def in_turns(wsgi_app: WSGIApplication, patience_s: float = _PATIENCE_S) -> WSGIApplication:
    """Return an application that answers reads one at a time, if each takes less than `patience_s`.

    Who has waited for so long goes on, so a long read or a slow disk holds nobody up for longer. What is sent, and
    every other method, takes no turn. Measured in docs/adr/0013-one-row-for-a-page.md.
    """
    turn: SimpleQueue[None] = SimpleQueue()
    turn.put(None)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return wsgi_app(environ, start_response)
        try:
            turn.get(timeout=patience_s)
        except Empty:
            return wsgi_app(environ, start_response)
        try:
            return wsgi_app(environ, start_response)
        finally:
            turn.put(None)

    return answer
