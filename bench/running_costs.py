"""The service at work: what readers notice of a purge, and what memory a worker takes."""

import random
import re
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import psutil

from bench.data import MS_PER_DAY, TENANT, Stored, fill, item_lines, store
from bench.load_generator import Request, Server
from bench.report import Row, figure, percentile
from bench.servers import Bench, Service
from bench.workloads import JSON, RUN, gets, headers
from bench.write_costs import SHORT_ITEM_BYTES, Plan

_EXPIRED_DAYS, _SPREAD_DAYS = 40, 60
_CURRENT = 5000
_CONNECTIONS = 8
_LONG = ("W5", "W5x")
_PARTS = (0.01, 0.2, 1.0)
"""After what parts of all requests the memory is looked at."""


def purge(plan: Plan, bench: Bench) -> Iterator[Row]:
    """Measure pages of 100 items that one client reads, before and while expired items are purged."""
    service = Service(bench.database("writes"))
    now_ms = time.time_ns() // 1_000_000
    first_ms, last_ms = now_ms - _SPREAD_DAYS * MS_PER_DAY, now_ms - _EXPIRED_DAYS * MS_PER_DAY
    expired = item_lines(plan.purged, SHORT_ITEM_BYTES, first_ms, last_ms, Stored(now_ms, {}))
    stored = Stored(now_ms, {100: []})
    current = item_lines(_CURRENT, SHORT_ITEM_BYTES, now_ms - MS_PER_DAY, now_ms, stored)
    fill([service], chain(expired, current), bench.scratch)
    before = service.database.size()
    key = service.create_key(TENANT)
    server = bench.serve("service", service, "--workers", "1")
    pages = gets(server, RUN["W3"].uris(stored, lambda uri: b""), JSON, key)

    def read() -> list[float]:
        """Return latencies, in ms."""
        return [each * 1000 for each in bench.measure(pages, server, seconds=plan.seconds / 4).latencies]

    read()
    quiet = [each for _ in range(12) for each in read()]
    started, purging, busy = time.perf_counter(), service.start("purge"), read()
    while purging.poll() is None:
        busy += read()
    seconds = time.perf_counter() - started
    if purging.returncode or service.database.row("SELECT count(*) FROM history_item") != (_CURRENT,):
        raise RuntimeError("notifhist purge has not deleted what has expired, and that alone")
    delay = percentile(busy, 0.99) - percentile(quiet, 0.99)
    yield figure("purge, by how much it delays a page of 100 (p99)", [delay], "ms", most=50)
    for name, latencies in (("in quiet", quiet), ("during the purge", busy)):
        yield figure(f"a page of 100 {name}, p99", [percentile(latencies, 0.99)], "ms")
        yield figure(f"a page of 100 {name}, longest", [max(latencies)], "ms")
    yield figure("purge", [plan.purged / seconds], "items/s")
    left = service.database.size() / before
    yield figure("disk after the purge, beside before", [left], "times", most=0.2)


def memory(plan: Plan, bench: Bench) -> Iterator[Row]:
    """Measure the private memory of one worker as it answers requests of all kinds, and what long pages add to it."""
    service = Service(bench.database("writes"))
    stored = store([service], bench.scratch, items=6000, item_bytes=2000, runs=5000)
    key = service.create_key(TENANT)
    server, fresh = (bench.serve(name, service, "--workers", "1") for name in ("service", "fresh"))

    def ask(uri: str) -> bytes:
        return server.get(uri, headers(uri, JSON, key))

    asked = {name: gets(server, each.uris(stored, ask)[:20], each.accept, key) for name, each in RUN.items()}
    answered, uss = 0, []
    for part in _PARTS:
        more = max(_CONNECTIONS, int(plan.requests * part) - answered)
        bench.measure(_mixed(asked), server, seconds=1e6, most=more, connections=_CONNECTIONS)
        answered += more
        uss.append(_worker(server).memory_full_info().uss)
    short = {name: some for name, some in asked.items() if name not in _LONG}
    bench.measure(_mixed(short), fresh, seconds=1.5 * plan.seconds, connections=_CONNECTIONS)
    without = _worker(fresh).memory_info().rss
    # The kernel keeps the highest resident size, from when it is told to: what is shared does not change meanwhile.
    files = Path(f"/proc/{_worker(fresh).pid}")
    (files / "clear_refs").write_text("5")
    bench.measure(asked["W5x"], fresh, seconds=1.5 * plan.seconds)
    (highest,) = re.findall(r"VmHWM:\s+(\d+) kB", (files / "status").read_text())
    added = (int(highest) * 1024 - without) / len(asked["W5x"][0].body or b"")
    yield figure(f"memory of a worker (USS) after {plan.requests:,} requests", [uss[2] / 1e6], "MB", most=90)
    yield figure("the same, beside that after a fifth of them", [uss[2] / uss[1]], "times", most=1.1)
    yield figure("the same, beside that after a hundredth of them", [uss[2] / uss[0]], "times")
    name = "memory that pages of 1000 items add to that of all others, beside one"
    yield figure(name, [added], "times", most=4)


def _mixed(asked: dict[str, list[Request]]) -> Sequence[Request]:
    """Return all requests, in no order."""
    mixed = list(chain(*asked.values()))
    return random.Random(1).sample(mixed, len(mixed))


def _worker(server: Server) -> psutil.Process:
    (worker,) = psutil.Process(server.pid).children()
    return worker
