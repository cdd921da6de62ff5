"""How far the clock of a database server is ahead of ours: hosts of one database go by it where theirs are wrong.

Why: docs/adr/0031-one-clock-for-all-hosts.md.
"""

import logging
import time
from collections.abc import Callable

from notifhist.schemas.fields import TICKS_PER_MS

TOLERATED_MS = 1000
"""Clocks that differ by less are taken as they are: NTP keeps them closer, and a busy server answers late."""
AGREED_MS = 500
"""Clocks that have differed are taken as they are again once they differ by less: near one bound they would flip."""
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
        before = self.ahead_ticks
        self.ahead_ticks = _judged(before, ask)
        ahead_s = self.ahead_ticks / TICKS_PER_MS / 1000
        if before and not self.ahead_ticks:
            log.warning("the database server's clock agrees with this machine's again, which counts")
        elif abs(self.ahead_ticks - before) >= TOLERATED_MS * TICKS_PER_MS:
            log.warning("the database server's clock is %+.1f s off this machine's, and counts; see doctor", ahead_s)


def _judged(before: int, ask: Callable[[], int]) -> int:
    """Return by how much the server is ahead, in 100 ns, or 0 if that is tolerated; `before` is what was known."""
    tolerated = TOLERATED_MS * TICKS_PER_MS
    answer = _, least, most = _asked(ask)
    if not before and -tolerated < least and most < tolerated:
        return 0
    _, least, most = min(answer, *(_asked(ask) for _ in range(_ANSWERS - 1)))  # by how long the answer took
    if not before:
        return (least + most) // 2 if least >= tolerated or most <= -tolerated else 0
    if least <= before <= most:  # it may be as it was: a slow answer does not tell more
        return before
    middle = (least + most) // 2
    return middle if abs(middle) >= AGREED_MS * TICKS_PER_MS else 0


def _asked(ask: Callable[[], int]) -> tuple[int, int, int]:
    """Return how long the answer took, and by how much the server is ahead at least and at most, in 100 ns."""
    before = time.time_ns() // 100
    servers = ask()
    after = time.time_ns() // 100
    return after - before, servers - after, servers - before


def _set_by_s() -> float:
    """Return a number that changes by how much our clock is set."""
    return time.time() - time.monotonic()
