"""gunicorn's threaded worker; each method that is overridden says what went wrong without it.

Source: docs/adr/0009-gunicorns-threaded-worker-is-extended.md.
"""

import time
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn import util
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import ThreadWorker
from prometheus_client import values

from notifhist.server import incoming
from notifhist.server.memory import keep_memory
from notifhist.server.refusals import refuse

STOP_TIMEOUT_S = 2.0
"""How long a stopping worker listens to silent clients; gunicorn's own value for idle connections."""
LINGER_S = 0.5
"""How long to wait for a client to close its side of a connection that ends."""


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """The threaded worker: silent clients hold no thread of it, and no client loses its answer when it stops."""

    def init_process(self) -> None:
        """Prepare this process, then run.

        prometheus_client chooses between memory and files when it is imported: the command line does that before the
        directory of the files is there, and each worker would count for itself.
        """
        RequestParser.mesg_class = incoming.Incoming
        values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]
        keep_memory()
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread once it has sent something. Else a silent client would hold that for 5 s."""
        if conn.initialized or conn.data_ready:
            super().enqueue_req(conn)
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + (incoming.READ_TIMEOUT_S if self.alive else STOP_TIMEOUT_S)
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def murder_pending(self) -> None:
        """Close connections that stay silent; a stopping worker would wait for them as long as for requests."""
        if not self.alive:
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, time.monotonic() + STOP_TIMEOUT_S)
        super().murder_pending()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop accepting. Before the end, accept what waits in the backlog: closing would reset it."""
        super().set_accept_enabled(enabled)
        while not (enabled or self.alive) and self.sockets:
            listener, before = self.sockets.pop(), -1
            while before < self.nr_conns:
                before = self.nr_conns
                self.accept(listener)
            listener.close()

    def handle(self, conn: Any) -> Any:
        """Handle what was sent, and close what ends in this thread: in the main loop it would stop all for 2 s."""
        conn.body_read = False
        result = super().handle(conn)
        if result is False:
            with suppress(OSError):
                if conn.body_read:  # closing on unread bytes would reset, and take the answer from the client
                    conn.sock.setblocking(False)
                    conn.sock.recv(65_536)
                else:
                    util.close_graceful(conn.sock, LINGER_S)
            conn.close()
        return result

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Take a connection back from its thread. gunicorn would close again the one that `handle` has closed."""
        if not fs.cancelled() and fs.exception() is None and fs.result() is False:
            self.nr_conns -= 1
        else:
            super().finish_request(conn, fs)

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Have the app answer; return whether the connection goes on: not while the client still sends."""
        keep = super().handle_request(req, conn)
        req.answered = True
        conn.body_read = req.drain()
        return bool(keep and conn.body_read)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what never reached the app. gunicorn answers in HTML, and a request that has an answer once more."""
        request = req or getattr(exc, "request", None)
        if request is None or not request.answered:
            refuse(client, request, exc, self.log)
