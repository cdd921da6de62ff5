"""The one clock: query windows, retention, new ids, the expiry of keys and rate limits all read it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from notifhist.schemas.fields import TICKS_PER_MS


def _own() -> int:
    return 0


@dataclass(frozen=True)
class Clock:
    """Tells the time; always `frozen_ms` (ms since the epoch, UTC) if that is set.

    `ahead_ticks` says by how much a clock that others share is ahead of this machine's, in 100 ns.
    """

    frozen_ms: int | None = None
    ahead_ticks: Callable[[], int] = _own

    def now_ms(self) -> int:
        """Return milliseconds since the Unix epoch, UTC."""
        return self.now_ticks() // TICKS_PER_MS

    def now_ticks(self) -> int:
        """Return 100 ns ticks since the Unix epoch, UTC."""
        if self.frozen_ms is not None:
            return self.frozen_ms * TICKS_PER_MS
        return time.time_ns() // 100 + self.ahead_ticks()
