"""The cost of the pages for people: CPU of the service's process alone, in one process, by Flask's test client."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
from werkzeug.test import TestResponse

from bench.data import HISTORY_DAYS, MS_PER_DAY, TENANT, fill
from bench.documents import TABLES, WORDS
from bench.report import FIGURES, figure, results
from bench.servers import Bench, Service
from notifhist.factory import create_app
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.item_ids import id_of, new_key

RESULTS_OF_AN_ITEM, RECEIVERS, FAILING = 5, 100, 10
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
        asked = {
            "JSON": lambda: client.get(f"/v1.0/{TENANT}/deliveries?{span}", headers={"X-Auth-Token": key}),
            "list": lambda: client.get("/ui/deliveries?limit=100"),
            "overview": lambda: client.get("/ui/"),
            "alarms": lambda: client.get("/ui/alarms"),
        }
        measured = [{name: _cpu_ms(ask) for name, ask in asked.items()} for _ in range(_WARM_UP + plan.rounds)]
    spent = {name: [each[name] for each in measured[_WARM_UP:]] for name in asked}
    over = [a - b for a, b in zip(spent["list"], spent["JSON"], strict=True)]
    rows = [
        figure("100 deliveries as JSON", spent["JSON"], "ms"),
        figure("the page of 100 deliveries", spent["list"], "ms"),
        figure("the page less its JSON", over, "ms", "≤ 10"),
        figure("the overview", spent["overview"], "ms", "≤ 30"),
        figure("the first 50 alarms", spent["alarms"], "ms"),
    ]
    head = f"{plan.database}, {plan.deliveries:,} deliveries, {plan.alarms:,} alarms"
    remark = f"CPU of the service's process, medians of {plan.rounds} requests; stored at {now_ms}."
    return results([{"heads": [head, *FIGURES], "rows": rows}], remark)


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
    rng, number = random.Random(5), plan.deliveries // RESULTS_OF_AN_ITEM
    for n in range(number):
        ms = now_ms - HISTORY_DAYS * MS_PER_DAY + (n + 1) * HISTORY_DAYS * MS_PER_DAY // number
        alarm = rng.randrange(plan.alarms)
        before, state = rng.choices(("OK", "WARNING", "CRITICAL"), (90, 5, 5), k=2)
        key = new_key(ms * TICKS_PER_MS - n % TICKS_PER_MS)
        item = {
            **{"id": id_of(key), "timestamp": key.timestamp, "transaction_id": f"txn{n:012d}"},
            **{"notification_plan_id": f"np{alarm % 50}", "status": f"matched on line {n % 30}"},
            **{"state": state, "previous_state": before},
            "notification_results": [
                _result(rng, each, now_ms - ms) for each in rng.sample(range(RECEIVERS), RESULTS_OF_AN_ITEM)
            ],
        }
        check = {"tenant": TENANT, "entity_id": f"en{alarm // 4:05d}", "alarm_id": f"al{alarm:05d}", "check_id": "ch"}
        yield orjson.dumps(check | {"item": item}) + b"\n"


def _result(rng: random.Random, receiver: int, age_ms: int) -> Document:
    """Return a result of a receiver, by its number."""
    types, troubles = TABLES["notification_types"], TABLES["troubles"]
    is_dead = receiver == 0 and age_ms < 3 * MS_PER_DAY
    success = not is_dead and rng.random() > (0.2 if receiver < FAILING else 0.002)
    said = TABLES["success"] if success else rng.choice(troubles)
    return {
        **{"notification_id": f"nt{receiver:02d}", "notification_type": types[receiver % len(types)]},
        "notification_details": {"url": f"https://{WORDS[receiver % len(WORDS)]}.example.com/notify/{receiver}"},
        **{"success": success, "message": said, "attempts": [{"message": said, "from": rng.choice(TABLES["zones"])}]},
    }
