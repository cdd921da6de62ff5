"""Writers and readers that go on through an outage, and when each of them was answered."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import requests

from tests.http.helpers import CHECK, RUNS
from tests.system.service import PATIENCE_S, Client, Service, wait_until
from tests.system.test_kill import Ledger, Writer, post_attempt, post_container, post_item, post_runs

WRITERS: tuple[Writer, ...] = (
    post_item,
    post_item,
    post_item,
    post_container,
    post_container,
    post_attempt,
    post_runs,
    post_runs,
)
"""One for the attempts: of two, nobody could say in which order theirs were recorded."""
READ = (f"{CHECK}?limit=10", f"{RUNS}?pageSize=10", "/healthz", "/readyz")


@dataclass
class Traffic(Ledger):
    """A ledger that knows when each writer and reader was last answered, too."""

    answered: dict[str, float] = field(default_factory=dict)
    """When each of them, by its name, began to ask what was answered last, by the monotonic clock, in s."""
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    """The longest time to an answer by path, in s."""

    def __post_init__(self) -> None:
        self.outage.set()  # a writer may be refused at any time

    def send(
        self, client: Client, method: str, path: str, document: object, statuses: tuple[int, ...]
    ) -> requests.Response | None:
        begun = time.monotonic()
        if (answer := super().send(client, method, path, document, statuses)) is not None:
            self.answered[threading.current_thread().name] = begun
        return answer

    def read(self, path: str, client: Client) -> None:
        """Ask once."""
        begun = time.monotonic()
        status = client.get(path).status_code
        self.statuses[path, status] += 1
        self.slowest[path] = max(self.slowest.get(path, 0), time.monotonic() - begun)
        if status == 200:
            self.answered[threading.current_thread().name] = begun

    def seconds_until_all_are_answered(self) -> float:
        """Return how long it takes until a request of every writer and reader is answered that was begun after now."""
        since = time.monotonic()
        wait_until(lambda: min(self.answered.values()) > since, PATIENCE_S)
        return time.monotonic() - since


@contextmanager
def flowing(service: Service, key: str, traffic: Traffic, writers: Sequence[Writer] = WRITERS) -> Iterator[None]:
    """Have writers and readers write and read during the block."""
    stop = threading.Event()

    def go_on(name: str, do: Callable[[Client], None], pause_s: float) -> None:
        threading.current_thread().name = name
        traffic.answered[name] = 0
        client = Client(service.url, key)
        with client.session:
            while not stop.is_set():
                do(client)
                time.sleep(pause_s)

    with ThreadPoolExecutor(len(writers) + len(READ)) as pool:
        jobs = [
            *(pool.submit(go_on, f"writer {n}", partial(write, traffic), 0.02) for n, write in enumerate(writers)),
            *(pool.submit(go_on, path, partial(traffic.read, path), 0.05) for path in READ),
        ]
        try:
            wait_until(lambda: len(traffic.answered) == len(jobs) and min(traffic.answered.values()) > 0)
            yield
        finally:
            stop.set()
        for job in jobs:
            job.result()
