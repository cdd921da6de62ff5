"""Loading, exporting and recording items, and the disk they take."""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import orjson

from bench import load as generator
from bench import servers
from bench.commits import committer
from bench.data import MS_PER_DAY, TENANT, ServiceStore
from bench.documents import Items
from bench.targets import SqliteFile, Target
from bench.workloads import recordings
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.history import ITEM
from notifhist.schemas.query import CheckPath
from notifhist.server.settings import THREADS, cpu_count
from notifhist.store.database import Database, ensure_connected, migrate, open_database

if TYPE_CHECKING:
    from bench.store import Plan

_ITEM_BYTES, _SHORT_ITEM_BYTES = 2000, 300
_CHECKS = [CheckPath(TENANT, "en0", "al0", f"ch{n}") for n in range(10)]
_BATCH = 1000
_CLIENTS = 16


class Figure(NamedTuple):
    """Something measured; `most` or `least` is what is wanted of it."""

    name: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether it is as wanted; None if nothing is."""
        if self.most is None and self.least is None:
            return None
        return (self.most is None or self.value <= self.most) and (
            self.least is None or self.value >= self.least
        )


def load(plan: "Plan", target: Target, scratch: Path) -> list[Figure]:
    """Measure `notifhist load` beside the schema alone, and `export`; and the memory of either, by file size."""
    lines = scratch / "items.ndjson"
    _write_lines(lines, plan.items)
    few = scratch / "few.ndjson"
    _write_lines(few, plan.items // 4)
    quotients = []
    for n in range(plan.rounds):
        target.clear()
        before = _seconds_of_schema(lines) if n % 2 else None  # the order changes
        seconds, loading = servers.run_command(target.url, "load", str(lines))
        quotients.append(seconds / (before or _seconds_of_schema(lines)))
    exported, memory = servers.run_command(target.url, "export")
    target.clear()
    _, loading_few = servers.run_command(target.url, "load", str(few))
    _, exporting_few = servers.run_command(target.url, "export")
    return [
        Figure("load, beside schema.load of the same on one core", median(quotients), "times", most=1.5),
        Figure(
            "load, memory of its processes for 4 times the file",
            loading / loading_few,
            "times",
            most=1.2,
        ),
        Figure("load, memory of its processes", loading / 1e6, "MB"),
        Figure("export", plan.items / exported, "items/s"),
        Figure("export, memory for 4 times the items", memory / exporting_few, "times", most=1.2),
        Figure("export, memory", memory / 1e6, "MB"),
    ]


def _write_lines(path: Path, number: int) -> None:
    with path.open("wb") as file:
        for n, item in enumerate(_items(_ITEM_BYTES, number)):
            file.write(orjson.dumps({**vars(_CHECKS[n * len(_CHECKS) // number]), "item": item}) + b"\n")


def _items(item_bytes: int, number: int) -> Iterator[Document]:
    """Yield items of the last day."""
    make = Items(random.Random(1), item_bytes)
    start = (_now_ms() - MS_PER_DAY) * TICKS_PER_MS
    for n in range(number):
        yield make.at(start + MS_PER_DAY * TICKS_PER_MS * n // number)


def _seconds_of_schema(lines: Path) -> float:
    """Return how long the schema takes for all items of a file, once they are parsed."""
    seconds = 0.0
    with lines.open("rb") as file:
        while some := [json.loads(line)["item"] for line in islice(file, _BATCH)]:
            started = time.perf_counter()
            for document in some:
                ITEM.load(document)
            seconds += time.perf_counter() - started
    return seconds


def record(plan: "Plan", target: Target, scratch: Path) -> list[Figure]:
    """Measure items recorded by POST, beside commits of one row, bare and behind a bare server, and appends."""
    key = _empty_with_key(target)
    rates: dict[str, list[float]] = {}
    other_url = f"sqlite:///{scratch}/bare.db" if isinstance(target, SqliteFile) else target.url
    with (
        committer(other_url) as commit,
        servers.service(target.url, scratch, THREADS, workers=cpu_count()) as service,
        servers.committing(other_url, scratch, THREADS) as bare,
        generator.client() as client,
    ):
        client.learn("POST", list(recordings(_CHECKS, _ITEM_BYTES, key)))

        def posts(server: servers.Server, clients: int) -> float:
            return client.measure(
                "POST", server.port, seconds=plan.seconds, warm_up=plan.seconds / 5, connections=clients
            ).per_second

        ways: dict[str, Callable[[], float]] = {
            "append": lambda: _appends(scratch, plan.seconds),
            "commit": lambda: _per_second(commit, plan.seconds),
            "bare": lambda: posts(bare, 1),
            "one": lambda: posts(service, 1),
            "many": lambda: posts(service, _CLIENTS),
        }
        for _ in range(plan.rounds):
            for name, measure in ways.items():
                rates.setdefault(name, []).append(measure())

    def quotient(over: str, under: str) -> float:
        return median(a / b for a, b in zip(rates[over], rates[under], strict=True))

    return [
        Figure(
            "POST, one client, beside bare commits of one row", quotient("one", "commit"), "times", least=0.5
        ),
        Figure(
            "a bare server with one commit for each POST, beside the same",
            quotient("bare", "commit"),
            "times",
        ),
        Figure("POST, one client, beside that server", quotient("one", "bare"), "times"),
        Figure(f"POST, {_CLIENTS} clients, beside one", quotient("many", "one"), "times", least=1.0),
        Figure("POST, one client, beside appends of 4 kB with fdatasync", quotient("one", "append"), "times"),
        Figure("POST, one client", median(rates["one"]), "items/s"),
        Figure(f"POST, {_CLIENTS} clients", median(rates["many"]), "items/s"),
    ]


def _appends(scratch: Path, seconds: float) -> float:
    with (scratch / "appended").open("ab", buffering=0) as file:

        def append() -> None:
            file.write(bytes(4096))
            os.fdatasync(file.fileno())

        return _per_second(append, seconds)


def _per_second(do: Callable[[], object], seconds: float) -> float:
    started, done = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        do()
        done += 1
    return done / elapsed


def disk(plan: "Plan", target: Target, scratch: Path) -> list[Figure]:
    """Measure what items take on disk beside their JSON, and of what that consists."""
    figures = []
    for item_bytes, most in ((_ITEM_BYTES, 3.0), (_SHORT_ITEM_BYTES, None)):
        target.clear()
        db = opened(target)
        empty = size_of(target, db)
        fill(db, _items(item_bytes, plan.disk_items), plan.disk_items)
        (texts,) = db.execute_sql(
            "SELECT sum(length(document)), sum(length(xml)) FROM history_item"
        ).fetchall()
        document, xml = (int(text) for text in texts)
        close(db)
        taken = size_of(target) - empty
        name = f"disk for items of {item_bytes} bytes, beside their JSON"
        figures += [
            Figure(name, taken / document, "times", most=most),
            Figure(f"{name}: their XML", xml / document, "times"),
        ]
    return figures


def fill(db: Database, items: Iterator[Document], number: int) -> None:
    """Store items, those that follow each other in the same check."""
    store, batch = ServiceStore(db, _now_ms()), []
    for n, item in enumerate(items):
        batch.append(item)
        at_end = n + 1 == number or (n + 1) * len(_CHECKS) // number > n * len(_CHECKS) // number
        if len(batch) == _BATCH or at_end:
            store.add_items(_CHECKS[n * len(_CHECKS) // number], batch)
            batch = []


def opened(target: Target) -> Database:
    """Return the target's database, with tables."""
    db = open_database(target.url, create=True)
    ensure_connected(db)
    migrate(db)
    return db


def close(db: Database) -> None:
    """Close a database; with the last connection SQLite writes its log back."""
    db.close()


def size_of(target: Target, db: Database | None = None) -> int:
    """Return how many bytes the items take on disk, all that is kept for them included."""
    if isinstance(target, SqliteFile):
        return sum(path.stat().st_size for path in target.folder.iterdir())
    own = db or opened(target)
    sizes = """SELECT sum(pg_total_relation_size(oid)) FROM pg_class
        WHERE relname LIKE 'history_item%%' AND relkind = 'r'"""
    ((size,),) = own.execute_sql(sizes).fetchall()
    if db is None:
        own.close()
    return int(size)


def _empty_with_key(target: Target) -> str:
    target.clear()
    return servers.create_key(target.url, TENANT)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
