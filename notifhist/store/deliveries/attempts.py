"""The attempts of deliveries, which stand in the items: a stream of deliveries with a row for each attempt."""

from collections.abc import Callable, Iterable, Iterator

import orjson

from notifhist.errors import NotFound
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.document import Document
from notifhist.schemas.query import CheckPath
from notifhist.serializers.lines import BATCH, Lines, documents_in
from notifhist.serializers.stored import BETWEEN_LINES
from notifhist.store.database import Database
from notifhist.store.deliveries.reading import read_batches
from notifhist.store.history.reading import get_item

_BATCH_BYTES = 1024 * 1024
_TOGETHER = 100
"""Deliveries that are read together, and then their items one by one."""


def read_attempts(query: DeliveriesQuery, oldest_ms: int | None, connected: Callable[[], Database]) -> Iterator[Lines]:
    """Yield, in batches, each attempt of the deliveries that match; a delivery without attempts is yielded itself.

    The attempts are those that an item has when it is read, a moment after its deliveries.
    """
    for lines in read_batches(query, oldest_ms, connected, _TOGETHER):
        yield from _in_batches(map(orjson.dumps, _rows_of(connected(), query.tenant, documents_in(lines))))


def _in_batches(rows: Iterable[bytes]) -> Iterator[Lines]:
    """Yield rows in batches that are short, however many attempts a long delivery has: each row repeats it."""
    batch: list[bytes] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row)
        if len(batch) == BATCH or size >= _BATCH_BYTES:
            yield BETWEEN_LINES.join(batch)
            batch, size = [], 0
    if batch:
        yield BETWEEN_LINES.join(batch)


def _rows_of(db: Database, tenant: str, deliveries: list[Document]) -> Iterator[Document]:
    place: tuple[str, ...] = ()
    item: Document = {}
    for delivery in deliveries:
        its_place = tuple(delivery[name] for name in ("entity_id", "alarm_id", "check_id", "item_id"))
        if delivery["attempts"] and place != its_place:
            place, item = its_place, _item_at(db, tenant, its_place)
        attempts = _attempts_of(item, delivery["position"]) if delivery["attempts"] else []
        for n, attempt in enumerate(attempts, start=1):
            tried = {"attempt_message": attempt.get("message"), "attempt_from": attempt.get("from")}
            yield {**delivery, "attempt": n, **{name: value for name, value in tried.items() if value is not None}}
        if not attempts:
            yield delivery


def _item_at(db: Database, tenant: str, place: tuple[str, ...]) -> Document:
    *check, item_id = place
    try:
        item: Document = orjson.loads(get_item(db, CheckPath(tenant, *check), item_id, None).text)
    except NotFound:  # it has been deleted since
        return {}
    return item


def _attempts_of(item: Document, position: int) -> list[Document]:
    results = item.get("notification_results", [])
    attempts: list[Document] = results[position].get("attempts") or [] if position < len(results) else []
    return attempts
