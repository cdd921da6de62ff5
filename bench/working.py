"""The service at work: what readers notice of a purge, and what memory a worker takes."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bench import load, servers
from bench.cache import prepare
from bench.data import MS_PER_DAY, TENANT, ServiceStore, even
from bench.documents import Items
from bench.load import Request
from bench.servers import Server
from bench.storing import Figure, close, fill, opened, size_of
from bench.summary import percentile
from bench.targets import Target
from bench.workloads import JSON, LIMITS, XML, Workload, check_uri, get_bytes, headers, workloads
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import CheckPath
from notifhist.server.settings import THREADS
from notifhist.store.history.reading import count_items

if TYPE_CHECKING:
    from bench.store import Plan

_CHECK = CheckPath(TENANT, "en0", "al0", "ch5")
"""One of those whose items expire."""
_EXPIRED_DAYS, _SPREAD_DAYS = 40, 60
_CURRENT = 5000
_SHORT_ITEM_BYTES = 300
_QUIET_WINDOWS, _PAGE_WINDOWS = 3, 1.5
_CONNECTIONS = 8
_MEGABYTE = 1e6
_LONG = ("W5", "W5x")
_PARTS = (0.01, 0.2, 1.0)
"""After what parts of all requests the memory is looked at."""


def purge(plan: "Plan", target: Target, scratch: Path) -> list[Figure]:
    """Measure pages of 100 items that one client reads, before and while expired items are purged."""
    target.clear()
    db = opened(target)
    now_ms = time.time_ns() // 1_000_000
    fill(
        db,
        _spread_items(now_ms - _SPREAD_DAYS * MS_PER_DAY, now_ms - _EXPIRED_DAYS * MS_PER_DAY, plan.purged),
        plan.purged,
    )
    current = list(_spread_items(now_ms - MS_PER_DAY, now_ms, _CURRENT))
    for first in range(0, _CURRENT, 1000):
        ServiceStore(db, now_ms).add_items(_CHECK, current[first : first + 1000])
    close(db)
    target.settle()
    before = size_of(target)
    key = servers.create_key(target.url, TENANT)
    uris = [f"{check_uri(_CHECK)}?limit=100&marker={item['id']}" for item in current[: _CURRENT // 2 : 50]]
    with servers.service(target.url, scratch, THREADS) as service, load.client() as client:
        client.learn("pages", [Request(get_bytes(uri, JSON, key)) for uri in uris])

        def read(seconds: float) -> list[float]:
            return [each * 1000 for each in client.measure("pages", service.port, seconds=seconds).latencies]

        read(plan.seconds / 4)
        quiet = [each for _ in range(_QUIET_WINDOWS * 4) for each in read(plan.seconds / 4)]
        started = time.perf_counter()
        purging = servers.start_command(target.url, "purge")
        busy: list[float] = []
        while purging.poll() is None:
            busy += read(plan.seconds / 4)
        seconds = time.perf_counter() - started
    if purging.returncode:
        raise RuntimeError("notifhist purge failed")
    after = size_of(target)
    left = opened(target)
    if count_items(left) != _CURRENT:
        raise RuntimeError("notifhist purge has not deleted what has expired, and that alone")
    close(left)
    delay = percentile(busy, 0.99) - percentile(quiet, 0.99)
    return [
        Figure("purge, by how much it delays a page of 100 (p99)", delay, "ms", most=50),
        Figure("a page of 100 in quiet, p99", percentile(quiet, 0.99), "ms"),
        Figure("a page of 100 during the purge, p99", percentile(busy, 0.99), "ms"),
        Figure("a page of 100 in quiet, longest", max(quiet), "ms"),
        Figure("a page of 100 during the purge, longest", max(busy), "ms"),
        Figure("purge", plan.purged / seconds, "items/s"),
        Figure("disk after the purge, beside before", after / before, "times", most=0.2),
    ]


def _spread_items(first_ms: int, last_ms: int, number: int) -> Iterator[Document]:
    make = Items(random.Random(1), _SHORT_ITEM_BYTES)
    for n in range(number):
        yield make.at((first_ms + (last_ms - first_ms) * n // number) * TICKS_PER_MS)


def memory(plan: "Plan", target: Target, scratch: Path) -> list[Figure]:
    """Measure the private memory of one worker as it answers requests of all kinds."""
    data_set = even(4, 1500, 5000)
    target.clear()
    prepared = prepare(scratch, target, data_set, LIMITS, lambda done: None)
    key = servers.create_key(prepared.url, TENANT)
    with servers.service(prepared.url, scratch, THREADS) as service, load.client() as client:

        def body(uri: str, accept: str = JSON) -> bytes:
            return service.ask(uri, headers(uri, accept, key)).body

        found = workloads(prepared, lambda uri: orjson.loads(body(uri)))
        client.learn("mixed", _mixed(found, key))
        page = next(each for each in found if each.name == "W5x")
        uss, answered = [], 0
        for part in _PARTS:
            more = max(_CONNECTIONS, int(plan.requests * part) - answered)
            client.measure("mixed", service.port, seconds=1e6, most=more, connections=_CONNECTIONS)
            answered += more
            uss.append(_uss_of(_worker_of(service)))
        size = len(body(page.uris[0], XML))
    with servers.service(prepared.url, scratch, THREADS) as service, load.client() as client:
        client.learn("page", [Request(get_bytes(uri, XML, key)) for uri in page.uris])
        client.learn("others", _mixed([each for each in found if each.name not in _LONG], key))
        client.measure("others", service.port, seconds=_PAGE_WINDOWS * plan.seconds, connections=_CONNECTIONS)
        fresh = _uss_of(_worker_of(service))
        with _highest_uss(_worker_of(service)) as highest:
            client.measure("page", service.port, seconds=_PAGE_WINDOWS * plan.seconds)
        added = (highest[0] - fresh) / size
    return [
        Figure(
            f"memory of a worker (USS) after {plan.requests:,} requests", uss[-1] / _MEGABYTE, "MB", most=90
        ),
        Figure("the same, beside that after a fifth of them", uss[-1] / uss[1], "times", most=1.1),
        Figure("the same, beside that after a hundredth of them", uss[-1] / uss[0], "times"),
        Figure(
            "memory that pages of 1000 items add to that of all others, beside one", added, "times", most=4
        ),
    ]


def _mixed(found: Sequence[Workload], key: str) -> list[Request]:
    """Return requests of all these kinds, in no order."""
    mixed = [Request(get_bytes(uri, each.accept, key)) for each in found for uri in each.uris[:20]]
    random.Random(1).shuffle(mixed)
    return mixed


def _worker_of(service: Server) -> int:
    """Return the id of the one worker's process."""
    (worker,) = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
    return int(worker)


def _uss_of(pid: int) -> int:
    """Return the bytes of a process's memory that no other process shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(
        int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty"))
    )


@contextmanager
def _highest_uss(pid: int) -> Iterator[list[int]]:
    """Look at a process's memory all the time; the list holds the highest that was seen."""
    highest, done = [_uss_of(pid)], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            highest[0] = max(highest[0], _uss_of(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield highest
    finally:
        done.set()
        watcher.join()
