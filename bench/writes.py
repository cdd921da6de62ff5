"""What it costs to store: loading, exporting, recording and purging items, disk, and the memory of a worker."""

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import quantiles
from typing import Any

import psutil

from bench.bare import committer
from bench.data import BIG_ALARM, MS_PER_DAY, TENANT, Stored, alarm_uri, fill, item_lines, store
from bench.databases import Database
from bench.idiomatic import Idiomatic
from bench.load_generator import Server, latencies
from bench.report import Row, figure, figures, quotients, results
from bench.servers import ONE_WORKER, Bench, Service
from bench.workloads import RUN, gets, posts
from bench.wrk import Wrk, require

_ITEM_BYTES, _SHORT_ITEM_BYTES = 2000, 300
_CLIENTS = 16
_CURRENT = 5000
_EXPIRED_DAYS, _SPREAD_DAYS = 40, 60
_PARTS = (0.01, 0.2, 1.0)
"""After what parts of all requests a worker's memory is looked at."""
_LEAST_POSTS = {"sqlite": "≥ 0.55", "postgres": "≥ 0.5"}
_TEXTS = "SELECT sum(length(document)), sum(length(xml)) FROM history_item"


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    items: int = field(default=50_000, metadata={"help": "To load and to export, of 2 kB."})
    disk_items: int = 20_000
    purged: int = field(default=1_000_000, metadata={"help": "Expired items, of 300 bytes."})
    requests: int = field(default=100_000, metadata={"help": "To one worker, whose memory is looked at."})
    rounds: int = 5
    seconds: int = field(default=2, metadata={"help": "Of a window in which items are recorded."})
    databases: str = "sqlite,postgres"
    only: str = "load,record,disk,purge,memory"


def writes(plan: Plan, cache: Path) -> dict[str, Any]:
    """Measure recording, loading, exporting, purging, disk and memory, each beside what it is measured by.

    Databases and files lie in `cache`, so on its disk. Raises RuntimeError where a command fails, or wrk is not there.
    """
    require()
    steps = {"load": _load, "record": _record, "disk": _disk, "purge": _purge, "memory": _memory}
    tables = []
    for kind in plan.databases.split(","):
        rows: list[Row] = []
        for name in plan.only.split(","):
            with Bench(kind, cache) as bench:
                rows += steps[name](plan, bench)
        tables.append(figures(kind, rows))
    return results(tables, "Medians, of several rounds with quartiles in brackets.")


def _lines_of_a_day(items: int, item_bytes: int) -> list[bytes]:
    now_ms = time.time_ns() // 1_000_000
    return list(item_lines(items, item_bytes, now_ms - MS_PER_DAY, now_ms, Stored(now_ms, {})))


def _load(plan: Plan, bench: Bench) -> Iterator[Row]:
    """Measure `notifhist load` beside a plain script, and `export`; and the memory of either, by file size."""
    service = Service(bench.database("writes"))
    lines = _lines_of_a_day(plan.items, _ITEM_BYTES)
    many, few = bench.scratch / "many.ndjson", bench.scratch / "few.ndjson"
    many.write_bytes(b"".join(lines))
    few.write_bytes(b"".join(lines[: plan.items // 4]))
    ratios = []
    for n in range(plan.rounds):
        service.database.clear()
        before = _seconds_of_plain_load(many, bench) if n % 2 else None  # the order changes
        seconds, memory = _run(service, "load", str(many))
        ratios.append(seconds / (before or _seconds_of_plain_load(many, bench)))
    exported, export_memory = _run(service, "export")
    service.database.clear()
    _, memory_for_few = _run(service, "load", str(few))
    _, export_memory_for_few = _run(service, "export")
    times, export_times = memory / memory_for_few, export_memory / export_memory_for_few
    yield figure("load, beside a script that inserts into SQLite by Peewee, unchecked", ratios, "times", "≤ 1.5")
    yield figure("load, memory of its processes for 4 times the file", [times], "times", "≤ 1.2")
    yield figure("load, memory of its processes", [memory / 1e6], "MB")
    yield figure("export", [plan.items / exported], "items/s")
    yield figure("export, memory for 4 times the items", [export_times], "times", "≤ 1.2")
    yield figure("export, memory", [export_memory / 1e6], "MB")


def _run(service: Service, *arguments: str) -> tuple[float, int]:
    """Run `notifhist`; return the seconds it took, and the most bytes its processes had in memory."""
    started, most = time.perf_counter(), 0
    running = service.start(*arguments)
    process = psutil.Process(running.pid)
    while running.poll() is None:
        with suppress(psutil.Error):  # one of them has ended
            some = (process, *process.children(recursive=True))
            most = max(most, sum(each.memory_info().rss for each in some))
        time.sleep(0.1)
    if running.returncode:
        raise RuntimeError(f"notifhist {arguments[0]} failed")
    return time.perf_counter() - started, most


def _seconds_of_plain_load(lines: Path, bench: Bench) -> float:
    """Return how long a plain script takes: Peewee inserts what the lines hold into a new SQLite file, unchecked."""
    plain = Idiomatic(Database(f"sqlite:///{bench.scratch}/plain/items.db"))
    plain.database.clear()
    started = time.perf_counter()
    plain.load(lines)
    return time.perf_counter() - started


def _record(plan: Plan, bench: Bench) -> Iterator[Row]:
    """Measure items recorded by POST, beside commits of one row, bare and behind a bare server, and appends."""
    rounds = list(_recorded(plan, bench))
    append, commit, bare, one, many = zip(*rounds, strict=True)
    yield figure("POST, one client, beside bare commits of one row", quotients(one, commit), "times", "≥ 0.5")
    yield figure("stock gunicorn with one commit for each POST, beside the same", quotients(bare, commit), "times")
    yield figure("POST, one client, beside that server", quotients(one, bare), "times", _LEAST_POSTS[bench.kind])
    yield figure(f"POST, {_CLIENTS} clients, beside one", quotients(many, one), "times", "≥ 1.5")
    yield figure("POST, one client, beside appends of 4 kB with fdatasync", quotients(one, append), "times")
    yield figure("POST, one client", one, "items/s")
    yield figure(f"POST, {_CLIENTS} clients", many, "items/s")


def _recorded(plan: Plan, bench: Bench) -> Iterator[tuple[float, ...]]:
    """Yield of each round how many there are a second: appends, commits, POST to a bare server and to the service."""
    service, bare = Service(bench.database("writes")), bench.database("bare")
    service.database.clear()
    bare.clear()
    checks = [f"{alarm_uri(BIG_ALARM)}/ch{n}" for n in range(10)]
    requests = posts(checks, _ITEM_BYTES, service.create_key(TENANT))
    served = bench.serve("service", service)
    commit = committer(bare, bench.enter_context(closing(bare.connect())))
    committing = bench.serve_stock("bare", f"committing({bare.url!r})", *ONE_WORKER)
    file = bench.enter_context((bench.scratch / "appended").open("ab", buffering=0))

    def append() -> None:
        file.write(bytes(4096))
        os.fdatasync(file.fileno())

    def posted(server: Server, clients: int) -> float:
        load = Wrk(bench.scratch, plan.seconds, connections=clients).measure(requests, server)
        return load.answers / load.seconds

    for server in (committing, served):
        server.ask(requests[0])  # gunicorn listens before its workers are there
    for _ in range(plan.rounds):
        done = [_per_second(each, plan.seconds) for each in (append, commit)]
        yield (*done, posted(committing, 1), posted(served, 1), posted(served, _CLIENTS))


def _per_second(do: Callable[[], object], seconds: float) -> float:
    started, done = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        do()
        done += 1
    return done / elapsed


def _disk(plan: Plan, bench: Bench) -> Iterator[Row]:
    """Measure what items take on disk beside their JSON, and of what that consists."""
    service, lines = Service(bench.database("writes")), bench.scratch / "items.ndjson"
    for item_bytes, wanted in ((_ITEM_BYTES, "≤ 3"), (_SHORT_ITEM_BYTES, "")):
        lines.write_bytes(b"".join(_lines_of_a_day(plan.disk_items, item_bytes)))
        service.database.clear()
        service.run("migrate")
        empty = service.database.size()
        service.load(lines)
        taken = service.database.size() - empty
        document, xml = map(int, service.database.row(_TEXTS))
        name = f"disk for items of {item_bytes} bytes, beside their JSON"
        yield figure(name, [taken / document], "times", wanted)
        yield figure(f"{name}: their XML", [xml / document], "times")


def _purge(plan: Plan, bench: Bench) -> Iterator[Row]:
    """Measure pages of 100 items that one client reads, before and while expired items are purged."""
    service = Service(bench.database("writes"))
    now_ms = time.time_ns() // 1_000_000
    first_ms, last_ms = now_ms - _SPREAD_DAYS * MS_PER_DAY, now_ms - _EXPIRED_DAYS * MS_PER_DAY
    stored = Stored(now_ms, {100: []})
    expired = item_lines(plan.purged, _SHORT_ITEM_BYTES, first_ms, last_ms, Stored(now_ms, {}))
    current = item_lines(_CURRENT, _SHORT_ITEM_BYTES, now_ms - MS_PER_DAY, now_ms, stored)
    fill([service], chain(expired, current), bench.scratch)
    before = service.database.size()
    server = bench.serve("service", service, *ONE_WORKER)
    pages = gets({"W3": RUN["W3"]}, stored, server, service.create_key(TENANT))["W3"]

    def read() -> list[float]:
        """Return latencies, in ms."""
        return [each * 1000 for each in latencies(pages, server, plan.seconds / 4)]

    read()
    quiet = [each for _ in range(12) for each in read()]
    started, purging, busy = time.perf_counter(), service.start("purge"), read()
    while purging.poll() is None:
        busy += read()
    took = time.perf_counter() - started
    if purging.returncode or service.database.row("SELECT count(*) FROM history_item") != (_CURRENT,):
        raise RuntimeError("notifhist purge has not deleted what has expired, and that alone")
    p99_quiet, p99_busy = (quantiles(each, n=100, method="inclusive")[98] for each in (quiet, busy))
    yield figure("purge, by how much it delays a page of 100 (p99)", [p99_busy - p99_quiet], "ms", "≤ 50")
    for when, p99, longest in (("in quiet", p99_quiet, max(quiet)), ("during the purge", p99_busy, max(busy))):
        yield figure(f"a page of 100 {when}, p99", [p99], "ms")
        yield figure(f"a page of 100 {when}, longest", [longest], "ms")
    yield figure("purge", [plan.purged / took], "items/s")
    yield figure("disk after the purge, beside before", [service.database.size() / before], "times", "≤ 0.2")


def _memory(plan: Plan, bench: Bench) -> Iterator[Row]:
    """Measure the private memory of one worker as it answers requests of all kinds, and what long pages add to it."""
    service = Service(bench.database("writes"))
    stored = store([service], bench.scratch, items=24_000, item_bytes=2000, runs=5000)
    server, fresh = (bench.serve(name, service, *ONE_WORKER) for name in ("service", "fresh"))
    asked = gets(RUN, stored, server, service.create_key(TENANT))
    short = [request for name, some in asked.items() if name not in ("W5", "W5x") for request in some[:20]]
    mixed = [*short, *asked["W5"], *asked["W5x"]]
    random.Random(1).shuffle(mixed)
    load = Wrk(bench.scratch, plan.seconds)
    answered, uss = 0, []
    for part in _PARTS:
        while answered < plan.requests * part:
            answered += load.measure(mixed, server).answers
        uss.append(_worker(server).memory_full_info().uss)
    fresh.ask(short[0])
    load.measure(short, fresh)
    without, files = _worker(fresh).memory_info().rss, Path(f"/proc/{_worker(fresh).pid}")
    (files / "clear_refs").write_text("5")  # from now on the kernel keeps the highest resident size, VmHWM
    latencies(asked["W5x"], fresh, plan.seconds)
    (highest,) = re.findall(r"VmHWM:\s+(\d+) kB", (files / "status").read_text())
    added = (int(highest) * 1024 - without) / len(asked["W5x"][0].body or b"")
    yield figure(f"memory of a worker (USS) after {plan.requests:,} requests", [uss[2] / 1e6], "MB", "≤ 90")
    yield figure("the same, beside that after a fifth of them", [uss[2] / uss[1]], "times", "≤ 1.1")
    yield figure("the same, beside that after a hundredth of them", [uss[2] / uss[0]], "times")
    yield figure("memory that pages of 1000 items add to that of all others, beside one", [added], "times", "≤ 4")


def _worker(server: Server) -> psutil.Process:
    (worker,) = psutil.Process(server.pid).children()
    return worker
