"""The one clock: query windows, retention, new ids, the expiry of keys and rate limits all read it."""

import time
from dataclasses import dataclass

from notifhist.schemas.fields import TICKS_PER_MS


@dataclass(frozen=True)
class Clock:
    """Tells the time; always `frozen_ms` (ms since the epoch, UTC) if that is set."""

    frozen_ms: int | None = None

    def now_ms(self) -> int:
        """Return milliseconds since the Unix epoch, UTC."""
        return self.now_ticks() // TICKS_PER_MS

    def now_ticks(self) -> int:
        """Return 100 ns ticks since the Unix epoch, UTC."""
        if self.frozen_ms is not None:
            return self.frozen_ms * TICKS_PER_MS
        return time.time_ns() // 100
