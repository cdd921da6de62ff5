"""The cost of the pages for people: CPU of the service's process alone, in one process, by Flask's test client."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from operator import sub
from pathlib import Path
from typing import Any

import orjson
from werkzeug.test import TestResponse

from bench.data import HISTORY_DAYS, MS_PER_DAY, TENANT, fill
from bench.documents import RECEIVERS, STATES, identity, result
from bench.report import figure, figures, results
from bench.servers import Bench, Service
from notifhist.factory import create_app
from notifhist.schemas.fields import TICKS_PER_MS

RESULTS_OF_AN_ITEM, FAILING = 5, 10
_WARM_UP = 5
_UNLIMITED = dict.fromkeys(("HISTORY_RATE_LIMIT", "PAGES_RATE_LIMIT"), "")


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    deliveries: int = 1_000_000
    alarms: int = 2000
    rounds: int = 60
    database: str = field(default="sqlite", metadata={"help": "sqlite or postgres."})
    stored_ms: int = field(default=0, metadata={"help": "When the data that is there was stored; 0: store it anew."})


def pages(plan: Plan, cache: Path) -> dict[str, Any]:
    """Measure a page of 100 deliveries beside its JSON, and the overview, over a history of 25 days."""
    with Bench(plan.database, cache) as bench:
        service, now_ms = Service(bench.database("pages")), plan.stored_ms or time.time_ns() // 1_000_000
        if not plan.stored_ms:
            fill([service], _lines(plan, now_ms), bench.scratch)
        key = service.create_key(TENANT)
        client = create_app({"DATABASE_URL": service.database.url, "NOW": str(now_ms), **_UNLIMITED}).test_client()
        client.post("/ui/login", data={"key": key})
        span = f"from={now_ms - MS_PER_DAY}&to={now_ms}&reverse=true&limit=100"
        as_json = partial(client.get, f"/v1.0/{TENANT}/deliveries?{span}", headers={"X-Auth-Token": key})
        asked = [as_json, *(partial(client.get, f"/ui/{name}") for name in ("deliveries?limit=100", "", "alarms"))]
        rounds = [[_cpu_ms(ask) for ask in asked] for _ in range(_WARM_UP + plan.rounds)]
    json, page, overview, alarms = zip(*rounds[_WARM_UP:], strict=True)
    rows = [
        figure("100 deliveries as JSON", json, "ms"),
        figure("the page of 100 deliveries", page, "ms"),
        figure("the page less its JSON", map(sub, page, json), "ms", "≤ 10"),
        figure("the overview", overview, "ms", "≤ 30"),
        figure("the first 50 alarms", alarms, "ms"),
    ]
    head = f"{plan.database}, {plan.deliveries:,} deliveries, {plan.alarms:,} alarms"
    remark = f"CPU of the service's process, medians of {plan.rounds} requests; stored at {now_ms}."
    return results([figures(head, rows)], remark)


def _cpu_ms(ask: Callable[[], TestResponse]) -> float:
    """Return the processor time of an answer, ms. Raises RuntimeError if it is no 200."""
    begun = time.process_time()
    response = ask()
    spent = time.process_time() - begun
    if response.status_code != HTTPStatus.OK:
        raise RuntimeError(f"{response.request.path}: {response.status}")
    return spent * 1000


def _lines(plan: Plan, now_ms: int) -> Iterator[bytes]:
    """Yield items as `notifhist load` reads them, oldest first, each with RESULTS_OF_AN_ITEM deliveries.

    An alarm has one check. One state in ten is not OK. Ten receivers fail often, and one always in the last three days.
    """
    rng, number, span_ms = random.Random(5), plan.deliveries // RESULTS_OF_AN_ITEM, HISTORY_DAYS * MS_PER_DAY
    for n in range(number):
        age_ms = span_ms - (n + 1) * span_ms // number
        alarm = rng.randrange(plan.alarms)
        before, state = rng.choices(STATES, (90, 5, 5), k=2)
        receivers = rng.sample(range(RECEIVERS), RESULTS_OF_AN_ITEM)
        item = identity((now_ms - age_ms) * TICKS_PER_MS - n % TICKS_PER_MS, n) | {
            **{"notification_plan_id": f"np{alarm % 50}", "status": f"matched on line {n % 30}"},
            **{"state": state, "previous_state": before},
            "notification_results": [result(rng, each, 1, _arrives(rng, each, age_ms)) for each in receivers],
        }
        check = {"tenant": TENANT, "entity_id": f"en{alarm // 4:05d}", "alarm_id": f"al{alarm:05d}", "check_id": "ch"}
        yield orjson.dumps(check | {"item": item}) + b"\n"


def _arrives(rng: random.Random, receiver: int, age_ms: int) -> bool:
    is_dead = receiver == 0 and age_ms < 3 * MS_PER_DAY
    return not is_dead and rng.random() > (0.2 if receiver < FAILING else 0.002)
