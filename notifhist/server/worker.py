"""gunicorn's worker with a poller and threads of our own.

One thread polls: it accepts, takes requests in whole, sends what clients take late, and closes what is overdue. It also
answers, one after the other; while one answer takes long the main thread polls, and other threads give the others
(`server.threads`). Health has threads of its own.
Why: docs/adr/0020-the-poller-takes-requests-in-whole.md and docs/adr/0022-the-poller-answers.md.
"""

import math
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import cast

from gunicorn.workers.base import Worker as BaseWorker
from prometheus_client import values

from notifhist.config import load_settings
from notifhist.errors import BadRequest
from notifhist.metrics import Metrics
from notifhist.server.connection import Connection, LateRequest, State
from notifhist.server.connections import NO_MORE_FILES, Connections
from notifhist.server.exchange import ask, environ_of
from notifhist.server.incoming import Incoming
from notifhist.server.memory import keep_memory
from notifhist.server.polling import Polling
from notifhist.server.refusals import Overloaded, refusal
from notifhist.server.streams import Stream
from notifhist.server.threads import Threads
from notifhist.store.database import open_database

STOP_TIMEOUT_S = 2.0
"""How long a stopping worker listens to clients that send nothing; gunicorn's own value."""
SWEEP_EVERY_S = 0.2
"""How often the poller looks for what is overdue."""
ACCEPTED_BY_BUSY, BUSY_FROM = 16, 4
"""How many connections a worker accepts at once while so many requests wait: it must see all clients, to refuse some
and to answer health. Others accept one, so that workers share the clients that come at the same time."""
PAUSE_S = 0.05
"""For so long a worker accepts nobody once it has no room, at least."""
ANSWERS_FOR_S = 0.005
"""How long the poller answers before it looks at the network again."""


class Worker(BaseWorker):  # type: ignore[misc]  # gunicorn ships no types
    """A worker whose threads wait for no client."""

    alive: bool
    ask = staticmethod(ask)

    def init_process(self) -> None:
        """Prepare this process, then run.

        prometheus_client chooses between memory and files when it is imported: the command line does that before the
        directory of the files is there, and each worker would count for itself.
        """
        values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]
        keep_memory()
        self.settings = load_settings(os.environ)
        super().init_process()

    def init_signals(self) -> None:
        """Hear signals; one that came since this process was forked is heard now (the master blocks them)."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self.SIGNALS)

    def run(self) -> None:
        """Serve until a signal, or the end of the master, says to stop."""
        self._connections = Connections()
        self._resumed: deque[Connection] = deque()  # those whose next request has arrived, or next piece is due
        self._swept, self._breaks_off, self._metrics = 0.0, False, Metrics()
        settings = self.settings
        self._refusal = partial(refusal, log=self.log, origins=settings.cors_origins, pages=settings.pages)
        max_wait_s = (settings.max_wait_ms or math.inf) / 1000
        self._threads = Threads(self.cfg.threads, self._answer, max_wait_s, self._may_stream)
        self._runs_in_process = open_database(settings.database_url).runs_in_process
        self._polling = Polling(self._turn, self._rouse, self._threads.call_for_left)
        os.set_blocking(self.PIPE[0], False)
        self._connections.listen(self.PIPE[0], self._wake)
        for listener in self.sockets:
            listener.setblocking(False)
        self._listen()
        self._polling.begin(self._serve)
        while self._goes_on():
            self._polling.stand_in(SWEEP_EVERY_S, self._goes_on)
        self.alive = False
        self._polling.take()
        self._stop()

    def _goes_on(self) -> bool:
        return self.alive and self.ppid == os.getppid()

    def _serve(self) -> None:
        """Poll, and answer those who read. In a thread of its own, so that the main thread hears signals."""
        try:
            while self.alive:
                self._turn()
                self._answer_left()
        except Exception:
            self.log.exception("The poller failed; the master starts another worker")
            self.alive = False

    def _stop(self) -> None:
        """Answer what has arrived, and what waits in the kernel's backlog: closing that would reset it."""
        for listener in self.sockets:
            self._connections.ignore(listener)
            self._accept(listener, at_once=1 << 16)
            listener.close()
        stopped = time.monotonic()
        while self._connections and (since := time.monotonic() - stopped) < self.cfg.graceful_timeout:
            self._breaks_off = since > self.cfg.graceful_timeout - STOP_TIMEOUT_S  # the master kills us at its end
            for connection in self._connections.waiting():
                if self._breaks_off or (since > STOP_TIMEOUT_S and connection.state is not State.SENDING):
                    self._connections.close(connection)
            self._turn()
        self._threads.end(STOP_TIMEOUT_S)

    def _turn(self) -> None:
        """Do what has become possible, and what is overdue."""
        self.notify()
        for each in self._connections.poll(0 if self._answers and self._threads.waiting else SWEEP_EVERY_S):
            try:
                self._go_on(each) if isinstance(each, Connection) else each()
            except Exception:
                self.log.exception("A connection failed")
                if isinstance(each, Connection):
                    self._connections.close(each)
        while self._resumed:
            self._resume(self._resumed.popleft())
        if self.alive:
            for connection in self._threads.take_late():
                self._refuse(connection, Overloaded())
        now = time.monotonic()
        if self.alive and now - self._paused_at > PAUSE_S:
            self._listen()
        if now - self._swept > SWEEP_EVERY_S:
            self._sweep()

    def _answer_left(self) -> None:
        """Answer those that were left to this thread, for a while."""
        until = time.monotonic() + ANSWERS_FOR_S
        while self._answers and time.monotonic() < until and (connection := self._threads.take_left()):
            self._polling.leave(partial(self._answer, connection))

    @property
    def _answers(self) -> bool:
        """Whether the thread that polls answers too.

        Where the database runs in this process, other threads would wait for the GIL at each statement of theirs.
        """
        return self._runs_in_process and not self._polling.has_stand_in

    def _may_stream(self) -> bool:
        """Say whether the threads make streams too; each would fill a cache of SQLite's pages, of 8 MB."""
        return not (self._runs_in_process and self.alive) or self._polling.away_s > SWEEP_EVERY_S

    def _rouse(self) -> None:
        """Wake who polls."""
        with suppress(BlockingIOError):
            os.write(self.PIPE[1], b"\0")

    def _wake(self) -> None:
        """Forget why the poller was woken: by a signal, or by a thread."""
        with suppress(BlockingIOError):
            os.read(self.PIPE[0], 4096)

    def _listen(self) -> None:
        self._paused_at = math.inf
        for listener in self.sockets:
            self._connections.listen(listener, partial(self._accept, listener))

    def _pause(self) -> None:
        """Accept nobody for a while, in which there may be room: who connects waits in the kernel's backlog."""
        self._paused_at = time.monotonic()
        for listener in self.sockets:
            self._connections.ignore(listener)

    def _accept(self, listener: socket.socket, at_once: int = 0) -> None:
        """Accept some of the connections that wait; accept(2) tells errors of the network, too, which pass."""
        for _ in range(at_once or (ACCEPTED_BY_BUSY if self._threads.waiting >= BUSY_FROM else 1)):
            if len(self._connections) >= self.cfg.worker_connections and not self._connections.make_room():
                self._pause()
                return
            try:
                sock, client = listener.accept()
            except OSError as error:
                if error.errno in NO_MORE_FILES and not self._connections.make_room():
                    self._pause()
                return
            connection = Connection(sock, client, listener.getsockname(), self.cfg)
            self._connections.add(connection)
            self._connections.wait(connection)

    def _go_on(self, connection: Connection) -> None:
        """Go on with a connection whose client has sent, or has taken some of its answer."""
        if connection.state is State.SENDING:
            connection.waits = False
            self._send(connection, connection.flush)
        else:
            self._receive(connection)

    def _receive(self, connection: Connection) -> None:
        try:
            goes_on = connection.receive()
        except OSError:
            self._connections.close(connection)
            return
        if not goes_on and connection.state is State.BODY:
            self._refuse(connection, BadRequest("The body is cut off."))
        elif not goes_on:
            self._connections.close(connection)
        elif connection.state not in (State.DRAINING, State.LINGERING):
            self._take_request(connection)

    def _take_request(self, connection: Connection) -> None:
        """Go on with a request, and have it answered once it is complete."""
        try:
            is_complete = connection.take_request()
        except Exception as error:  # noqa: BLE001 - one request must not end the worker
            self._refuse(connection, error)
            return
        if not is_complete:
            if not connection.waits:
                self._connections.wait(connection)
            return
        connection.waits = False
        connection.enter(State.ANSWER)
        if not self._threads.put(connection, however_late=not self.alive, is_left=self._answers):
            self._refuse(connection, Overloaded())

    def _resume(self, connection: Connection) -> None:
        """Go on with a connection whose client was given all, or all that there is yet, of an answer."""
        if connection.stream is None:
            self._take_request(connection)
        elif self._breaks_off:
            self._connections.close(connection)
        else:
            self._threads.put_stream(connection, is_left=self._answers)

    def _refuse(self, connection: Connection, error: Exception) -> None:
        """Answer a request that no thread gets."""
        connection.waits = False
        request = connection.request
        # The request of one that is only too many has been read whole, and to connect anew would cost more than it.
        may_go_on = isinstance(error, Overloaded) and self.alive and not connection.closes
        closes = not may_go_on or request is None or request.should_close()
        head = connection.head or bytes(connection.buffer)
        parts = self._refusal(error, head, connection.since, closes=closes)
        status = int(parts[0].split(b" ", 2)[1])
        self._metrics.observe(request.method if request else "", "", status, time.monotonic() - connection.since)
        self._send(connection, lambda: connection.reply(parts, closes))

    def _answer(self, connection: Connection) -> None:
        """Have the app answer a complete request, or make more of its answer. In any thread."""
        if connection.stream is not None:
            self._stream(connection, connection.stream)
            return
        request = cast("Incoming", connection.request)
        closes = not self.alive or connection.closes or request.should_close()
        try:
            environ = environ_of(request, connection.client, connection.server, self.cfg)
            parts, stream = self.ask(self.wsgi, environ, closes=closes)
        except BaseException as error:  # noqa: BLE001 - nothing but this thread would see it
            parts, closes, stream = self._refusal(error, connection.head, connection.since), True, None
        self._send(connection, lambda: connection.reply(parts, closes, stream))

    def _stream(self, connection: Connection, stream: Stream) -> None:
        started = time.monotonic()
        parts = stream.take()
        self._threads.has_streamed(time.monotonic() - started)
        self._send(connection, lambda: connection.go_on(parts))

    def _send(self, connection: Connection, send: Callable[[], None]) -> None:
        """Send an answer, as far as it goes now. In any thread."""
        try:
            send()
        except OSError:  # the poller finds it at its end, and closes it
            connection.enter(State.LINGERING)
        if connection.state is State.ANSWER or (connection.state is State.IDLE and connection.buffer):
            self._resumed.append(connection)
            self._rouse()
        else:
            self._connections.wait(connection)

    def _sweep(self) -> None:
        """Close what is overdue; tell those that send too slowly; have streams go on while who polls is long away."""
        now = self._swept = time.monotonic()
        for connection in self._connections.overdue(now):
            if connection.state in (State.HEAD, State.BODY):
                self._refuse(connection, LateRequest())
            else:
                self._connections.close(connection)
        self._connections.limit_held()
        if self._threads.waiting and not self._answers:
            self._threads.call_for_left()
