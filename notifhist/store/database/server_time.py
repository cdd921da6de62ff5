"""How far the clock of a database server is ahead of ours: hosts of one database go by it where theirs are wrong.

Why: docs/adr/0031-one-clock-for-all-hosts.md.
"""

import logging
import time
from collections.abc import Callable

from notifhist.schemas.fields import TICKS_PER_MS

TOLERATED_MS = 1000
"""Clocks that differ by less are taken as they are: NTP keeps them closer, and a busy server answers late."""
LOOK_EVERY_S = 60.0
_ANSWERS = 5
"""The quickest of so many answers tells how far a clock is off, up to half of the time that it took."""

log = logging.getLogger(__name__)


class ServerTime:
    """The time of a server, as it was when it was asked last; for all threads of a process."""

    def __init__(self) -> None:
        self.ahead_ticks = 0
        """By how much the server's clock is ahead of ours, 100 ns; 0 if that is tolerated."""
        self._look_at = 0.0
        self._set_by_s = 0.0

    def is_due(self) -> bool:
        """Say whether to ask again: a minute has passed, or somebody has set our clock."""
        return time.monotonic() >= self._look_at or abs(_set_by_s() - self._set_by_s) * 1000 >= TOLERATED_MS

    def look(self, ask: Callable[[], int]) -> None:
        """Compare our clock with the server's, which `ask` returns in 100 ns since the epoch. Raises what it raises."""
        self._look_at, self._set_by_s = time.monotonic() + LOOK_EVERY_S, _set_by_s()
        tolerated, was_ahead = TOLERATED_MS * TICKS_PER_MS, self.ahead_ticks
        taken, least, most = _asked(ask)
        if least < tolerated and most > -tolerated:
            self.ahead_ticks = 0
        else:
            more = [_asked(ask) for _ in range(_ANSWERS - 1)]
            _, least, most = min((taken, least, most), *more)  # by how long the answer took
            self.ahead_ticks = (least + most) // 2
        if abs(self.ahead_ticks - was_ahead) >= tolerated:
            ahead_s = self.ahead_ticks / TICKS_PER_MS / 1000
            log.warning("the database server's clock is %+.1f s off this machine's, and counts; see doctor", ahead_s)


def _asked(ask: Callable[[], int]) -> tuple[int, int, int]:
    """Return how long the answer took, and by how much the server is ahead at least and at most, in 100 ns."""
    before = time.time_ns() // 100
    servers = ask()
    after = time.time_ns() // 100
    return after - before, servers - after, servers - before


def _set_by_s() -> float:
    """Return a number that changes by how much our clock is set."""
    return time.time() - time.monotonic()
