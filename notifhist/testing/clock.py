"""The clock that a test sets: the application reads it for windows, retention, new ids, limits and expiry of keys."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from notifhist.clock import Clock
from notifhist.schemas.fields import TICKS_PER_MS


class SetClock(Clock):
    """A clock that stands at a time, or runs with the machine's, moved by some ticks (100 ns)."""

    def __init__(self, now_ms: int | None = None) -> None:
        super().__init__()
        self._stands_at: int | None = None
        self._moved_by = 0
        if now_ms is not None:
            self.freeze(now_ms)

    def freeze(self, now_ms: int) -> None:
        """Stand at a time, ms since the epoch."""
        self._stands_at = now_ms * TICKS_PER_MS

    def tick(self, ticks: int) -> None:
        """Move by some ticks; a clock that runs goes on running."""
        if self._stands_at is None:
            self._moved_by += ticks
        else:
            self._stands_at += ticks

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stand still in the block; a clock that runs then goes on as if nothing had been."""
        stands_at, self._stands_at = self._stands_at, self.now_ticks()
        try:
            yield
        finally:
            self._stands_at = stands_at

    def now_ticks(self) -> int:
        """Return 100 ns ticks since the epoch, UTC."""
        stands_at = self._stands_at  # looked at once: the thread of the test may let it go meanwhile
        if stands_at is not None:
            return stands_at
        return time.time_ns() // 100 + self._moved_by
