"""The service beside a bare server and a plain application, or beside the service of another checkout, in turns."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.data import TENANT, store
from bench.databases import Database
from bench.idiomatic import Idiomatic
from bench.load_generator import Server, Window
from bench.report import FIGURES, Row, cell, compared, figure, percentile, quotients, results
from bench.servers import Asked, Bench, Measured, Service
from bench.workloads import JSON, MOST_COSTS, RUN, gets, headers

CONNECTIONS = 8
_OPTIONS = ("--workers", "1", "--threads", "8")


@dataclass(frozen=True)
class Plan:
    """What to measure, over how much data."""

    rounds: int = 9
    seconds: float = field(default=1.0, metadata={"help": "Of a window; a fifth goes before it to warm up."})
    only: tuple[str, ...] = tuple(RUN)
    database: str = field(default="sqlite", metadata={"help": "The service's: sqlite or postgres."})
    beside: Path | None = field(
        default=None,
        metadata={
            "help": "Another checkout, to compare its service instead of a bare server and a plain application."
        },
    )
    items: int = 36_000
    item_bytes: int = 2000
    runs: int = 100_000


def run(plan: Plan, cache: Path) -> dict[str, Any]:
    """Compare the service with a bare server and a plain application, or with another checkout's service.

    Raises BadAnswer where a server answers anything but what it answered before.
    """
    with Bench(plan.database, cache) as bench:
        how = {"seconds": plan.seconds, "warm_up": plan.seconds / 5, "connections": CONNECTIONS}
        measured = bench.measure_in_turns(_asked(plan, bench), plan.rounds, **how)
    windows = [each for by_server in measured.values() for some in by_server.values() for each in some]
    share = max(each.client_cpu / each.seconds for each in windows)
    titles = {name: f"{name} {RUN[name].title}" for name in measured}
    rates = compared("requests/s", titles, measured, _rate)
    rates["heads"] += ["service, p50", "service, p99"]
    for row, by_server in zip(rates["rows"], measured.values(), strict=True):
        latencies = [latency * 1000 for window in by_server["service"] for latency in window.latencies]
        row += [cell([percentile(latencies, part)], "ms") for part in (0.5, 0.99)]
    cpu = compared("CPU of a request", titles, measured, _cpu_ms, "ms")
    wanted = {"heads": ["wanted", *FIGURES], "rows": _wanted(measured)}
    remark = f"Medians of {plan.rounds} rounds, quartiles in brackets, on {plan.database}."
    return results([rates, cpu, wanted], f"{remark} The load generator took up to {share:.0%} of a CPU.")


def _asked(plan: Plan, bench: Bench) -> dict[Server, Asked]:
    """Start all servers over the same data; return what to ask them. The others are compared with the first."""
    ours = Service(bench.database("run"))
    plain = Database(f"sqlite:///{bench.scratch}/plain/items.db")
    other = Service(bench.database("beside"), plan.beside) if plan.beside else Idiomatic(plain)
    stored = store([ours, other], bench.scratch, items=plan.items, item_bytes=plan.item_bytes, runs=plan.runs)
    key = ours.create_key(TENANT)
    service = bench.serve("service", ours, *_OPTIONS)

    def ask(uri: str) -> bytes:
        return service.get(uri, headers(uri, JSON, key))

    uris = {name: RUN[name].uris(stored, ask) for name in plan.only}

    def asked(server: Server, key: str) -> Asked:
        return {name: gets(server, uris[name], RUN[name].accept, key) for name in uris}

    requests = asked(service, key)
    if plan.beside:
        beside = bench.serve("beside", other, *_OPTIONS)
        return {beside: asked(beside, other.create_key(TENANT)), service: requests}
    answers = {
        (uri, RUN[name].accept): request.body or b""
        for name, some in uris.items()
        for uri, request in zip(some, requests[name], strict=True)
    }
    ceiling = bench.serve_answers("ceiling", answers, *_OPTIONS)
    idiomatic = bench.serve("idiomatic", other, *_OPTIONS)
    return {ceiling: requests, service: requests, idiomatic: asked(idiomatic, key)}


def _wanted(measured: Measured) -> list[Row]:
    """Return floors of the service's part of the ceiling, and what some requests may cost beside others at most."""
    rates = {
        name: {server: [_rate(window) for window in windows] for server, windows in by_server.items()}
        for name, by_server in measured.items()
    }
    rows = [
        figure(f"{name}, service/ceiling", quotients(each["service"], each["ceiling"]), least=RUN[name].floor)
        for name, each in rates.items()
        if "ceiling" in each
    ]
    for name, most in MOST_COSTS.items():
        over, under = name.split("/")
        if over in rates and under in rates:
            # Seconds per request are the inverse of requests per second.
            cost = quotients(rates[under]["service"], rates[over]["service"])
            rows.append(figure(f"{name}, seconds of a request", cost, most=most))
    return rows


def _rate(window: Window) -> float:
    return len(window.latencies) / window.seconds


def _cpu_ms(window: Window) -> float:
    return window.server_cpu * 1000 / len(window.latencies)
