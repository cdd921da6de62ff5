"""What the store says of the deliveries, compared with the model: pages, streams, sums, and every row."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import orjson
from hypothesis import note

from notifhist.schemas.delivery_queries import COUNTED_BY, DeliveriesQuery
from notifhist.schemas.document import Document
from notifhist.store.counted.ranges import Range
from notifhist.store.database import Database, SqliteDatabase
from notifhist.store.database.sql import rows
from notifhist.store.deliveries import reading, summaries
from notifhist.store.deliveries.derive import deliveries_of
from notifhist.store.deliveries.names import names_of
from notifhist.store.deliveries.table import NAMED
from notifhist.store.tenants import find_tenant
from tests.property.deliveries import RECEIVER, Model, counted, receivers

_COLUMNS = (
    *("ticks", "clock_and_node", "log_clock_and_node", "is_change", "is_suppressed", "outcome"),
    *("transaction_hash", "search_text", "document"),
    *(each.column for each in NAMED),
)


def assert_answered(db: Database, model: Model, query: DeliveriesQuery, oldest_ms: int | None, pages: int = 3) -> None:
    """Compare the first pages from the query's marker on, and two streams: of all, and of as many as the limit."""
    found = behind = model.found(query, oldest_ms)
    if query.marker is not None:
        place = uuid.UUID(query.marker).time, query.marker
        behind = [each for each in found if each.place == place or (each.place < place) == query.reverse]
    documents, limit, marker = [each.document for each in behind], query.limit or 0, query.marker
    for start in range(0, min(len(documents), pages * limit) or 1, limit):
        page = reading.list_deliveries(db, replace(query, marker=marker), oldest_ms)
        note(f"{query} from {marker}: {page.total} of {len(found)}")
        assert page.total == len(found)
        listed = orjson.loads(b"[%b]" % b",".join(page.deliveries.pieces))
        assert in_order(listed) == in_order(documents[start : start + limit])
        following = documents[start + limit :]
        marker = following[0]["id"] if following else None
        assert (page.count, page.next_marker) == (len(listed), marker)
    for wanted in (None, limit):
        batches = reading.read_batches(db, replace(query, limit=wanted), oldest_ms)
        streamed = [orjson.loads(each) for batch in batches for each in batch]
        assert in_order(streamed) == in_order(documents[:wanted])


def in_order(documents: Sequence[Document]) -> list[list[tuple[str, Any]]]:
    """Return documents such that those are equal whose members are in the same order too."""
    return [list(each.items()) for each in documents]


def assert_summed_up(
    db: Database, model: Model, query: DeliveriesQuery, oldest_ms: int | None, edges: Sequence[int]
) -> None:
    """Compare counts by time, in buckets between these edges, and the receivers."""
    found = model.found(query, oldest_ms)
    buckets = [Range(*each) for each in pairwise(sorted(edges))]
    for by in COUNTED_BY:
        sums = summaries.count_deliveries(db, query, oldest_ms, summaries.COUNTED_BY[by], buckets)
        assert sums == counted(found, by, buckets)
    listed = summaries.list_receivers(db, query, oldest_ms)
    expected = receivers(found)
    assert {(*(each.get(name) for name in RECEIVER),): each for each in listed} == expected
    assert len(listed) == len(expected)
    ranks = [(-each["counts"].get("failed", 0), -each.get("last_failure", 0)) for each in listed]
    assert ranks == sorted(ranks)


def assert_every_row_is_right(db: Database, model: Model, tenant: str) -> None:
    """Compare all rows with those of the model's items, and what is remembered and searched with the rows."""
    tenant_id = find_tenant(db, tenant) or 0
    stored = []
    for table in ("delivery", "delivery_recent"):
        select = f"SELECT {', '.join(_COLUMNS)} FROM {table} WHERE tenant_id = :tenant_id"
        stored += rows(db, select, tenant_id=tenant_id)
    names: dict[int, dict[int | None, str | None]] = {}
    for n, each in enumerate(NAMED, start=-len(NAMED)):
        codes = {row[n] for row in stored} - {None}
        names[n] = dict([(None, None), *names_of(db, tenant_id, each, codes).items()])
    named = [(*row[: -len(NAMED)], *(names[n][row[n]] for n in range(-len(NAMED), 0))) for row in stored]
    expected = [
        (
            *(expect.place[0] - _EPOCH, each.clock_and_node, each.log_clock_and_node),
            *(int(each.is_change), int(each.is_suppressed), each.outcome),
            *(each.transaction_hash, each.search_text, each.document, *each.names),
        )
        for (check, item_id), item in model.items.items()
        if check.tenant == tenant
        for each, expect in zip(deliveries_of(check, item), model.deliveries[check, item_id], strict=True)
    ]
    assert sorted(named, key=repr) == sorted(expected, key=repr)
    known = {
        (column, orjson.loads(name)): code
        for column, name, code in rows(
            db, "SELECT column_name, name, code FROM delivery_name WHERE tenant_id = :tenant_id", tenant_id=tenant_id
        )
    }
    remembered = {key[1]: code for key, code in db.remembered.items() if key[0] == tenant_id}
    assert remembered.items() <= known.items()
    if isinstance(db, SqliteDatabase):
        # The index has an entry for each row, and none else; so each text has been taken out with its row.
        indexed = rows(db, "SELECT id FROM delivery_search_docsize ORDER BY id")
        assert indexed == rows(db, "SELECT number FROM delivery ORDER BY number")


_EPOCH = 0x01B21DD213814000
"""The Unix epoch in the ticks of UUIDs."""
