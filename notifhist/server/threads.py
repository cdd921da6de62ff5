"""The threads of a worker, and the requests that wait for one: who is next, and who is refused.

Requests that change something and those that only read wait in queues of their own, so that a database that cannot be
written does not keep readers waiting. Answers that are streamed take turns for each piece: while others wait, streams
together have half of the time, and one thread less than there are. Liveness and readiness have a thread each.
"""

import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from queue import SimpleQueue

from notifhist.server.connection import Connection
from notifhist.web.apis import FEEDS

HEALTH_PATHS = ("/healthz", "/readyz")
HEALTH_REQUESTS = 100
"""So many may wait for each of them."""
BURST_S = 1.0
"""For so long a queue may be busy without a break before anybody is refused."""
REFUSE_NEW_FROM = 0.6
"""A new request is refused at once if the first in its queue has waited for so much of the longest time."""
FEED_WAIT_S = 10.0
"""How long a feed's request may wait: most senders lose what is refused, or give up after 10 s (docs/feeds.md)."""
_FEEDS = "/feeds/"
_FEED_PATH = re.compile(f"({'|'.join(re.sub('<[^>]*>', '[^/]+', re.escape(each)) for each in FEEDS.prefixes)}){_FEEDS}")
"""How the path of a feed begins, whose API has some prefixes."""


class _Queue:
    """Connections whose requests are complete, the oldest first."""

    def __init__(self) -> None:
        self._waiting: deque[Connection] = deque()
        self._empty_at = time.monotonic()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first(self) -> Connection:
        """The one that has waited for longest."""
        return self._waiting[0]

    @property
    def first_since(self) -> float:
        """Since when the first has waited."""
        return self.first.since

    def put(self, connection: Connection) -> None:
        if not self._waiting:
            self._empty_at = time.monotonic()
        self._waiting.append(connection)

    def take(self) -> Connection:
        return self._waiting.popleft()

    def is_late(self, seconds: float) -> bool:
        """Say whether the queue is overloaded, and its first has waited for `seconds`."""
        now = time.monotonic()
        return now - self._empty_at > BURST_S and now - self.first_since > seconds


class Threads:
    """`number` threads that call `answer` for one connection at a time, and one more for each health path.

    While all of them answer requests that write, one more answers those that read. `max_wait_s`: how long a request of
    a queue that is busy may wait. `may_stream`: whether these threads make pieces of streams too, not only who calls
    `take_left`; once it is true, `call_for_left` must be called.
    """

    def __init__(
        self,
        number: int,
        answer: Callable[[Connection], None],
        max_wait_s: float,
        may_stream: Callable[[], bool] = lambda: True,
    ) -> None:
        self._number, self._answer, self._max_wait_s, self._may_stream = number, answer, max_wait_s, may_stream
        self._lock = threading.Lock()
        self._reads, self._writes = _Queue(), _Queue()
        self._writing = 0
        self._streams: deque[Connection] = deque()
        self._streaming, self._most_streaming = 0, max(number - 1, 1)
        self._others_first_until = 0.0
        self._calls: SimpleQueue[None] = SimpleQueue()
        """An entry for each request that is put: a thread that gets one looks for work."""
        self._reader_calls: SimpleQueue[None] = SimpleQueue()
        self._health: dict[str, SimpleQueue[Connection | None]] = {path: SimpleQueue() for path in HEALTH_PATHS}
        self._threads: list[threading.Thread] = []
        self._ended = False
        for _ in range(number):
            self._start(self._serve, self._calls, True)
        self._start(self._serve, self._reader_calls, False)
        for connections in self._health.values():
            self._start(self._serve_health, connections)

    def put(self, connection: Connection, *, however_late: bool, is_left: bool = False) -> bool:
        """Have a complete request answered; return False where it would wait too long.

        `is_left`: the caller will take it out again, by `take_left`, unless a thread that is free does before.
        """
        if health := self._health.get(connection.path):
            if health.qsize() >= HEALTH_REQUESTS:
                return False
            health.put(connection)
            return True
        queue = self._reads if connection.is_read else self._writes
        with self._lock:
            if not (however_late or _is_of_feed(connection)) and self._is_late(queue, REFUSE_NEW_FROM):
                return False
            queue.put(connection)
            calls_reader = connection.is_read and self._writing == self._number
        if not is_left:
            (self._reader_calls if calls_reader else self._calls).put(None)
        return True

    def put_stream(self, connection: Connection, *, is_left: bool = False) -> None:
        """Have the next piece of an answer made; who has made it says so by `has_streamed`."""
        with self._lock:
            self._streams.append(connection)
            calls_reader = self._writing == self._number
        if not is_left:
            (self._reader_calls if calls_reader else self._calls).put(None)

    def has_streamed(self, seconds: float) -> None:
        """Note that a piece of a stream was made, in so many seconds; for as long others go first."""
        with self._lock:
            self._streaming -= 1
            self._others_first_until = time.monotonic() + seconds
            others_wait = bool(self._streams)
        if others_wait and self._may_stream():  # a thread may have found that it was not their turn
            self._calls.put(None)

    def _take_stream(self, others_wait: object) -> Connection | None:
        if self._streaming >= self._most_streaming or (others_wait and time.monotonic() < self._others_first_until):
            return None
        self._streaming += 1
        return self._streams.popleft()

    @property
    def waiting(self) -> int:
        """How many wait that no thread has, but for health; streams only if one of them may go on now."""
        streams = len(self._streams) if self._streaming < self._most_streaming else 0
        return len(self._reads) + len(self._writes) + streams

    def take_left(self) -> Connection | None:
        """Take out the one that has waited for longest, to be answered by the caller."""
        with self._lock:
            if self._streams and (stream := self._take_stream(self._reads or self._writes)):
                return stream
            waiting = [queue for queue in (self._reads, self._writes) if queue]
            return min(waiting, key=lambda queue: queue.first_since).take() if waiting else None

    def call_for_left(self) -> None:
        """Have all threads look for those that were left."""
        for _ in range(self._number):
            self._calls.put(None)
        self._reader_calls.put(None)

    def take_late(self) -> Iterator[Connection]:
        """Take out those that have waited too long."""
        for queue in (self._reads, self._writes):
            while True:
                with self._lock:
                    if not self._is_late(queue):
                        break
                    connection = queue.take()
                yield connection

    def _is_late(self, queue: _Queue, share: float = 1.0) -> bool:
        """Say whether the first of a queue has waited for so much of the time for which it may."""
        if not queue:
            return False
        may_wait_s = max(self._max_wait_s, FEED_WAIT_S) if _is_of_feed(queue.first) else self._max_wait_s
        return queue.is_late(share * may_wait_s)

    def end(self, timeout_s: float) -> None:
        """End the threads, and with them their connections to the database, as far as they end in time."""
        self._ended = True
        deadline = time.monotonic() + timeout_s
        for _ in self._threads:
            self._calls.put(None)
        self._reader_calls.put(None)
        for connections in self._health.values():
            connections.put(None)
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _start(self, target: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _serve(self, calls: "SimpleQueue[None]", may_write: bool) -> None:
        while calls.get() is None and not self._ended:
            while (found := self._next(may_write)) is not None:
                connection, writes = found
                try:
                    self._answer(connection)  # after that, the connection may be at its next request
                finally:
                    if writes:
                        with self._lock:
                            self._writing -= 1

    def _next(self, may_write: bool) -> tuple[Connection, bool] | None:
        """Return the request that has waited for longest, of those that this thread may take, and whether it writes."""
        with self._lock:
            reads, writes = self._reads, self._writes
            may_stream = self._streams and (may_write or self._writing == self._number) and self._may_stream()
            if may_stream and (stream := self._take_stream(reads or (may_write and writes))):
                return stream, False
            if may_write and writes and not (reads and reads.first_since < writes.first_since):
                self._writing += 1
                if (reads or self._streams) and self._writing == self._number:
                    self._reader_calls.put(None)
                return writes.take(), True
            if reads and (may_write or self._writing == self._number):
                return reads.take(), False
            return None

    def _serve_health(self, connections: "SimpleQueue[Connection | None]") -> None:
        while (connection := connections.get()) is not None:
            self._answer(connection)


def _is_of_feed(connection: Connection) -> bool:
    path = connection.path
    return _FEEDS in path and _FEED_PATH.match(path.removeprefix(os.environ.get("SCRIPT_NAME", ""))) is not None
