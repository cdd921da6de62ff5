"""Items of several checks whose deliveries differ in all that can be asked for, and lists of these deliveries."""

import csv
import json
from io import StringIO
from typing import Any

from flask.testing import FlaskClient

from notifhist.schemas.document import Document
from notifhist.schemas.instants import format_instant
from tests.conftest import NOW_MS
from tests.http.helpers import IN_XML, JSON, item_at, pages_from, post

DELIVERIES = "/v1.0/123456/deliveries"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
MEMBERS = (
    *("id", "timestamp", "entity_id", "alarm_id", "check_id", "item_id", "position", "state", "previous_state"),
    *("status", "notification_plan_id", "transaction_id", "notification_id", "notification_type", "target"),
    *("outcome", "attempts", "message"),
)
"""The members of a delivery, in the order of the contract."""
ATTEMPT_MEMBERS = ("attempt", "attempt_message", "attempt_from")
"""The members that an attempt adds."""
CSV, NDJSON = "text/csv", "application/x-ndjson"
TYPES = {"json": JSON, "xml": IN_XML, "csv": "text/csv; charset=utf-8; header=present", "ndjson": NDJSON}
"""The Content-Type of each format, by its word."""
STATES = ("OK", "WARNING", "CRITICAL")
SUCCEEDED: tuple[Document, ...] = ({"success": True}, {"success": False}, {}, {"success": False, "in_progress": True})
"""What results say of how they went: sent, failed, unknown, in progress."""
OUTCOMES = ("sent", "failed", "unknown", "in_progress")
RECEIVERS: tuple[Document, ...] = (
    {"notification_id": "ntMail", "notification_type": "email", "notification_details": {"address": "ops@example.com"}},
    {"notification_id": "ntHook", "notification_type": "webhook", "notification_details": {"url": "http://hook/"}},
    {"notification_id": "ntText", "notification_type": "sms"},
    {"notification_details": {"channel": "#legacy"}},
    {},
)

Delivery = dict[str, Any]


def check_of(entity: str = "enOne", alarm: str = "alOne", check: str = "chOne", tenant: str = "/v1.0/123456") -> str:
    """Return the URL of the items of a check."""
    return f"{tenant}/entities/{entity}/alarms/{alarm}/notification_history/{check}"


def results_of(first: int, number: int) -> list[Document]:
    """Return results that differ in receiver and outcome."""
    return [
        {**RECEIVERS[n % len(RECEIVERS)], **SUCCEEDED[n % len(SUCCEEDED)], "message": f"Message {n}"}
        for n in range(first, first + number)
    ]


def seed(client: FlaskClient) -> list[Delivery]:
    """Record items of eight checks within the last two days, and return their deliveries, oldest first.

    Those of one check are recorded together, so many that they are indexed at once, the others one by one.
    """
    many = [
        item_at(
            NOW_MS - 2 * DAY + n * HOUR,
            n,
            state=STATES[n % 3],
            status=f"status {n}",
            notification_results=results_of(n, 5),
            **({"notification_plan_id": f"np{n % 4}"} if n % 5 else {}),
            **({"transaction_id": f"tx{n % 7}"} if n % 2 else {}),
        )
        for n in range(30)
    ]
    post(client, check_of(), {"values": many})
    for n in range(24):
        url = check_of(f"en{n % 2}", f"al{n % 4 // 2}", f"ch{n % 8 // 4}")
        results = [] if n % 6 == 0 else results_of(n, n % 3)
        suppressed = {"suppressions": ["spOne"]} if n % 6 == 1 else {}
        members = {"state": STATES[n % 2], "notification_plan_id": f"np{n % 3}", "status": f"one {n}", **suppressed}
        post(client, url, item_at(NOW_MS - DAY + n * 50 * MINUTE, n, notification_results=results, **members))
    return listed(client)


def listed(client: FlaskClient, query: str = "", limit: int = 1000) -> list[Delivery]:
    """Return the deliveries on the pages from the first to the last; every page says how many there are."""
    found: list[Delivery] = []
    totals = set()
    for page in pages_from(client, f"{DELIVERIES}?limit={limit}&{query}"):
        totals.add(page["metadata"]["total"])
        found += page["values"]
    assert totals == {len(found)}
    return found


def ids(deliveries: list[Delivery]) -> list[str]:
    """Return their ids."""
    return [each["id"] for each in deliveries]


def read_csv(data: bytes) -> list[dict[str, str]]:
    """Return the rows as Python reads them, by the names of the header line."""
    header, *rows = csv.reader(StringIO(data.decode(), newline=""), strict=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def read_ndjson(data: bytes) -> list[dict[str, Any]]:
    """Return the document of each line."""
    return [json.loads(line) for line in data.splitlines()]


def cells_of(document: dict[str, Any], names: tuple[str, ...] = MEMBERS) -> dict[str, str]:
    """Return the cells of a document none of whose texts begins a formula."""
    cells = {name: "" if document.get(name) is None else str(document[name]) for name in names}
    return {**cells, "timestamp": format_instant(document["timestamp"])}


def taken(client: FlaskClient, word: str, query: str = "") -> Any:
    """Return the rows or the documents that a list is in CSV or NDJSON."""
    response = client.get(f"{DELIVERIES}?format={word}&{query}")
    assert (response.status_code, response.content_type) == (200, TYPES[word]), response.text
    return (read_csv if word == "csv" else read_ndjson)(response.data)
