"""Who polls: the main thread, and a stand-in while the main thread is long in an answer."""

import math
import threading
import time
from collections.abc import Callable

PATIENCE_S = 0.01
"""After so long in one answer the main thread has a stand-in."""


class Polling:
    """The turn of whoever polls. Made by the main thread, which has it from the start.

    `poll` does what has become possible; `rouse` wakes who waits in it; `call` has others do what the main thread has
    left to do. The stand-in's thread ends with the process.
    """

    def __init__(self, poll: Callable[[], None], rouse: Callable[[], None], call: Callable[[], None]) -> None:
        self._poll, self._rouse, self._call = poll, rouse, call
        self._turn = threading.Lock()
        self._turn.acquire()
        self._away_since = math.inf
        self._leaves = threading.Event()
        self.has_stand_in = False
        """Whether the stand-in polls."""
        threading.Thread(target=self._stand_in, daemon=True).start()

    def leave(self, do: Callable[[], None]) -> None:
        """Have the main thread do something that may take long."""
        self._away_since = time.monotonic()
        self._leaves.set()
        self._turn.release()
        try:
            do()
        finally:
            self._away_since = math.inf
            if not self._turn.acquire(blocking=False):
                self._rouse()
                self._turn.acquire()

    def _stand_in(self) -> None:
        """Look each PATIENCE_S at the main thread, as long as it does something."""
        while True:
            self._leaves.wait()
            self._leaves.clear()
            time.sleep(PATIENCE_S)
            since = self._away_since
            if time.monotonic() - since < PATIENCE_S or not self._turn.acquire(blocking=False):
                continue
            self.has_stand_in = True
            self._call()
            try:
                while self._away_since == since:
                    self._poll()
            finally:
                self.has_stand_in = False
                self._turn.release()
