"""What is asked for, in how many different ways, and what may be wanted of each beside other servers."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from urllib.parse import urlencode

import orjson

from bench.data import BIG_ALARM, HISTORY_DAYS, MS_PER_DAY, RUN_DAYS, TENANT, Stored, alarm_uri
from bench.documents import STATES, WORDS, Items
from bench.load_generator import Request, Server
from notifhist.schemas.instants import format_instant
from notifhist.schemas.runs import MEDIUMS, NOTIFICATION_TYPES, STATUSES

JSON, XML = "application/json", "application/xml"
RUNS_URI = "/api/v1/notifications/logs/run"
PAGE_SIZE = 250
"""Runs on a page, unless told."""

Ask = Callable[[str], bytes]
"""Returns what the service answers at a URI, as JSON."""
Uris = Callable[[Stored, Ask], Sequence[str]]


@dataclass(frozen=True)
class Workload:
    """URIs over a data set that are asked for in turn, all in one format."""

    title: str
    uris: Uris
    accept: str = JSON
    cpu: str = ""
    """What is wanted of the processor time of a request to the service, divided by that of a Flask view."""
    rate: str = ""
    """What is wanted of the service's requests per second, divided by a bare server's."""


def _pages(limit: int) -> Uris:
    """Return URIs of pages amid the history; what is recorded later is on none of them."""

    def uris(stored: Stored, ask: Ask) -> Sequence[str]:
        span = f"from={stored.now_ms - (HISTORY_DAYS + 1) * MS_PER_DAY}&to={stored.now_ms}&limit={limit}"
        places = (uri.rpartition("/") for uri in stored.places[limit])
        return [f"{check}?{span}&marker={item_id}" for check, _, item_id in places]

    return uris


def _runs(depth: float = 0, *, dated: bool = False, **choices: Sequence[str]) -> Uris:
    """Return URIs of pages of runs, for each combination of `choices`: at `depth` of all full pages, from 0 to 1.

    `dated`: of the middle half of the time alone.
    """

    def uris(stored: Stored, ask: Ask) -> Sequence[str]:
        first, last = (format_instant(stored.now_ms - RUN_DAYS * MS_PER_DAY * n // 4) for n in (3, 1))
        found = []
        for query in _queries(choices | ({"fromDate": [first], "untilDate": [last]} if dated else {})):
            uri = f"{RUNS_URI}?{query}"
            full_pages = orjson.loads(ask(uri))["total"] // PAGE_SIZE if depth else 0
            found.append(f"{uri}&page={int(depth * max(0, full_pages - 1))}")
        return found

    return uris


def _deliveries(path: str = "", days: int = HISTORY_DAYS + 1, **choices: Sequence[str]) -> Uris:
    """Return URIs of deliveries of the last `days`, for each combination of `choices`."""

    def uris(stored: Stored, ask: Ask) -> Sequence[str]:
        span = {"from": [str(stored.now_ms - days * MS_PER_DAY)], "to": [str(stored.now_ms)]}
        return [f"/v1.0/{TENANT}/deliveries{path}?{query}" for query in _queries(span | choices)]

    return uris


def _queries(choices: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the query string of each combination of `choices`."""
    return [urlencode(dict(zip(choices, values, strict=True))) for values in product(*choices.values())]


RUN = {
    "W1": Workload("item, JSON", lambda stored, ask: stored.places[1], JSON, "≤ 1.25", "≥ 0.45"),
    "W2": Workload("item, XML", lambda stored, ask: stored.places[1], XML, "≤ 1.25", "≥ 0.45"),
    "W3": Workload("100 items, JSON", _pages(100), JSON, "≤ 1.5", "≥ 0.5"),
    "W4": Workload("100 items, XML", _pages(100), XML, "≤ 1.7", "≥ 0.45"),
    "W5": Workload("1000 items, JSON", _pages(1000), JSON, "≤ 2.5", "≥ 0.25"),
    "W5x": Workload("1000 items, XML", _pages(1000), XML, "≤ 2.5", "≥ 0.25"),
    "W6": Workload("250 runs of a status", _runs(statuses=STATUSES), JSON, "≤ 1.6", "≥ 0.4"),
    "W7": Workload("the same, 90 % deep", _runs(0.9, statuses=STATUSES), JSON, "≤ 1.9", "≥ 0.35"),
    "W8": Workload("runs by a word", _runs(searchQuery=WORDS[:8]), JSON),
}
COSTS = {"W4/W3": "≤ 1.4", "W5x/W5": "≤ 1.9"}
"""What is wanted of the service's seconds per request, divided by another workload's."""

_FOUR = ("COMPLETED", "FAILED", "IGNORED", "COMPLETED_WITH_ERRORS")
"""Statuses of which the smallest size has some full pages."""
SCALE = {name: RUN[name] for name in ("W1", "W2", "W3", "W4")} | {
    "discovery": Workload("checks of the alarm with a fifth of all items", lambda stored, ask: [alarm_uri(BIG_ALARM)]),
    "W6": Workload("250 runs of a status", _runs(statuses=_FOUR)),
    "W7": Workload("the same, 90 % deep", _runs(0.9, statuses=_FOUR)),
    "W7b": Workload("status and medium, 50 % deep", _runs(0.5, statuses=_FOUR[:2], mediums=MEDIUMS)),
    "W6t": Workload("250 runs of a type", _runs(notificationTypes=NOTIFICATION_TYPES[:12])),
    "deliveries": Workload("50 deliveries of a state, with the exact total", _deliveries(state=STATES)),
    "delivered": Workload(
        "50 deliveries to a receiver in a state", _deliveries(notification_id=("nt01", "nt02", "nt03"), state=STATES)
    ),
    "counts": Workload("deliveries of the whole time, counted by outcome", _deliveries("/counts", by=("outcome",))),
    "receivers": Workload("the receivers of a day", _deliveries("/receivers", days=1)),
    "dated": Workload("a status within half of the time, 50 % deep", _runs(0.5, dated=True, statuses=_FOUR)),
}


def get(uri: str, accept: str, key: str) -> Request:
    """Return a GET."""
    return Request(_head("GET", uri, accept, key), asked=(uri, accept))


def _head(method: str, uri: str, accept: str, key: str, **more: object) -> bytes:
    """Return the head of a request to the URI's API; every server sees the same host, and so links to the same."""
    mine = {"Authorization": f"Bearer {key}"} if uri.startswith(RUNS_URI) else {"X-Auth-Token": key}
    fields = {"Host": "bench.example", "Accept": accept, **mine, **more}
    lines = [f"{method} {uri} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def gets(kinds: Mapping[str, Workload], stored: Stored, server: Server, key: str) -> dict[str, list[Request]]:
    """Return the requests of each workload, which must bring what `server` answers now."""
    found = {}
    for name, each in kinds.items():
        uris = each.uris(stored, lambda uri: server.ask(get(uri, JSON, key)))
        requests = (get(uri, each.accept, key) for uri in uris)
        found[name] = [request._replace(body=server.ask(request)) for request in requests]
    return found


def posts(checks: Sequence[str], item_bytes: int, key: str) -> list[Request]:
    """Return a request for the URI of each check that records an item; id and time are the service's to fill in."""
    make, found = Items(random.Random(3), item_bytes), []
    for uri in checks:
        item = make.at(0)
        del item["id"], item["timestamp"]
        body = orjson.dumps(item)
        about = {"Content-Type": JSON, "Content-Length": len(body)}
        found.append(Request(_head("POST", uri, JSON, key, **about) + body, status=201))
    return found
