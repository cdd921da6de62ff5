"""Cost against size: the same questions to histories of 10⁴, 10⁵ … items, in turns.

One service for each size, all up at the same time: one worker, two threads, asked over one connection. A round
goes through all workloads; in each, every size is asked one question, then every size the next, all of the
same kind and from all parts of its history (see `data.grown`). What counts is the median latency at a size,
divided by that at the smallest size in the same round.

Runs are as many as items, up to MOST_RUNS. A bare server that answers next to nothing takes part in the turns:
its latency is part of all others.
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from bench import load, servers
from bench.cache import Prepared, prepare
from bench.ceiling import write_answers
from bench.data import BIG_ALARM, MS_PER_DAY, RUN_DAYS, TENANT, grown
from bench.load import Client, Request
from bench.servers import Server
from bench.summary import quotients, spread_of
from bench.surroundings import surroundings
from bench.targets import OwnPostgres, SqliteFile, Target, postgres
from bench.workloads import (
    JSON,
    XML,
    Ask,
    alarm_uri,
    deep_uri,
    get_bytes,
    headers,
    item_uris,
    list_uris,
    recordings,
    runs_uri,
)
from notifhist.schemas.fields import format_instant
from notifhist.schemas.runs import MEDIUMS, NOTIFICATION_TYPES
from notifhist.transfer.load import Report
from notifhist.transfer.progress import progress

MOST_RUNS = 5_000_000
THREADS = 2
TITLES = {
    "W1": "item, JSON",
    "W2": "item, XML",
    "W3": "100 items, JSON",
    "W4": "100 items, XML",
    "discovery": "checks of the alarm that has a fifth of all items",
    "POST": "record an item",
    "W6": "250 runs of a status",
    "W7": "the same, 90 % deep",
    "W7b": "status and medium, 50 % deep",
    "W6t": "250 runs of a type",
    "dated": "a status within half of the time, 50 % deep",
}
_STATUSES = ("COMPLETED", "FAILED", "IGNORED", "COMPLETED_WITH_ERRORS")
"""Those of which the smallest size has some full pages."""
_RUNS_REQUESTS = 12
"""How many requests for runs a size gets in a round: there are 4, 8 or 12 different ones, so each as often."""
_LONGEST_S = 5.0
"""After so long a workload has had its share of a round."""
_BARE = "bare"


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    largest: int
    smallest: int = 10_000
    item_bytes: int = 300
    most_runs: int = MOST_RUNS
    rounds: int = 15
    places: int = 200
    """From how many places of the history items and pages are asked for."""
    requests: int = 40
    """For items, to each size in a round."""

    def sizes(self) -> list[int]:
        """Return the numbers of items, each ten times the one before, but for the last."""
        sizes = [self.smallest]
        while sizes[-1] * 10 <= self.largest:
            sizes.append(sizes[-1] * 10)
        return sizes if sizes[-1] == self.largest else [*sizes, self.largest]


def scale(plan: Plan, kinds: Sequence[str], cache: Path) -> dict[str, Any]:
    """Build what is missing in `cache`, measure, and return the results as a document for JSON.

    `kinds`: sqlite, postgres. Raises BadAnswer where a service answers anything but what it answered before.
    """
    databases = {kind: _measured(plan, kind, cache) for kind in kinds}
    return {"kind": "scale", **surroundings(), "plan": asdict(plan), "databases": databases}


def _measured(plan: Plan, kind: str, cache: Path) -> dict[str, Any]:
    with ExitStack() as stack:
        server_url = stack.enter_context(postgres(cache / "postgres")) if kind == "postgres" else None
        prepared = {size: _prepared(plan, size, server_url, cache) for size in plan.sizes()}
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="notifhist-bench-")))
        write_answers(scratch / "answers", [("/", JSON, JSON, b"{}")])
        bare = stack.enter_context(servers.ceiling(scratch / "answers", scratch, THREADS))
        services = {
            size: stack.enter_context(servers.service(each.url, scratch, THREADS, f"service-{size}"))
            for size, each in prepared.items()
        }
        client = stack.enter_context(load.client())
        client.learn(_BARE, [Request(get_bytes("/", JSON, ""), body=b"{}")])
        for size, each in prepared.items():
            _teach(client, plan, size, services[size], each)
        steps = plan.rounds * len(TITLES)
        with progress(f"Measuring {kind}", total=steps) as report:
            return _measure(plan, client, services, bare, report)


def _prepared(plan: Plan, size: int, server_url: str | None, cache: Path) -> Prepared:
    data_set = grown(size, min(size, plan.most_runs), plan.item_bytes)
    folder = cache / f"scale-{'postgres' if server_url else 'sqlite'}-{data_set.digest()}"
    target: Target = (
        OwnPostgres(server_url, f"scale_{data_set.digest()}") if server_url else SqliteFile(folder / "sqlite")
    )
    with progress(f"Building {size:,} items", total=data_set.items + data_set.runs) as report:
        return prepare(folder, target, data_set, {1: plan.places, 100: plan.places}, report)


def _teach(client: Client, plan: Plan, size: int, service: Server, prepared: Prepared) -> None:
    """Tell the client all requests to the service of a size, and what answers them."""
    key = servers.create_key(prepared.url, TENANT)

    def fetch(uri: str, accept: str = JSON) -> bytes:
        answer = service.ask(uri, headers(uri, accept, key))
        if answer.status != 200:
            raise load.BadAnswer(f"{service.name}, {uri}: {answer.status} {answer.body[:500]!r}")
        return answer.body

    def gets(uris: Sequence[str], accept: str) -> list[Request]:
        return [Request(get_bytes(uri, accept, key), body=fetch(uri, accept)) for uri in uris]

    for name, (accept, uris) in _questions(prepared, lambda uri: orjson.loads(fetch(uri))).items():
        client.learn(f"{name} {size}", gets(uris, accept))
    checks = [place.check for place in prepared.places[1]]
    client.learn(f"POST {size}", list(recordings(checks, plan.item_bytes, key)))


def _questions(prepared: Prepared, ask: Ask) -> dict[str, tuple[str, Sequence[str]]]:
    """Return of each workload that reads the format and the URIs."""
    middle = {
        "fromDate": format_instant(prepared.now_ms - RUN_DAYS * MS_PER_DAY * 3 // 4),
        "untilDate": format_instant(prepared.now_ms - RUN_DAYS * MS_PER_DAY // 4),
    }
    both = [(status, medium) for status in _STATUSES[:2] for medium in MEDIUMS]
    return {
        "W1": (JSON, item_uris(prepared)),
        "W2": (XML, item_uris(prepared)),
        "W3": (JSON, list_uris(prepared, 100)),
        "W4": (XML, list_uris(prepared, 100)),
        "discovery": (JSON, [alarm_uri(BIG_ALARM)]),
        "W6": (JSON, [runs_uri(statuses=status) for status in _STATUSES]),
        "W7": (JSON, [deep_uri(ask, 0.9, statuses=status) for status in _STATUSES]),
        "W7b": (JSON, [deep_uri(ask, 0.5, statuses=status, mediums=medium) for status, medium in both]),
        "W6t": (JSON, [runs_uri(notificationTypes=kind) for kind in NOTIFICATION_TYPES[:12]]),
        "dated": (JSON, [deep_uri(ask, 0.5, statuses=status, **middle) for status in _STATUSES]),
    }


def _measure(
    plan: Plan, client: Client, services: Mapping[int, Server], bare: Server, report: Report
) -> dict[str, Any]:
    bare_ms: list[float] = []
    measured: dict[str, dict[int, list[float]]] = {name: {size: [] for size in services} for name in TITLES}
    for _ in range(plan.rounds):
        for name, by_size in measured.items():
            asked = [(f"{name} {size}", service.port) for size, service in services.items()]
            of_runs = name.startswith(("W6", "W7", "dated"))
            seconds = client.take_turns(
                [*asked, (_BARE, bare.port)],
                most=_RUNS_REQUESTS if of_runs else plan.requests,
                seconds=_LONGEST_S,
            )
            *medians, bare_median = (median(each) * 1000 for each in seconds)
            bare_ms.append(bare_median)
            for of_size, of_round in zip(by_size.values(), medians, strict=True):
                of_size.append(of_round)
            report(1)
    return {
        "sizes": list(services),
        "bare_ms": spread_of(bare_ms),
        "workloads": {name: _compared(name, by_size) for name, by_size in measured.items()},
    }


def _compared(name: str, by_size: Mapping[int, Sequence[float]]) -> dict[str, Any]:
    """Return the latencies of a workload and their ratios to those at the smallest size, by size."""
    smallest = next(iter(by_size.values()))
    return {
        "title": TITLES[name],
        "ms": {str(size): spread_of(each) for size, each in by_size.items()},
        "ratio": {str(size): spread_of(quotients(each, smallest)) for size, each in by_size.items()},
    }
