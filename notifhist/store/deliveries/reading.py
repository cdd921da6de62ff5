"""Lists of deliveries: pages, and batches of a list that is streamed. Contract: docs/contract.md, "Deliveries"."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson

from notifhist.errors import AnswerTooLong
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.fields import MAX_TIMESTAMP, TICKS_PER_MS
from notifhist.schemas.item_ids import ItemKey, key_of
from notifhist.serializers.stored import BETWEEN_LINES, MAX_PAGE_BYTES, Lines, StoredForm, StoredPage, encoded
from notifhist.store.counted.ranges import Range
from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.deliveries.selection import MAIN, RECENT, Selection

STREAMED_TOGETHER = 500
"""Deliveries that one statement reads for a stream."""
_READ_TOGETHER = 100
"""As many of a page: a delivery may be some MB long, and a page of few bytes alone is answered."""
_MIN_CLOCK, _MAX_CLOCK = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class DeliveriesPage:
    """A page of deliveries, how many there are on it and in all, and the id of the first one after it."""

    deliveries: StoredPage
    count: int
    total: int
    next_marker: str | None


def range_of(query: DeliveriesQuery, oldest_ms: int | None) -> Range:
    """Return the time that a query asks for, as far as nothing has expired and an id can have it."""
    begin = min(max(query.from_ms, oldest_ms or 0, 0), MAX_TIMESTAMP + 1)
    return Range(begin, max(begin, min(query.to_ms, MAX_TIMESTAMP) + 1))


def list_deliveries(
    db: Database, query: DeliveriesQuery, oldest_ms: int | None, default_limit: int = 50
) -> DeliveriesPage:
    """Return one page of a tenant's deliveries, oldest first unless `query.reverse`, and the exact total.

    With up to two filters that are counted, the cost does not grow with the number of deliveries. Raises AnswerTooLong.
    """
    within = range_of(query, oldest_ms)
    limit = query.limit or default_limit
    pieces: list[bytes] = []
    size = 0
    with db.reading():
        selection = Selection(db, query)
        total = selection.total(within)
        after: str | None = query.marker
        count = 0
        while total and count < limit:
            documents, after = _read(db, selection, query, within, after, min(limit - count, _READ_TOGETHER))
            pieces += documents
            count += len(documents)
            size += sum(map(len, documents))
            if size > MAX_PAGE_BYTES and count > 1:
                raise AnswerTooLong(MAX_PAGE_BYTES)
            if after is None:
                break
        else:
            after = after if total else None
    joined = [b",".join(pieces)] if pieces else []
    return DeliveriesPage(StoredPage(StoredForm.JSON, joined), count, total, after)


def read_batches(
    query: DeliveriesQuery, oldest_ms: int | None, connected: Callable[[], Database], together: int = STREAMED_TOGETHER
) -> Iterator[Lines]:
    """Yield the deliveries that match, up to `query.limit` if there is one, in batches of `together`.

    Each batch is read by one statement, from what `connected` returns then; nothing is held between two.
    """
    within = range_of(query, oldest_ms)
    after, left = query.marker, query.limit
    while left is None or left > 0:
        db = connected()
        selection = Selection(db, query, is_stream=True)
        documents, after = _read(db, selection, query, within, after, min(left or together, together))
        if documents:
            yield BETWEEN_LINES.join(documents)
        if after is None:
            return
        left = left and left - len(documents)


def _read(
    db: Database, selection: Selection, query: DeliveriesQuery, within: Range, marker: str | None, limit: int
) -> tuple[list[bytes], str | None]:
    """Return up to `limit` deliveries from a marker on, as JSON, and the id of the one after these."""
    if selection.is_empty:
        return [], None
    low = ItemKey(within.begin * TICKS_PER_MS, _MIN_CLOCK)
    high = ItemKey(within.end * TICKS_PER_MS - 1, _MAX_CLOCK)
    if marker is not None:
        key = key_of(marker)
        low, high = (low, min(high, key)) if query.reverse else (max(low, key), high)
    order = "ticks DESC, clock_and_node DESC" if query.reverse else "ticks, clock_and_node"
    of = " UNION ALL ".join(
        f"""SELECT * FROM (SELECT ticks, clock_and_node, document FROM {selection.source(table)}
            AND ticks >= :low_ticks AND ticks <= :high_ticks
            AND (ticks, clock_and_node) >= (:low_ticks, :low_clock)
            AND (ticks, clock_and_node) <= (:high_ticks, :high_clock)
            ORDER BY {order} LIMIT :limit) AS {table}"""
        for table in (MAIN, RECENT)
    )
    found = rows(
        db,
        f"SELECT document FROM ({of}) AS page ORDER BY {order} LIMIT :limit",
        low_ticks=low.ticks,
        low_clock=low.clock_and_node,
        high_ticks=high.ticks,
        high_clock=high.clock_and_node,
        limit=limit + 1,
        **selection.values,
    )
    documents = [encoded(document) for (document,) in found]
    if len(documents) <= limit:
        return documents, None
    return documents[:limit], orjson.loads(documents[limit])["id"]
