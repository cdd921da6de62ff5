"""The server of a test run: the service's own worker, in a thread of the process that runs the tests.

So keep-alive, chunks, refusals and streams are those of `notifhist serve`; only its processes are missing
(docs/adr/0028-a-worker-in-a-thread-behind-a-shim.md).
"""

import logging
import os
import socket
import threading
from typing import Any
from wsgiref.types import WSGIApplication

from gunicorn.config import Config

from notifhist.config import load_settings
from notifhist.server.connection import KEEPALIVE_S
from notifhist.server.exchange import ask
from notifhist.server.streams import Stream
from notifhist.server.worker import Worker

CUT_AFTER = "notifhist.cut_after"
"""The key of WSGI's environ under which an application says after how many bytes of its body to break off."""
THREADS = 8
"""Answers that may be slow on purpose at once; others wait."""
_END_S = 2.0


def _ask(app: WSGIApplication, environ: dict[str, Any], *, closes: bool) -> tuple[list[bytes], Stream | None]:
    """Return the answer as `exchange.ask` does. One that is cut has its whole length in its head."""
    (head, *pieces), stream = ask(app, environ, closes=closes)
    if (cut_after := environ.get(CUT_AFTER)) is None:
        return [head, *pieces], stream
    broken = Stream((), in_chunks=True, request_id=None)  # in chunks, an answer breaks off by an orderly end
    broken.failed = True
    return [head, b"".join(pieces)[:cut_after]], broken


class ThreadedWorker(Worker):
    """A worker that no master watches and no signal ends."""

    ask = staticmethod(_ask)

    def __init__(self, listener: socket.socket, app: WSGIApplication) -> None:
        config = Config()
        config.set("threads", THREADS)
        config.set("keepalive", KEEPALIVE_S)
        config.set("http_parser", "python")  # the service's `Incoming` extends this one
        config.set("forwarded_allow_ips", "")
        super().__init__(0, 0, [listener], None, 0, config, logging.getLogger(__name__))
        self.wsgi = app
        self.settings = load_settings({}, {"MAX_WAIT_MS": 0})  # whoever waits for a slow answer is not refused
        self.PIPE = os.pipe()

    def _goes_on(self) -> bool:
        return self.alive

    def _stop(self) -> None:
        """Close all connections; a client under test may keep one that it will not use."""
        for listener in self.sockets:
            self._connections.ignore(listener)
            listener.close()
        for connection in self._connections.waiting():
            self._connections.close(connection)
        self._threads.end(_END_S)
        self.tmp.close()

    def stop(self) -> None:
        """Have `run` end."""
        self.alive = False
        self._rouse()


class ThreadedServer:
    """Serves an application on 127.0.0.1, at a port that is free, until it is closed."""

    def __init__(self, app: WSGIApplication) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._worker = ThreadedWorker(self._listener, app)
        self._thread = threading.Thread(target=self._worker.run, name="notifhist", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving; no connection stays open."""
        self._worker.stop()
        self._thread.join(_END_S)
        if not self._thread.is_alive():  # an answer may be late on purpose
            for file in self._worker.PIPE:
                os.close(file)
