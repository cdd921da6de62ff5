"""The service beside what one could run instead, or beside the service of another checkout, in turns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, product
from pathlib import Path
from typing import Any

from bench.data import TENANT, store
from bench.databases import Database
from bench.idiomatic import Idiomatic
from bench.load_generator import Server
from bench.report import Numbers, Row, Table, cell, compared, figure, figures, quotients, results
from bench.servers import Asked, Bench, Measured, Service, in_turns, numbers
from bench.workloads import COSTS, JSON, RUN, Workload, gets
from bench.wrk import Load, Wrk, own_cpus, require

_FASTAPI_ROUNDS = 3
_BESIDE = "Another checkout, whose service is there instead of the other servers."
_FASTAPI = f"Of a window of FastAPI, which has {_FASTAPI_ROUNDS} rounds: it answers few requests a second."
_CPU, _RATE = "CPU of a request, µs", "requests/s"


@dataclass(frozen=True)
class Plan:
    """What to measure, over how much data."""

    rounds: int = 10
    seconds: int = field(default=2, metadata={"help": "Of a window."})
    fastapi_seconds: int = field(default=10, metadata={"help": _FASTAPI})
    threads: int = field(default=2, metadata={"help": "Of each worker of gunicorn."})
    only: str = ",".join(RUN)
    database: str = field(default="sqlite", metadata={"help": "The service's: sqlite or postgres."})
    beside: Path | None = field(default=None, metadata={"help": _BESIDE})
    items: int = 100_000
    item_bytes: int = 2000
    runs: int = 100_000


def run(plan: Plan, cache: Path) -> dict[str, Any]:
    """Compare the service with a bare function, a Flask view and FastAPI, or with another checkout's service.

    Raises BadAnswer where a server answers anything but what it should, and RuntimeError where wrk is not installed.
    """
    workloads = {name: RUN[name] for name in plan.only.split(",")}
    require()
    server_cpu, wrk_cpu = own_cpus()
    with Bench(plan.database, cache, server_cpu) as bench:
        asked, asked_of_fastapi = _asked(plan, bench, workloads)
        measured = in_turns(asked, plan.rounds, Wrk(bench.scratch, plan.seconds, wrk_cpu).measure)
        long = Wrk(bench.scratch, plan.fastapi_seconds, wrk_cpu)
        for name, of_fastapi in in_turns(asked_of_fastapi, min(plan.rounds, _FASTAPI_ROUNDS), long.measure).items():
            measured[name] |= of_fastapi
    pinned = "Servers and wrk each had a CPU of their own." if wrk_cpu else "Servers and wrk shared all CPUs."
    shares = numbers(measured, lambda load: load.client_cpu / load.seconds)
    share = max(chain(*(each for by_server in shares.values() for each in by_server.values())))
    remark = f"Medians of {plan.rounds} rounds, quartiles in brackets, on {plan.database}. {pinned}"
    return results(tables(measured), f"{remark} wrk took up to {share:.0%} of one.")


def tables(measured: Measured[Load]) -> list[Table]:
    """Return processor time of a request, requests a second, and whether the service is as wanted."""
    titles = {name: f"{name} {RUN[name].title}" for name in measured}
    cpu_us = numbers(measured, lambda load: load.server_cpu / load.answers * 1e6)
    rates = numbers(measured, lambda load: load.answers / load.seconds)
    if any("beside" in each for each in measured.values()):
        ratios = [("service", "beside")]
        first, second = compared(_CPU, titles, cpu_us, ratios), compared(_RATE, titles, rates, ratios)
    else:
        wanted_cpu, wanted_rate = ({name: getattr(RUN[name], of) for name in measured} for of in ("cpu", "rate"))
        first = compared(_CPU, titles, cpu_us, [("service", "Flask view")], wanted=wanted_cpu)
        second = compared(_RATE, titles, rates, [("service", "bare")], wanted=wanted_rate)
    second["heads"] += ["service, p50", "service, p99"]
    for row, windows in zip(second["rows"], measured.values(), strict=True):
        loads = windows["service"]
        row += [cell([load.p50_ms for load in loads], "ms"), cell([load.p99_ms for load in loads], "ms")]
    costs = _costs(rates)
    return [first, second, figures("wanted", costs)] if costs else [first, second]


def _asked(
    plan: Plan, bench: Bench, workloads: Mapping[str, Workload]
) -> tuple[dict[Server, Asked], dict[Server, Asked]]:
    """Start all servers over the same data; return what to ask them, and what to ask FastAPI."""
    options = ("--workers", "1", "--threads", str(plan.threads))
    ours, plain = Service(bench.database("run")), Idiomatic(Database(f"sqlite:///{bench.scratch}/fastapi/items.db"))
    other = Service(bench.database("beside"), plan.beside) if plan.beside else plain
    stored = store([ours, other], bench.scratch, items=plan.items, item_bytes=plan.item_bytes, runs=plan.runs)
    service = bench.serve("service", ours, *options)
    requests = gets(workloads, stored, service, ours.create_key(TENANT))
    if plan.beside:
        beside = bench.serve("beside", other, *options)
        return {beside: gets(workloads, stored, beside, other.create_key(TENANT)), service: requests}, {}
    wanted = list(chain(*requests.values()))
    bare = bench.serve_answers("bare", "answering", wanted, *options)
    view = bench.serve_answers("Flask view", "viewing", wanted, *options)
    asked = {bare: requests, view: requests, service: requests}
    for server, request in product(asked, wanted):
        server.ask(request)  # raises BadAnswer where an answer is not, byte for byte, the service's
    in_json = {name: each for name, each in workloads.items() if each.accept == JSON}
    fastapi = bench.serve("FastAPI", other)
    return asked, {fastapi: gets(in_json, stored, fastapi, "")}


def _costs(rates: Numbers) -> list[Row]:
    """Return what some requests cost beside others."""
    rows = []
    for name, wanted in COSTS.items():
        over, under = name.split("/")
        if {over, under} <= rates.keys():
            # Seconds per request are the inverse of requests per second.
            cost = quotients(rates[under]["service"], rates[over]["service"])
            rows.append(figure(f"{name}, seconds of a request", cost, "", wanted))
    return rows
