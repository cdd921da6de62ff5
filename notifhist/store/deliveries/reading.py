"""Lists of deliveries: pages, and batches of a list that is streamed. Contract: docs/contract.md, "Deliveries"."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.fields import MAX_TIMESTAMP, TICKS_PER_MS
from notifhist.schemas.item_ids import ItemKey
from notifhist.serializers.lines import BATCH, Lines
from notifhist.serializers.stored import BETWEEN_LINES, StoredForm, StoredPage, encoded
from notifhist.store.counted.ranges import Range
from notifhist.store.database import Database
from notifhist.store.deliveries.selection import MAIN, RECENT, Selection
from notifhist.store.pieces import Piece, read_pieces
from notifhist.store.time_ranges import from_marker

READ_TOGETHER = 500
"""Deliveries of a page that one statement reads."""
_MAX_BATCH_BYTES = 8 * 1024 * 1024
"""What a batch of a stream may have in memory; a longer delivery comes alone."""
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
    after = query.marker

    def read_piece(number: int, max_bytes: int | None) -> Piece | None:
        nonlocal after
        if (batch := _read(db, selection, query, within, after, number, max_bytes)) is None:
            return None
        after = batch.next_marker
        return b",".join(batch.documents), len(batch.documents), after is None

    with db.reading():
        selection = Selection(db, query)
        if not (total := selection.total(within)):
            return DeliveriesPage(StoredPage(StoredForm.JSON, ()), 0, 0, None)
        pieces, count = read_pieces(query.limit or default_limit, READ_TOGETHER, read_piece)
    return DeliveriesPage(StoredPage(StoredForm.JSON, pieces), count, total, after)


def read_batches(
    query: DeliveriesQuery, oldest_ms: int | None, connected: Callable[[], Database], together: int = BATCH
) -> Iterator[Lines]:
    """Yield the deliveries that match, up to `query.limit` if there is one, in batches of up to `together`.

    Each batch is read by one statement, from what `connected` returns then; nothing is held between two.
    """
    within = range_of(query, oldest_ms)
    after, left, number = query.marker, query.limit, together
    while left is None or left > 0:
        db = connected()
        selection = Selection(db, query, is_stream=True)
        number = min(number, number if left is None else left)
        batch = _read(db, selection, query, within, after, number, None if number == 1 else _MAX_BATCH_BYTES)
        if batch is None:
            number = max(number // 8, 1)
            continue
        if batch.documents:
            yield BETWEEN_LINES.join(batch.documents)
        if (after := batch.next_marker) is None:
            return
        left = left and left - len(batch.documents)
        number = min(number * 8, together)


class _Batch(NamedTuple):
    """Deliveries as JSON, and the id of the one after these."""

    documents: list[bytes]
    next_marker: str | None


def _read(
    db: Database,
    selection: Selection,
    query: DeliveriesQuery,
    within: Range,
    marker: str | None,
    number: int,
    max_bytes: int | None,
) -> _Batch | None:
    """Return up to `number` deliveries from a marker on; None where they may be longer than `max_bytes` together."""
    if selection.is_empty:
        return _Batch([], None)
    first = ItemKey(within.begin * TICKS_PER_MS, _MIN_CLOCK)
    last = ItemKey(within.end * TICKS_PER_MS - 1, _MAX_CLOCK)
    low, high = from_marker(first, last, marker, query.reverse)
    values = {
        **selection.values,
        "low_ticks": low.ticks,
        "low_clock": low.clock_and_node,
        "high_ticks": high.ticks,
        "high_clock": high.clock_and_node,
    }
    row = db.first_within(max_bytes, number + 1, _page_sql(db, selection, query.reverse), values)
    if row is None or row[1] != row[2]:
        return None
    documents = encoded(row[0]).split(BETWEEN_LINES) if row[0] else []
    next_marker = orjson.loads(documents.pop())["id"] if len(documents) > number else None
    return _Batch(documents, next_marker)


def _page_sql(db: Database, selection: Selection, reverse: bool) -> str:
    """Return the query for the texts of deliveries, joined, how many these are, and how many should be."""
    order = "ticks DESC, clock_and_node DESC" if reverse else "ticks, clock_and_node"
    selects = [
        f"""SELECT ticks, clock_and_node, document FROM {selection.source(table)}
            AND ticks >= :low_ticks AND ticks <= :high_ticks
            AND (ticks, clock_and_node) >= (:low_ticks, :low_clock)
            AND (ticks, clock_and_node) <= (:high_ticks, :high_clock)"""
        for table in (MAIN, RECENT)
    ]
    both = db.first_rows(selects, order, selection.is_sorted)
    text = f"SELECT {db.within_share('document')} AS text FROM ({both}) AS both_tables"
    joined = db.joined("page.text", BETWEEN_LINES.decode())
    return f"SELECT {joined}, {db.count_joined('page.text')}, count(*) FROM ({text}) AS page"
