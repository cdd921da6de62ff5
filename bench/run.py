"""The service beside a bare server and a plain application: requests per second, in turns of about a second."""

import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from bench import load, servers
from bench.cache import Prepared, prepare
from bench.ceiling import write_answers
from bench.data import TENANT, even
from bench.load import Client, Window
from bench.servers import Answer, Server
from bench.summary import compared, cost
from bench.surroundings import surroundings
from bench.targets import Named, SqliteFile
from bench.workloads import FLOORS, LIMITS, MOST_COSTS, TITLES, Workload, headers, workloads
from notifhist.transfer.load import Report
from notifhist.transfer.progress import progress

CONNECTIONS = 8
SERVICE, CEILING, IDIOMATIC = "service", "ceiling", "idiomatic"
_LONGEST_S = 10.0
"""No window should take longer: a server that needs seconds for an answer gets fewer connections."""
_SLOW_S = 2.5
"""A server whose windows take longer is measured in a few rounds only."""
_FEW_ROUNDS = 3


@dataclass(frozen=True)
class Plan:
    """What to measure, over how much data."""

    rounds: int
    seconds: float
    """Of a window; a fifth as long again goes before it to warm up."""
    runs: int = 100_000
    checks: int = 24
    items_per_check: int = 1500
    only: Collection[str] = tuple(TITLES)
    url: str | None = None
    """The service's database, if not an SQLite file of the cache."""


@dataclass(frozen=True)
class Task:
    """A workload as one server gets it."""

    name: str
    server: Server
    connections: int
    rounds: int
    warm_up: float


def run(plan: Plan, cache: Path) -> dict[str, Any]:
    """Build what is missing in `cache`, measure, and return the results as a document for JSON.

    Raises BadAnswer where a server answers anything but what it answered before.
    """
    prepared, idiomatic = _prepared(plan, cache)
    key = servers.create_key(prepared.url, TENANT)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="notifhist-bench-")))
        service = stack.enter_context(servers.service(prepared.url, scratch))
        other = stack.enter_context(servers.idiomatic(idiomatic, scratch))
        client = stack.enter_context(load.client())

        def ask(uri: str) -> Any:
            return orjson.loads(_fetch(service, uri, "application/json", key).body)

        chosen = [workload for workload in workloads(prepared, ask) if workload.name in plan.only]
        answers = _all_answers(chosen, (service, other), key)
        write_answers(scratch / "answers", _as_prepared(chosen, answers))
        bare = stack.enter_context(servers.ceiling(scratch / "answers", scratch))
        tasks = {
            workload.name: [
                _task(plan, client, workload, server, answers[source, workload.name], key)
                for server, source in ((service, SERVICE), (bare, SERVICE), (other, IDIOMATIC))
            ]
            for workload in chosen
        }
        steps = plan.rounds * sum(map(len, tasks.values()))
        with progress("Measuring", total=steps) as report:
            measured = _measure(plan, client, tasks, report)
    return _document(plan, measured, answers)


def _prepared(plan: Plan, cache: Path) -> tuple[Prepared, Path]:
    data_set = even(plan.checks, plan.items_per_check, plan.runs)
    where = f"-{sha256(plan.url.encode()).hexdigest()[:12]}" if plan.url else ""
    folder = cache / f"run-{data_set.digest()}{where}"
    target = Named(plan.url) if plan.url else SqliteFile(folder / "sqlite")
    idiomatic = folder / "idiomatic.db"
    with progress("Building the data set", total=data_set.items + data_set.runs) as report:
        return prepare(folder, target, data_set, LIMITS, report, idiomatic), idiomatic


def _fetch(server: Server, uri: str, accept: str, key: str) -> Answer:
    answer = server.ask(uri, headers(uri, accept, key))
    if answer.status != 200:
        raise load.BadAnswer(f"{server.name}, {uri}: {answer.status} {answer.body[:500]!r}")
    return answer


Answers = Mapping[tuple[str, str], Mapping[str, Answer]]
"""By server and workload: by URI, what is answered to one request alone."""


def _all_answers(chosen: Sequence[Workload], asked: Sequence[Server], key: str) -> Answers:
    total = len(asked) * sum(len(workload.uris) for workload in chosen)
    answers: dict[tuple[str, str], dict[str, Answer]] = {}
    with progress("Asking once for all answers", total=total) as report:
        for server in asked:
            for workload in chosen:
                found = answers[server.name, workload.name] = {}
                for uri in workload.uris:
                    found[uri] = _fetch(server, uri, workload.accept, key)
                    report(1)
    return answers


def _as_prepared(chosen: Sequence[Workload], answers: Answers) -> list[tuple[str, str, str, bytes]]:
    """Return the service's answers as the ceiling is to give them."""
    return [
        (uri, workload.accept, answer.content_type, answer.body)
        for workload in chosen
        for uri, answer in answers[SERVICE, workload.name].items()
    ]


def _task(
    plan: Plan, client: Client, workload: Workload, server: Server, answers: Mapping[str, Answer], key: str
) -> Task:
    """Tell the client what to ask `server` for; return how to measure that."""
    name = f"{server.name} {workload.name}"
    client.learn(name, workload.requests(key, {uri: answer.body for uri, answer in answers.items()}))
    alone = min(answer.seconds for answer in answers.values()) if server.name != CEILING else 0.0
    connections = max(1, min(CONNECTIONS, int(_LONGEST_S / alone))) if alone else CONNECTIONS
    takes = alone * connections
    rounds = min(plan.rounds, _FEW_ROUNDS) if takes > _SLOW_S else plan.rounds
    return Task(name, server, connections, rounds, 0.0 if takes > plan.seconds else plan.seconds / 5)


Measured = Mapping[str, Mapping[str, Sequence[Window | None]]]
"""By workload and server: a window of each round, None where it was left out."""


def _measure(plan: Plan, client: Client, tasks: Mapping[str, Sequence[Task]], report: Report) -> Measured:
    """Return the windows. A round goes through all workloads, and in each through the servers, in changing order."""
    measured: dict[str, dict[str, list[Window | None]]] = {
        workload: {task.server.name: [] for task in some} for workload, some in tasks.items()
    }
    for n in range(plan.rounds):
        for workload, some in tasks.items():
            first = n % len(some)
            for task in (*some[first:], *some[:first]):
                window = _window(plan, client, task) if n < task.rounds else None
                measured[workload][task.server.name].append(window)
                report(1)
    return measured


def _window(plan: Plan, client: Client, task: Task) -> Window:
    return client.measure(
        task.name,
        task.server.port,
        seconds=plan.seconds,
        warm_up=task.warm_up,
        connections=task.connections,
    )


def _document(plan: Plan, measured: Measured, answers: Answers) -> dict[str, Any]:
    workloads = {
        name: {
            "title": TITLES[name],
            "uris": len(answers[SERVICE, name]),
            "bytes": sum(len(each.body) for each in answers[SERVICE, name].values())
            // len(answers[SERVICE, name]),
            **compared(windows, FLOORS[name]),
        }
        for name, windows in measured.items()
    }
    costs = {}
    for name, most in MOST_COSTS.items():
        over, under = name.split("/")
        if over in workloads and under in workloads:
            costs[name] = cost(workloads[over], workloads[under], most)
    settings = {**asdict(plan), "only": sorted(measured), "url": plan.url and plan.url.partition(":")[0]}
    return {"kind": "run", **surroundings(), "plan": settings, "workloads": workloads, "costs": costs}
