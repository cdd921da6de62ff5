"""Items and runs like the published examples, but varied; made cheaply, since there may be ten million."""

import random
from collections.abc import Iterator, Sequence
from itertools import count

import orjson

from notifhist.schemas.document import Document
from notifhist.schemas.fields import format_instant
from notifhist.schemas.item_ids import id_of, new_key
from notifhist.schemas.runs import FAILED_REASONS, IGNORED_REASONS, MEDIUMS, NOTIFICATION_TYPES

# fmt: off
WORDS = (
    "accounts", "analytics", "appointments", "archive", "billing", "calendar", "campaigns", "catalog",
    "certificates", "checkout", "community", "contracts", "currency", "customers", "dashboard", "delivery",
    "discounts", "dispatch", "documents", "events", "exchange", "feedback", "forecast", "gateway",
    "identity", "images", "imports", "inventory", "invoices", "journal", "ledger", "licences", "listings",
    "loyalty", "mailing", "messages", "metrics", "orders", "partners", "payments", "planning", "pricing",
    "profiles", "recommendations", "refunds", "registry", "reports", "reviews", "scheduler", "search",
    "sessions", "settlements", "shipping", "storage", "subscriptions", "suppliers", "tickets",
    "translations", "vouchers", "warehouse",
)
# fmt: on
"""Of which names are made, two each, and some messages: some per cent of all runs have any of them."""

STATES = ("OK", "WARNING", "CRITICAL")
STATUS_WEIGHTS = {
    "COMPLETED": 50,
    "FAILED": 20,
    "IGNORED": 15,
    "COMPLETED_WITH_ERRORS": 10,
    "CREATED": 5,
}
_STATUSES = tuple(STATUS_WEIGHTS)
_CUMULATIVE = tuple(sum(tuple(STATUS_WEIGHTS.values())[: n + 1]) for n in range(len(STATUS_WEIGHTS)))
_VARIANTS = 2000
_SHORT_ITEM_BYTES = 600
"""Items below are made of one result without attempts, others of results with up to ten."""

_ZONES = ("mzdfw", "mzord", "mziad", "mzlon", "mzhkg", "mzsyd", "ele")
_TYPES = ("webhook", "email", "pagerduty", "sms")
_SUCCESS = "Success: Webhook successfully executed"
_TROUBLES = (
    "ECONNREFUSED, Connection refused",
    "ETIMEDOUT, Connection timed out",
    "ENOTFOUND, getaddrinfo failed for hooks.example.com",
    'Unexpected status code "404". Expected one of: /2[0-9]{2}/',
    'Unexpected status code "503". Expected one of: /2[0-9]{2}/',
    "CERT_HAS_EXPIRED, certificate of the target expired",
    "The answer did not arrive within 10 s",
)
_ERRORS = (
    "Channel {n} was not found: it may have been renamed & closed",
    "Timed out after {n} ms while <resolving> the recipients of {word}",
    "The integration answered {n}: token revoked",
    "No owner with an address for team {n}",
)


class Items:
    """Makes items of about `item_bytes` as JSON text."""

    def __init__(self, rng: random.Random, item_bytes: int) -> None:
        self._rng = rng
        self._bodies = [_body(rng, item_bytes) for _ in range(_VARIANTS)]
        self._numbers = count(1)

    def at(self, ticks: int) -> Document:
        """Return an item of the time `ticks`, 100 ns since the epoch; its parts are shared with others."""
        key = new_key(ticks)
        body = self._rng.choice(self._bodies)
        return {
            "id": id_of(key),
            "timestamp": key.timestamp,
            "transaction_id": f"txn{next(self._numbers):012d}",
            **body,
        }


def _body(rng: random.Random, item_bytes: int) -> Document:
    """Return the members that follow id, timestamp and transaction."""
    before, state = rng.sample(STATES, 2)
    if item_bytes < _SHORT_ITEM_BYTES:
        result = {"notification_id": f"nt{rng.randrange(100)}", "success": True, "message": "Done"}
        return {"status": "matched on line 6", "state": state, "notification_results": [result] * 2}
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
        results.append(_result(rng, rng.randrange(1, 11)))
    return body


def _result(rng: random.Random, attempts: int) -> Document:
    success = attempts < 10
    tries = [{"message": rng.choice(_TROUBLES), "from": rng.choice(_ZONES)} for _ in range(attempts)]
    if success:
        tries[-1]["message"] = _SUCCESS
    return {
        "notification_id": f"nt{rng.randrange(100)}",
        "notification_type": rng.choice(_TYPES),
        "notification_details": {"url": f"https://{rng.choice(WORDS)}.example.com/notify/?a=1&b=2"},
        "in_progress": False,
        "message": _SUCCESS if success else f"Notification failed after {attempts} attempts",
        "success": success,
        "attempts": tries,
    }


def runs(rng: random.Random, number: int, first_ms: int, last_ms: int) -> Iterator[Document]:
    """Yield `number` runs as a client sends them, evenly spread from `first_ms` to `last_ms` since the epoch."""
    objects = [_object(rng, n) for n in range(2000)]
    for n in range(number):
        yield run(rng, objects, n + 1, first_ms + (last_ms - first_ms) * n // number)


def run(rng: random.Random, objects: Sequence[Document], run_id: int, created_ms: int) -> Document:
    """Return one run about some of `objects`: the members that go with its status, in published order."""
    status = rng.choices(_STATUSES, cum_weights=_CUMULATIVE)[0]
    about = rng.sample(objects, rng.randrange(1, 3)) if rng.random() < 0.8 else []
    document: Document = {
        "dateCreated": format_instant(created_ms),
        "dateUpdated": format_instant(created_ms + rng.randrange(150, 40_000)),
        "deliveredCount": rng.randrange(1, 20) if status.startswith("COMPLETED") else 0,
    }
    if status in ("FAILED", "COMPLETED_WITH_ERRORS"):
        document["errorMessage"] = rng.choice(_ERRORS).format(n=rng.randrange(10_000), word=rng.choice(WORDS))
    if status == "FAILED":
        document["failedReason"] = rng.choice(FAILED_REASONS)
    document["id"] = run_id
    if status == "IGNORED":
        document["ignoredReason"] = rng.choice(IGNORED_REASONS)
    document["medium"] = rng.choice(MEDIUMS)
    if about:
        document["notificationObjects"] = about
    document["notificationType"] = rng.choice(NOTIFICATION_TYPES)
    if status == "FAILED" and run_id > 1 and rng.random() < 0.3:
        document["originalRunId"] = rng.randrange(max(1, run_id - 50), run_id)
    document |= {"seqNo": int("originalRunId" in document), "status": status}
    if about and rng.random() < 0.4:
        document["summary"] = f"{about[0]['name']} needs your attention before the next review"
    return document


def _object(rng: random.Random, number: int) -> Document:
    kind = rng.choice(("ENTITY", "SCORECARD", "INITIATIVE"))
    name = " ".join(rng.sample(WORDS, 2)).title()
    return {
        "cid": f"en{rng.randrange(16**12):012x}",
        "id": number,
        "name": f"{name} {number}",
        "tag": name.lower().replace(" ", "-"),
        "type": kind,
        "url": f"https://app.example.com/{kind.lower()}/{number}",
    }
