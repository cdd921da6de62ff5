"""What is asked for, in how many different ways, and how much of the ceiling is wanted of each."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from bench.cache import Prepared
from bench.data import HISTORY_DAYS, MS_PER_DAY
from bench.documents import STATUS_WEIGHTS, WORDS, Items
from bench.load import Request
from notifhist.schemas.query import AlarmPath, CheckPath

HOST = "bench.example"
"""Sent as Host to every server, so that links in answers do not tell them apart."""
JSON, XML = "application/json", "application/xml"
RUNS_URI = "/api/v1/notifications/logs/run"
PAGE_SIZE = 250
"""What the service takes if it is not told."""
STATUSES = tuple(STATUS_WEIGHTS)
_WORDS = WORDS[:8]

TITLES = {
    "W1": "item, JSON",
    "W2": "item, XML",
    "W3": "100 items, JSON",
    "W4": "100 items, XML",
    "W5": "1000 items, JSON",
    "W5x": "1000 items, XML",
    "W6": "250 runs of a status",
    "W7": "the same, 90 % deep",
    "W8": "runs by a word",
}
FLOORS = {
    "W1": 0.33,
    "W2": 0.33,
    "W3": 0.25,
    "W4": 0.24,
    "W5": 0.20,
    "W5x": 0.14,
    "W6": 0.22,
    "W7": 0.20,
    "W8": 0.02,
}
"""Requests per second of the service, at least this part of the ceiling's."""
MOST_COSTS = {"W4/W3": 1.4, "W5x/W5": 1.9}
"""Seconds per request of the service, at most these times another workload's."""

_LISTS = {"W3": (JSON, 100, 100), "W4": (XML, 100, 100), "W5": (JSON, 1000, 12), "W5x": (XML, 1000, 12)}
"""Format, items on a page, and how many different pages."""
ITEMS_ASKED_FOR = 200
LIMITS = {1: ITEMS_ASKED_FOR} | {limit: number for _, limit, number in _LISTS.values()}
"""How many places in the history are asked for, by the number of items on the page that begins there."""

Ask = Callable[[str], Any]
"""Returns the document that the service answers at a URI."""


@dataclass(frozen=True)
class Workload:
    """URIs that are asked for in turn, all in one format."""

    name: str
    accept: str
    uris: tuple[str, ...]

    def requests(self, key: str, bodies: Mapping[str, bytes]) -> list[Request]:
        """Return the bytes to send, and the bodies that must come back, by URI."""
        return [Request(get_bytes(uri, self.accept, key), body=bodies[uri]) for uri in self.uris]


def headers(uri: str, accept: str, key: str) -> dict[str, str]:
    """Return what a client of the URI's API sends."""
    mine = {"Authorization": f"Bearer {key}"} if uri.startswith(RUNS_URI) else {"X-Auth-Token": key}
    return {"Host": HOST, "Accept": accept, **mine}


def get_bytes(uri: str, accept: str, key: str) -> bytes:
    """Return a GET as it goes over the wire."""
    return _bytes("GET", uri, headers(uri, accept, key))


def post_bytes(uri: str, key: str, body: bytes) -> bytes:
    """Return a POST of JSON as it goes over the wire."""
    about = {"Content-Type": JSON, "Content-Length": str(len(body))}
    return _bytes("POST", uri, headers(uri, JSON, key) | about) + body


def recordings(checks: Iterable[CheckPath], item_bytes: int, key: str) -> Iterator[Request]:
    """Yield a request for each check that records a new item; its id and time are the service's to fill in."""
    make = Items(random.Random(3), item_bytes)
    for check in checks:
        item = make.at(0)
        del item["id"], item["timestamp"]
        yield Request(post_bytes(check_uri(check), key, orjson.dumps(item)), status=201)


def _bytes(method: str, uri: str, fields: Mapping[str, str]) -> bytes:
    lines = [f"{method} {uri} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def workloads(prepared: Prepared, ask: Ask) -> list[Workload]:
    """Return all workloads over a data set, in the order of their names."""
    found = [Workload(name, accept, item_uris(prepared)) for name, accept in (("W1", JSON), ("W2", XML))]
    found += [
        Workload(name, accept, list_uris(prepared, limit)) for name, (accept, limit, _) in _LISTS.items()
    ]
    found += [
        Workload("W6", JSON, tuple(runs_uri(statuses=status) for status in STATUSES)),
        Workload("W7", JSON, tuple(deep_uri(ask, 0.9, statuses=status) for status in STATUSES)),
        Workload("W8", JSON, tuple(runs_uri(searchQuery=word) for word in _WORDS)),
    ]
    return found


def item_uris(prepared: Prepared) -> tuple[str, ...]:
    """Return URIs of single items."""
    return tuple(f"{check_uri(place.check)}/{place.item_id}" for place in prepared.places[1])


def list_uris(prepared: Prepared, limit: int) -> tuple[str, ...]:
    """Return URIs of pages amid the history; what is recorded later is on none of them."""
    since = prepared.now_ms - (HISTORY_DAYS + 1) * MS_PER_DAY
    return tuple(
        f"{check_uri(place.check)}?from={since}&to={prepared.now_ms}&limit={limit}&marker={place.item_id}"
        for place in prepared.places[limit]
    )


def check_uri(check: CheckPath) -> str:
    """Return the URI of a check's history; the ids of a data set need no escaping."""
    return f"{alarm_uri(check)}/{check.check_id}"


def alarm_uri(alarm: AlarmPath) -> str:
    """Return the URI of an alarm's history."""
    return f"/v1.0/{alarm.tenant}/entities/{alarm.entity_id}/alarms/{alarm.alarm_id}/notification_history"


def runs_uri(**parameters: object) -> str:
    """Return the URI of a page of runs."""
    return f"{RUNS_URI}?{'&'.join(f'{name}={value}' for name, value in parameters.items())}"


def deep_uri(ask: Ask, depth: float, **parameters: object) -> str:
    """Return the URI of the page at `depth` of all full pages, from 0 to 1."""
    full_pages = ask(runs_uri(**parameters))["total"] // PAGE_SIZE
    return runs_uri(**parameters, page=int(depth * max(0, full_pages - 1)))
