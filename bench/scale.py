"""Cost against size: the same requests to histories of 10⁴, 10⁵ … items, in turns.

One service for each size, all up at the same time: one worker, two threads, asked over one connection. What
counts is the median latency at a size, divided by that at the smallest size in the same round. Runs are as many as
items, up to MOST_RUNS. A bare server that answers next to nothing takes part: its latency is part of all others.
"""

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.data import TENANT, store
from bench.load_generator import Server
from bench.report import compared, results
from bench.servers import Asked, Bench, Service
from bench.workloads import JSON, SCALE, gets, headers, posts

MOST_RUNS = 5_000_000
TITLES = {name: workload.title for name, workload in SCALE.items()} | {"POST": "record an item"}
_OPTIONS = ("--workers", "1", "--threads", "2")
_HOW = {"seconds": 5.0, "most": 24, "warm_up": 1e-9}
"""A window: there are 4, 8, 12 or more different requests. One warms up: with it the server accepts the connection."""


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    largest: int = 1_000_000
    smallest: int = 10_000
    item_bytes: int = 300
    rounds: int = 15
    database: str = field(default="sqlite", metadata={"help": "sqlite or postgres."})

    def sizes(self) -> list[int]:
        """Return the numbers of items, each ten times the one before, but for the last."""
        sizes = [self.smallest]
        while sizes[-1] * 10 < self.largest:
            sizes.append(sizes[-1] * 10)
        return [*sizes, self.largest] if self.largest > self.smallest else sizes


def scale(plan: Plan, cache: Path) -> dict[str, Any]:
    """Compare the cost of the same requests at 10,000 items, ten times that, and so on up to the largest.

    Raises BadAnswer where a service answers anything but what it answered before.
    """
    with Bench(plan.database, cache) as bench:
        asked = dict(_asked(plan, size, bench) for size in plan.sizes())
        bare = bench.serve_answers("bare", {("/", JSON): b"{}"}, *_OPTIONS)
        asked[bare] = dict.fromkeys(TITLES, gets(bare, ["/"], JSON, ""))
        measured = bench.measure_in_turns(asked, plan.rounds, **_HOW)
    titles = {name: f"{name} {title}" for name, title in TITLES.items()}
    table = compared(plan.database, titles, measured, lambda window: median(window.latencies) * 1000, "ms")
    return results([table], f"Medians of {plan.rounds} rounds, quartiles in brackets.")


def _asked(plan: Plan, size: int, bench: Bench) -> tuple[Server, Asked]:
    """Start the service of a size; return what to ask it."""
    service = Service(bench.database(f"scale_{size}"))
    runs = min(size, MOST_RUNS)
    stored = store([service], bench.scratch, items=size, item_bytes=plan.item_bytes, runs=runs)
    key = service.create_key(TENANT)
    server = bench.serve(f"{size:,} items", service, *_OPTIONS)

    def ask(uri: str) -> bytes:
        return server.get(uri, headers(uri, JSON, key))

    asked = {name: gets(server, each.uris(stored, ask), each.accept, key) for name, each in SCALE.items()}
    checks = [uri.rpartition("/")[0] for uri in stored.places[1]]
    return server, asked | {"POST": posts(checks, plan.item_bytes, key)}
