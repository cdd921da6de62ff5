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
from notifhist.serializers.lines import documents_in
from notifhist.store.counted.ranges import Range
from notifhist.store.database import Database
from notifhist.store.deliveries import reading, summaries
from tests.property.deliveries import RECEIVER, Model, counted, receivers


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
        batches = reading.read_batches(replace(query, limit=wanted), oldest_ms, lambda: db, 3)
        streamed = [document for batch in batches for document in documents_in(batch)]
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
