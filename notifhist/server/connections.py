"""A worker's connections, and the poller that tells when a client has sent, or takes more of an answer."""

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector

from notifhist.server.connection import Connection, State

NEW_S = 0.1
"""For so long a connection is not closed for another, so that whoever has connected, or been answered, can ask."""
HELD_BYTES, SPOOLED_BYTES = 256 * 2**20, 2**30
"""So much of unfinished requests and untaken answers may be in memory, and in temporary files; beyond that, the oldest
connection is closed."""
NO_MORE_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""The errors of a process, or a machine, that can open no further connection."""

Do = Callable[[], None]


class Connections:
    """The connections of one worker. Only who polls calls this, but for `wait`, which any thread may call.

    A connection is the poller's while it waits for its client. It stays registered while its request is answered, since
    to register it anew costs 3 % of reading an item; what happens to it meanwhile is looked at afterwards.
    """

    def __init__(self) -> None:
        self._poller = DefaultSelector()
        self._registering = threading.Lock()
        self._all: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._all)

    def listen(self, file: object, do: Do) -> None:
        """Have `do` called whenever a file that is no connection can be read."""
        self._poller.register(file, EVENT_READ, do)  # type: ignore[arg-type]  # sockets and pipes

    def ignore(self, file: object) -> None:
        """Have nothing called any more."""
        with suppress(KeyError):
            self._poller.unregister(file)  # type: ignore[arg-type]

    def poll(self, seconds: float) -> Iterator[Do | Connection]:
        """Wait until something has become possible; yield what to do, and connections whose client has acted."""
        for key, _ in self._poller.select(seconds):
            if not isinstance(key.data, Connection) or self._is_waiting(key.data):
                yield key.data

    def _is_waiting(self, connection: Connection) -> bool:
        """Say whether a connection is the poller's; if not, look at it no more until it is."""
        with self._registering:
            if not connection.waits and connection.polled_for:
                self._poller.unregister(connection.sock)
                connection.polled_for = 0
            return connection.waits

    def add(self, connection: Connection) -> None:
        """Take a new one in."""
        self._all.add(connection)

    def wait(self, connection: Connection) -> None:
        """Have `poll` yield it once its client has sent; of an answer that is being sent, once it can take more."""
        event = EVENT_WRITE if connection.state is State.SENDING else EVENT_READ
        with self._registering:
            connection.waits = True
            # A worker that stops may have closed it. Where the kernel has no memory, it is closed once it is overdue.
            with suppress(ValueError, OSError):
                if not connection.polled_for:
                    self._poller.register(connection.sock, event, connection)
                elif connection.polled_for != event:
                    self._poller.modify(connection.sock, event, connection)
                connection.polled_for = event

    def waiting(self, *states: State) -> list[Connection]:
        """Return those that wait for their client, in one of some states; a thread may be about to hand back others."""
        return [each for each in self._all if each.waits and (not states or each.state in states)]

    def close(self, connection: Connection) -> None:
        """Close one, whatever it waits for."""
        with self._registering:
            if connection.polled_for:
                self._poller.unregister(connection.sock)
            connection.polled_for, connection.waits = 0, False
            connection.close()
        self._all.discard(connection)

    def make_room(self) -> bool:
        """Close the one whose client has kept it waiting for longest; return whether there is one.

        A client that takes an answer, slowly, goes last.
        """
        waiting = self.waiting()
        oldest = min(waiting, key=lambda each: (each.state is State.SENDING, each.since), default=None)
        if oldest is None or time.monotonic() - oldest.since < NEW_S:
            return False
        self.close(oldest)
        return True

    def overdue(self, now: float) -> list[Connection]:
        """Return those that have waited for too long at `now`, by the monotonic clock."""
        return [each for each in self.waiting() if each.deadline < now]

    def limit_held(self) -> None:
        """Close the oldest until the others make the worker hold no more than it may."""
        waiting = self.waiting()
        for held_by, most in ((Connection.held_bytes, HELD_BYTES), (Connection.spooled_bytes, SPOOLED_BYTES)):
            held = sum(map(held_by, waiting))
            for connection in sorted(filter(held_by, waiting), key=lambda each: each.since):
                if held > most:
                    held -= held_by(connection)
                    self.close(connection)
