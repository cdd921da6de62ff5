"""What it costs to load, export and record items, and the disk they take."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field

import psutil

from bench.bare import committer
from bench.data import BIG_ALARM, MS_PER_DAY, TENANT, Stored, alarm_uri, item_lines
from bench.load_generator import Server
from bench.report import Row, figure
from bench.servers import Bench, Service
from bench.workloads import posts
from notifhist.schemas.history import ITEM

_ITEM_BYTES, SHORT_ITEM_BYTES = 2000, 300
_CLIENTS = 16
_LOOK_AGAIN_S = 0.1
_TEXTS = "SELECT sum(length(document)), sum(length(xml)) FROM history_item"


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    items: int = field(default=50_000, metadata={"help": "To load and to export, of 2 kB."})
    disk_items: int = 20_000
    purged: int = field(default=1_000_000, metadata={"help": "Expired items, of 300 bytes."})
    requests: int = field(default=100_000, metadata={"help": "To one worker, whose memory is looked at."})
    rounds: int = 5
    seconds: float = field(default=2.0, metadata={"help": "Of a window in which items are recorded."})
    databases: tuple[str, ...] = ("sqlite", "postgres")
    only: tuple[str, ...] = ("load", "record", "disk", "purge", "memory")


def lines_of_a_day(items: int, item_bytes: int) -> Iterator[bytes]:
    """Yield items of the last day, as lines to load."""
    now_ms = time.time_ns() // 1_000_000
    return item_lines(items, item_bytes, now_ms - MS_PER_DAY, now_ms, Stored(now_ms, {}))


def load(plan: Plan, bench: Bench) -> Iterator[Row]:
    """Measure `notifhist load` beside the schema alone, and `export`; and the memory of either, by file size."""
    service = Service(bench.database("writes"))
    lines = list(lines_of_a_day(plan.items, _ITEM_BYTES))
    many, few = bench.scratch / "many.ndjson", bench.scratch / "few.ndjson"
    many.write_bytes(b"".join(lines))
    few.write_bytes(b"".join(lines[: plan.items // 4]))
    ratios = []
    for n in range(plan.rounds):
        service.database.clear()
        before = _seconds_of_schema(lines) if n % 2 else None  # the order changes
        seconds, memory = _run(service, "load", str(many))
        ratios.append(seconds / (before or _seconds_of_schema(lines)))
    exported, export_memory = _run(service, "export")
    service.database.clear()
    _, memory_for_few = _run(service, "load", str(few))
    _, export_memory_for_few = _run(service, "export")
    yield figure("load, beside schema.load of the same on one core", ratios, "times", most=1.5)
    more = memory / memory_for_few
    yield figure("load, memory of its processes for 4 times the file", [more], "times", most=1.2)
    yield figure("load, memory of its processes", [memory / 1e6], "MB")
    yield figure("export", [plan.items / exported], "items/s")
    more = export_memory / export_memory_for_few
    yield figure("export, memory for 4 times the items", [more], "times", most=1.2)
    yield figure("export, memory", [export_memory / 1e6], "MB")


def _run(service: Service, *arguments: str) -> tuple[float, int]:
    """Run `notifhist`; return the seconds it took, and the most bytes its processes had in memory."""
    started, most = time.perf_counter(), 0
    running = service.start(*arguments)
    process = psutil.Process(running.pid)
    while running.poll() is None:
        with suppress(psutil.Error):  # one of them has ended
            most = max(
                most, sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
            )
        time.sleep(_LOOK_AGAIN_S)
    if running.returncode:
        raise RuntimeError(f"notifhist {arguments[0]} failed")
    return time.perf_counter() - started, most


def _seconds_of_schema(lines: Sequence[bytes]) -> float:
    """Return how long the schema takes for all items of these lines, once they are parsed."""
    seconds = 0.0
    for line in lines:
        item = json.loads(line)["item"]
        started = time.perf_counter()
        ITEM.load(item)
        seconds += time.perf_counter() - started
    return seconds


def record(plan: Plan, bench: Bench) -> Iterator[Row]:
    """Measure items recorded by POST, beside commits of one row, bare and behind a bare server, and appends."""
    service, bare = Service(bench.database("writes")), bench.database("bare")
    service.database.clear()
    bare.clear()
    checks = [f"{alarm_uri(BIG_ALARM)}/ch{n}" for n in range(10)]
    requests = posts(checks, _ITEM_BYTES, service.create_key(TENANT))
    served = bench.serve("service", service)
    committing = bench.serve_bare("bare", f"committing({bare.url!r})", "--workers", "1", "--threads", "2")
    commit = committer(bare, bench.enter_context(closing(bare.connect())))
    appended = bench.enter_context((bench.scratch / "appended").open("ab", buffering=0))

    def posted(server: Server, clients: int) -> float:
        how = {"seconds": plan.seconds, "warm_up": plan.seconds / 5, "connections": clients}
        window = bench.measure(requests, server, **how)
        return len(window.latencies) / window.seconds

    def append() -> None:
        appended.write(bytes(4096))
        os.fdatasync(appended.fileno())

    ways: dict[str, Callable[[], float]] = {
        "append": lambda: _per_second(append, plan.seconds),
        "commit": lambda: _per_second(commit, plan.seconds),
        "bare": lambda: posted(committing, 1),
        "one": lambda: posted(served, 1),
        "many": lambda: posted(served, _CLIENTS),
    }
    rounds = [{name: rate() for name, rate in ways.items()} for _ in range(plan.rounds)]

    def times(over: str, under: str) -> list[float]:
        return [rates[over] / rates[under] for rates in rounds]

    yield figure(
        "POST, one client, beside bare commits of one row", times("one", "commit"), "times", least=0.5
    )
    yield figure(
        "a bare server with one commit for each POST, beside the same", times("bare", "commit"), "times"
    )
    yield figure("POST, one client, beside that server", times("one", "bare"), "times")
    yield figure(f"POST, {_CLIENTS} clients, beside one", times("many", "one"), "times", least=1)
    yield figure("POST, one client, beside appends of 4 kB with fdatasync", times("one", "append"), "times")
    yield figure("POST, one client", [rates["one"] for rates in rounds], "items/s")
    yield figure(f"POST, {_CLIENTS} clients", [rates["many"] for rates in rounds], "items/s")


def _per_second(do: Callable[[], object], seconds: float) -> float:
    started, done = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        do()
        done += 1
    return done / elapsed


def disk(plan: Plan, bench: Bench) -> Iterator[Row]:
    """Measure what items take on disk beside their JSON, and of what that consists."""
    service, lines = Service(bench.database("writes")), bench.scratch / "items.ndjson"
    for item_bytes, most in ((_ITEM_BYTES, 3.0), (SHORT_ITEM_BYTES, None)):
        lines.write_bytes(b"".join(lines_of_a_day(plan.disk_items, item_bytes)))
        service.database.clear()
        service.run("migrate")
        empty = service.database.size()
        service.load(lines)
        taken = service.database.size() - empty
        document, xml = map(int, service.database.row(_TEXTS))
        name = f"disk for items of {item_bytes} bytes, beside their JSON"
        yield figure(name, [taken / document], "times", most=most)
        yield figure(f"{name}: their XML", [xml / document], "times")
