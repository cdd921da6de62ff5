"""Who polls: a thread that also answers, and the main thread while that one is long in an answer."""

import math
import threading
import time
from collections.abc import Callable
from time import sleep  # tests of other projects, in whose process we may be, replace `time.sleep`

PATIENCE_S = 0.01
"""After so long in one answer the thread that polls has a stand-in."""


class Polling:
    """The turn of whoever polls: only who has it touches the poller and the connections in it.

    `poll` does what has become possible; `rouse` wakes who waits in it; `call` has others do what is left to the thread
    that is away.
    """

    def __init__(self, poll: Callable[[], None], rouse: Callable[[], None], call: Callable[[], None]) -> None:
        self._poll, self._rouse, self._call = poll, rouse, call
        self._turn = threading.Lock()
        self._away_since = math.inf
        self._leaves = threading.Event()
        self.has_stand_in = False
        """Whether the main thread polls."""

    def begin(self, serve: Callable[[], None]) -> None:
        """Have a thread of its own poll, by `serve`; it ends with the process."""

        def run() -> None:
            with self._turn:
                serve()
            self._leaves.set()

        threading.Thread(target=run, daemon=True).start()

    def leave(self, do: Callable[[], object]) -> None:
        """Do something that may take long. In the thread that polls."""
        self._away_since = time.monotonic()
        self._turn.release()
        if not self._leaves.is_set():
            self._leaves.set()  # takes 2 µs
        try:
            do()
        finally:
            self._away_since = math.inf
            if not self._turn.acquire(blocking=False):
                self._rouse()
                self._turn.acquire()

    @property
    def away_s(self) -> float:
        """For how long the thread that polls has been away; less than 0 if it is not."""
        return time.monotonic() - self._away_since

    def stand_in(self, seconds: float, goes_on: Callable[[], bool]) -> None:
        """Poll while the other thread is long away and `goes_on`. In the main thread, again and again.

        It returns after `seconds` at most in which the other thread never left.
        """
        if not self._leaves.wait(seconds):
            return
        self._leaves.clear()
        sleep(PATIENCE_S)
        since = self._away_since
        if time.monotonic() - since < PATIENCE_S or not self._turn.acquire(blocking=False):
            return
        self.has_stand_in = True
        self._call()
        while self._away_since == since and goes_on():
            self._poll()
        self.has_stand_in = False
        self._turn.release()

    def take(self) -> None:
        """Take the turn for good; the other thread ends with what it does."""
        self.has_stand_in = True
        self._rouse()
        self._turn.acquire()
        self._call()
