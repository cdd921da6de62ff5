"""What a data set holds, where in it to ask, and how it gets into databases: as NDJSON that each service loads."""

import random
import time
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import orjson

from bench.documents import Items
from bench.documents import runs as make_runs
from bench.servers import Service
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import AlarmPath, CheckPath

TENANT = "bench"
MS_PER_DAY = 86_400_000
BIG_ALARM = AlarmPath(TENANT, "enBig", "alBig")
HISTORY_DAYS = 25
"""Over how many days items are spread; a service keeps 30, so a data set serves for some days."""
RUN_DAYS = 365
PLACES = {1: 200, 100: 100, 1000: 16}
"""At how many places of a history to ask, at most, by the number of items on the page that begins there."""
_SLICES = 5
"""In how many parts the days go by: in each, every check gets its items, so that the series interleave."""
_LINES_OF_A_FILE = 200_000


class Stored(NamedTuple):
    """When a data set was stored, ms since the epoch, and URIs of items in it, see PLACES."""

    now_ms: int
    places: dict[int, list[str]]


def alarm_uri(alarm: AlarmPath) -> str:
    """Return the URI of an alarm's history; the ids of a data set need no escaping."""
    return f"/v1.0/{alarm.tenant}/entities/{alarm.entity_id}/alarms/{alarm.alarm_id}/notification_history"


def series_of(items: int) -> dict[CheckPath, int]:
    """Return the checks of a history, and how many items each has, such that only what grows in real life grows.

    Four fifths of the items are in checks of 2000 items, of which there are more and more; one fifth is in the four
    checks of BIG_ALARM, which become longer and longer. So each page that is asked for is as full at every size.
    """
    big = items // 20
    rest = items - 4 * big
    checks = max(1, round(rest / 2000))
    series = {CheckPath(**vars(BIG_ALARM), check_id=f"chBig{n}"): big for n in range(4)}
    for n in range(checks):
        check = CheckPath(TENANT, f"en{n // 4:05d}", f"al{n // 2:05d}", f"ch{n:05d}")
        series[check] = rest * (n + 1) // checks - rest * n // checks
    return series


def item_lines(items: int, item_bytes: int, first_ms: int, last_ms: int, stored: Stored) -> Iterator[bytes]:
    """Yield items as lines that `notifhist load` reads, each series evenly spread over the time.

    On the way it takes down places in `stored`, evenly spread over all items. At each a full page begins that is
    not the last of its series, if that is long enough.
    """
    rng = random.Random(1)
    make = Items(rng, item_bytes)
    series = series_of(items)
    made = 0
    for part in range(_SLICES):
        for check, length in series.items():
            for position in range(length * part // _SLICES, length * (part + 1) // _SLICES):
                ms = first_ms + (position + rng.random()) * (last_ms - first_ms) / length
                item = make.at(int(ms * TICKS_PER_MS))
                for limit, places in stored.places.items():
                    if made * PLACES[limit] >= len(places) * items and position <= max(0, length - limit - 1):
                        places.append(f"{alarm_uri(check)}/{check.check_id}/{item['id']}")
                made += 1
                yield orjson.dumps({**vars(check), "item": item}) + b"\n"


def store(services: Sequence[Service], folder: Path, *, items: int, item_bytes: int, runs: int) -> Stored:
    """Make each service's database hold the same items and runs, and nothing else; see `fill`."""
    now_ms = time.time_ns() // 1_000_000
    stored = Stored(now_ms, {limit: [] for limit in PLACES})
    lines = item_lines(items, item_bytes, now_ms - HISTORY_DAYS * MS_PER_DAY, now_ms, stored)
    some_runs = make_runs(random.Random(2), runs, now_ms - RUN_DAYS * MS_PER_DAY, now_ms)
    run_lines = (orjson.dumps({"tenant": TENANT, "run": run}) + b"\n" for run in some_runs)
    fill(services, chain(lines, run_lines), folder)
    return stored


def fill(services: Sequence[Service], lines: Iterator[bytes], folder: Path) -> None:
    """Make each service's database hold these records, and nothing else; they go by way of a file in `folder`."""
    for service in services:
        service.database.clear()
    file = folder / "lines.ndjson"
    while some := list(islice(lines, _LINES_OF_A_FILE)):
        file.write_bytes(b"".join(some))
        for service in services:
            service.load(file)
    for service in services:
        service.database.settle()
