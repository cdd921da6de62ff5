"""Items and runs like the published examples, but varied; made cheaply, since there may be ten million."""

import random
import tomllib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import orjson

from notifhist.schemas.document import Document
from notifhist.schemas.instants import format_instant
from notifhist.schemas.item_ids import id_of, new_key
from notifhist.schemas.runs import MEDIUMS, NOTIFICATION_TYPES, OBJECT_TYPES

TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
WORDS: list[str] = TABLES["words"]
STATES = ("OK", "WARNING", "CRITICAL")
RECEIVERS = 100
_VARIANTS = 2000
_SHORT_ITEM_BYTES = 600
"""Items below are made of two results without attempts, others of results with up to ten."""


class Items:
    """Makes items of about `item_bytes` as JSON text."""

    def __init__(self, rng: random.Random, item_bytes: int) -> None:
        self._rng = rng
        self._bodies = [_body(rng, item_bytes) for _ in range(_VARIANTS)]
        self._numbers = count(1)

    def at(self, ticks: int) -> Document:
        """Return an item of the time `ticks`, 100 ns since the epoch; its parts are shared with others."""
        return identity(ticks, next(self._numbers)) | self._rng.choice(self._bodies)


def identity(ticks: int, number: int) -> Document:
    """Return the id, time and transaction of an item."""
    key = new_key(ticks)
    return {"id": id_of(key), "timestamp": key.timestamp, "transaction_id": f"txn{number:012d}"}


def _body(rng: random.Random, item_bytes: int) -> Document:
    """Return the members that follow id, timestamp and transaction."""
    before, state = rng.sample(STATES, 2)
    if item_bytes < _SHORT_ITEM_BYTES:
        done = {"notification_id": f"nt{rng.randrange(RECEIVERS):02d}", "success": True, "message": "Done"}
        return {"status": "matched on line 6", "state": state, "notification_results": [done] * 2}
    results: list[Document] = []
    body = {
        "notification_plan_id": f"np{rng.randrange(50)}",
        "status": f"matched return statement on line {rng.randrange(1, 30)}",
        "state": state,
        "previous_state": before,
        "notification_results": results,
    }
    wanted = item_bytes * rng.uniform(0.6, 1.0) - 105  # what `Items.at` puts before
    while len(orjson.dumps(body)) < wanted:
        attempts = rng.randrange(1, 11)
        results.append(result(rng, rng.randrange(RECEIVERS), attempts, success=attempts < 10))
    return body


def result(rng: random.Random, receiver: int, attempts: int, success: bool) -> Document:
    """Return a result of the receiver of this number, below RECEIVERS; `success` is that of its last attempt."""
    types = TABLES["notification_types"]
    tried = [{"message": rng.choice(TABLES["troubles"]), "from": rng.choice(TABLES["zones"])} for _ in range(attempts)]
    if success:
        tried[-1]["message"] = TABLES["success"]
    return {
        "notification_id": f"nt{receiver:02d}",
        "notification_type": types[receiver % len(types)],
        "notification_details": {"url": f"https://{WORDS[receiver % len(WORDS)]}.example.com/notify/?a=1&b=2"},
        "in_progress": False,
        "message": TABLES["success"] if success else f"Notification failed after {attempts} attempts",
        "success": success,
        "attempts": tried,
    }


def runs(rng: random.Random, number: int, first_ms: int, last_ms: int) -> Iterator[Document]:
    """Yield `number` runs as a client sends them, evenly spread from `first_ms` to `last_ms` since the epoch."""
    objects = [_object(rng, n) for n in range(2000)]
    outcomes = [row for row in TABLES["outcomes"] for _ in range(row["share"])]
    for n in range(number):
        created_ms = first_ms + (last_ms - first_ms) * n // number
        run = {
            "id": n + 1,
            "dateCreated": format_instant(created_ms),
            "dateUpdated": format_instant(created_ms + rng.randrange(150, 40_000)),
            "deliveredCount": 0,
            "medium": rng.choice(MEDIUMS),
            "notificationType": rng.choice(NOTIFICATION_TYPES),
            "seqNo": 0,
            **rng.choice(outcomes),
        }
        del run["share"]
        if run["status"] in ("FAILED", "COMPLETED_WITH_ERRORS"):
            error = rng.choice(TABLES["errors"])
            run["errorMessage"] = error.format(n=rng.randrange(10_000), word=rng.choice(WORDS))
        if n and run["status"] == "FAILED" and rng.random() < 0.3:
            run |= {"originalRunId": rng.randrange(max(1, n - 50), n + 1), "seqNo": 1}
        if rng.random() < 0.8:
            run["notificationObjects"] = rng.sample(objects, rng.randrange(1, 3))
            if rng.random() < 0.4:
                run["summary"] = TABLES["summary"].format_map(run["notificationObjects"][0])
        yield run


def _object(rng: random.Random, number: int) -> Document:
    kind, name = rng.choice(OBJECT_TYPES), " ".join(rng.sample(WORDS, 2)).title()
    return {
        "cid": f"en{rng.randrange(16**12):012x}",
        "id": number,
        "name": f"{name} {number}",
        "tag": name.lower().replace(" ", "-"),
        "type": kind,
        "url": f"https://app.example.com/{kind.lower()}/{number}",
    }
