"""How long the threads of a process wait to write, so that they never all do.

The first thread waits as long as a statement may take. Those behind it wait a second, from when it began to wait, and
are refused at once after that: so the others of the process answer readers while a database is locked.
"""

import threading
from time import monotonic

OTHERS_WAIT_S = 1.0
"""How long a thread may wait for the one before it, from when that began to wait for the database or to write."""


class WriteTurn:
    """Whose turn it is to write, among the threads of a process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = False
        self._since = 0.0
        self._inherited_until = 0.0

    def take(self, until: float) -> bool:
        """Wait for the turn, at the longest until then, by the monotonic clock; return whether it is taken."""
        with self._changed:
            while self._taken:
                left_s = min(until, self._since + OTHERS_WAIT_S) - monotonic()
                if left_s <= 0:
                    return False
                self._changed.wait(left_s)
            self._taken = True
            if (now := monotonic()) >= self._inherited_until:
                self._since = now
            return True

    def start(self) -> None:
        """Note that the thread whose turn it is waits no more, and begins to write."""
        self._since, self._inherited_until = monotonic(), 0.0

    def give_up(self) -> None:
        """Pass the turn on without having written: the next thread inherits when the waiting began."""
        with self._changed:
            self._inherited_until = monotonic() + OTHERS_WAIT_S
            self._release()

    def end(self) -> None:
        """Pass the turn on."""
        with self._changed:
            self._release()

    def _release(self) -> None:
        self._taken = False
        self._changed.notify()
