"""Cost against size: the same requests to histories of 10⁴, 10⁵ … items, a service over each, in turns.

What counts is the median latency at a size, divided by that at the smallest size in the same round.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.data import TENANT, store
from bench.load_generator import Request, Server, latencies
from bench.report import compared, results
from bench.servers import ONE_WORKER, Asked, Bench, Service, in_turns
from bench.workloads import JSON, SCALE, get, gets, posts

MOST_RUNS = 5_000_000
TITLES = {name: f"{name} {workload.title}" for name, workload in SCALE.items()} | {"POST": "POST record an item"}


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
        tens = (self.smallest * 10**n for n in range(20))
        return [*(size for size in tens if size < self.largest), self.largest]


def scale(plan: Plan, cache: Path) -> dict[str, Any]:
    """Compare the cost of the same requests at the smallest number of items, ten times that, and so on.

    Raises BadAnswer where a service answers anything but what it answered before.
    """
    with Bench(plan.database, cache) as bench:
        asked = dict(_asked(plan, size, bench) for size in plan.sizes())
        nothing = get("/", JSON, "")._replace(body=b"{}")
        bare = bench.serve_answers("bare", "answering", [nothing], *ONE_WORKER)
        asked[bare] = {name: [nothing] for name in TITLES}
        medians = in_turns(asked, plan.rounds, _median_ms)
    smallest, *others = (server.name for server in asked)
    table = compared(plan.database, TITLES, medians, [(each, smallest) for each in others], "ms")
    return results([table], f"Medians of {plan.rounds} rounds, quartiles in brackets.")


def _median_ms(requests: Sequence[Request], server: Server) -> float:
    """Return the median latency of a window: there are 4, 8, 12 or more different requests, which 24 go through."""
    return median(latencies(requests, server, seconds=5, most=24)) * 1000


def _asked(plan: Plan, size: int, bench: Bench) -> tuple[Server, Asked]:
    """Start the service of a size; return what to ask it."""
    service = Service(bench.database(f"scale_{size}"))
    runs = min(size, MOST_RUNS)
    stored = store([service], bench.scratch, items=size, item_bytes=plan.item_bytes, runs=runs)
    key = service.create_key(TENANT)
    server = bench.serve(f"{size:,} items", service, *ONE_WORKER)
    checks = [uri.rpartition("/")[0] for uri in stored.places[1]]
    return server, gets(SCALE, stored, server, key) | {"POST": posts(checks, plan.item_bytes, key)}
