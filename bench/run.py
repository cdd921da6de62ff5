"""The service beside a bare server and a plain application, or beside the service of another checkout, in turns."""

from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import quantiles
from typing import Any

from bench.data import TENANT, store
from bench.databases import Database
from bench.idiomatic import Idiomatic
from bench.load_generator import How, Server
from bench.report import FIGURES, Numbers, Row, Table, cell, compared, figure, quotients, results
from bench.servers import Asked, Bench, Measured, Service, numbers
from bench.workloads import MOST_COSTS, RUN, gets

CONNECTIONS = 8
_OPTIONS = ("--workers", "1", "--threads", "8")
_BESIDE = "Another checkout, whose service is there instead of a bare server and a plain application."


@dataclass(frozen=True)
class Plan:
    """What to measure, over how much data."""

    rounds: int = 9
    seconds: float = field(default=1.0, metadata={"help": "Of a window; a fifth goes before it to warm up."})
    only: str = ",".join(RUN)
    database: str = field(default="sqlite", metadata={"help": "The service's: sqlite or postgres."})
    beside: Path | None = field(default=None, metadata={"help": _BESIDE})
    items: int = 36_000
    item_bytes: int = 2000
    runs: int = 100_000


def run(plan: Plan, cache: Path) -> dict[str, Any]:
    """Compare the service with a bare server and a plain application, or with another checkout's service.

    Raises BadAnswer where a server answers anything but what it answered before.
    """
    with Bench(plan.database, cache) as bench:
        how = How(plan.seconds, plan.seconds / 5, CONNECTIONS)
        measured = bench.measure_in_turns(_asked(plan, bench), plan.rounds, how)
    shares = numbers(measured, lambda window: window.client_cpu / window.seconds)
    share = max(chain(*(each for by_server in shares.values() for each in by_server.values())))
    remark = f"Medians of {plan.rounds} rounds, quartiles in brackets, on {plan.database}."
    return results(tables(measured), f"{remark} The load generator took up to {share:.0%} of a CPU.")


def tables(measured: Measured) -> list[Table]:
    """Return requests a second, processor time of a request, and whether the service is as wanted."""
    titles = {name: f"{name} {RUN[name].title}" for name in measured}
    rates = numbers(measured, lambda window: len(window.latencies) / window.seconds)
    first = compared("requests/s", titles, rates)
    first["heads"] += ["service, p50", "service, p99"]
    for row, windows in zip(first["rows"], measured.values(), strict=True):
        latencies = chain(*(window.latencies for window in windows["service"]))
        parts = quantiles(latencies, n=100, method="inclusive")
        row += [cell([parts[n - 1] * 1000], "ms") for n in (50, 99)]
    cpu_ms = numbers(measured, lambda window: window.server_cpu * 1000 / len(window.latencies))
    second = compared("CPU of a request", titles, cpu_ms, "ms")
    rows = _wanted(rates)
    return [first, second] + ([{"heads": ["wanted", *FIGURES], "rows": rows}] if rows else [])


def _asked(plan: Plan, bench: Bench) -> dict[Server, Asked]:
    """Start all servers over the same data; return what to ask them. The others are compared with the first."""
    workloads = {name: RUN[name] for name in plan.only.split(",")}
    ours = Service(bench.database("run"))
    plain = Database(f"sqlite:///{bench.scratch}/plain/items.db")
    other = Service(bench.database("beside"), plan.beside) if plan.beside else Idiomatic(plain)
    stored = store([ours, other], bench.scratch, items=plan.items, item_bytes=plan.item_bytes, runs=plan.runs)
    service = bench.serve("service", ours, *_OPTIONS)
    requests = gets(workloads, stored, service, ours.create_key(TENANT))
    if plan.beside:
        beside = bench.serve("beside", other, *_OPTIONS)
        return {beside: gets(workloads, stored, beside, other.create_key(TENANT)), service: requests}
    ceiling = bench.serve_answers("ceiling", chain(*requests.values()), *_OPTIONS)
    idiomatic = bench.serve("idiomatic", other, *_OPTIONS)
    return {ceiling: requests, service: requests, idiomatic: gets(workloads, stored, idiomatic, "")}


def _wanted(rates: Numbers) -> list[Row]:
    """Return floors of the service's part of the ceiling, and what some requests may cost beside others at most."""
    rows = []
    for name, each in rates.items():
        if "ceiling" in each:
            part = quotients(each["service"], each["ceiling"])
            rows.append(figure(f"{name}, service/ceiling", part, "", f"≥ {RUN[name].floor:g}"))
    for name, most in MOST_COSTS.items():
        over, under = name.split("/")
        if over in rates and under in rates:
            # Seconds per request are the inverse of requests per second.
            cost = quotients(rates[under]["service"], rates[over]["service"])
            rows.append(figure(f"{name}, seconds of a request", cost, "", f"≤ {most:g}"))
    return rows
