"""The rate limits: an account has a fixed window from its first request on (docs/contract.md, "Rate limit")."""

import hashlib
import logging
import math
from contextlib import suppress
from functools import lru_cache, partial
from time import monotonic
from typing import NamedTuple

from notifhist.config import RateLimit
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.request_counts import RequestCounter

WARN_EVERY_S = 60
RETRY_S = 5.0
"""How long a counter that fails is left alone. To ask it may cost seconds, and else every request would pay them."""

log = logging.getLogger(__name__)


class Usage(NamedTuple):
    """The part of its limit that an account has used, this request included; `used` is at most `limit`."""

    limit: int
    used: int
    window: str  # its length in words: 24 hours
    retry_after: int  # seconds until the window ends, at least 1
    exceeded: bool


class RateLimiter:
    """Counts the requests of accounts against one limit; with no `limit` it counts nothing."""

    def __init__(self, limit: RateLimit | None, counter: RequestCounter, namespace: str) -> None:
        self._counter = counter
        self._limit, self._window_s = limit or (0, 0)
        self._window = _in_words(self._window_s)
        # A cache for each limit, by the account alone: to hash the limit too costs 0.3 µs a request.
        self._name_of = lru_cache(maxsize=4096)(partial(_counted_name, limit, namespace)) if limit else None
        self._warned_s = -math.inf
        self._is_failing, self._retry_s = False, -math.inf

    def charge(self, account: str) -> Usage | None:
        """Count one request of `account` and return its usage; None if there is no limit or the counter fails.

        If the counter fails, the request goes on, and a warning is logged at most once a minute; then one request in
        RETRY_S tries again.
        """
        if self._name_of is None or (self._is_failing and not self._may_retry()):
            return None
        try:
            count, ends_s = self._counter.hit(self._name_of(account), self._window_s)
        except self._counter.errors as error:
            self._is_failing, self._retry_s = True, monotonic() + RETRY_S
            if monotonic() >= self._warned_s + WARN_EVERY_S:
                self._warned_s = monotonic()
                log.warning("requests are let through uncounted, %r fails: %s", self._counter, error)
            return None
        self._is_failing = False
        left_s = ends_s - self._counter.clock.now_ticks() / TICKS_PER_MS / 1000
        retry_after = max(1, math.ceil(round(left_s, 3)))
        limit = self._limit
        return Usage(limit, min(count, limit), self._window, retry_after, count > limit)

    def give_back(self, account: str) -> None:
        """Take one request of `account` back that was charged; if the counter fails, it stays counted."""
        if self._name_of is not None:
            with suppress(*self._counter.errors):
                self._counter.hit(self._name_of(account), self._window_s, -1)

    def _may_retry(self) -> bool:
        """Say whether this request is to try a counter that has failed; the others of the time do not."""
        now = monotonic()
        if now < self._retry_s:
            return False
        self._retry_s = now + RETRY_S
        return True


def _counted_name(limit: RateLimit, namespace: str, account: str) -> str:
    digest = hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()
    return f"LIMITER/{namespace}/{digest}/{limit.requests}/{limit.window_s}"


def _in_words(seconds: int) -> str:
    length, unit = next(u for u in ((3600, "hour"), (60, "minute"), (1, "second")) if seconds % u[0] == 0)
    return f"{seconds // length} {unit}{'' if seconds == length else 's'}"
