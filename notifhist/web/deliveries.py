"""Deliveries: what was sent to whom, across all alarms. Contract: docs/contract.md, "Deliveries"."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import Response, request
from marshmallow import Schema

from notifhist.auth import OBSERVER
from notifhist.errors import BadRequest, name_problems
from notifhist.schemas.deliveries import COUNTS, DELIVERIES_PAGE, DELIVERY, DELIVERY_ATTEMPT, RECEIVERS
from notifhist.schemas.delivery_queries import (
    COUNTS_QUERY,
    DELIVERIES_QUERY,
    DELIVERY_FILTERS,
    INTERVALS_MS,
    DeliveriesQuery,
)
from notifhist.schemas.document import Document
from notifhist.schemas.fields import MAX_TIMESTAMP
from notifhist.schemas.instants import format_instant
from notifhist.serializers.formats import TO_TAKE_AWAY
from notifhist.store.counted.ranges import Range
from notifhist.store.deliveries import reading, summaries
from notifhist.store.deliveries.attempts import read_attempts
from notifhist.web.apis import HISTORY
from notifhist.web.context import caller, current_service, readable_db
from notifhist.web.declarations import View
from notifhist.web.params import deliveries_query
from notifhist.web.responses import can_stream, name_file, page_metadata, respond, respond_stream

_DELIVERIES = "/deliveries"
_MOST_BUCKETS, _USUAL_BUCKETS = 200, 60


@View(
    *(HISTORY, "GET", _DELIVERIES, "List deliveries of all alarms", OBSERVER, (DELIVERIES_PAGE,)),
    description="CSV and NDJSON have all that match, unless `limit` is given.",
    query=DELIVERIES_QUERY,
    offers=TO_TAKE_AWAY,
    format_parameter=True,
    may_bear=("Content-Disposition",),
)
def list_deliveries() -> Response:
    """Answer a page of deliveries, or stream all that match."""
    service = current_service()
    query, others = _query(DELIVERIES_QUERY)
    if can_stream():
        return deliveries_file(query, others)
    limit = query.limit or service.settings.default_limit
    page = reading.list_deliveries(readable_db(), query, service.oldest_ms(), limit)
    metadata = page_metadata(page.count, limit, request.args.get("marker"), page.next_marker)
    return respond({"values": page.deliveries, "metadata": {**metadata, "total": page.total}}, DELIVERIES_PAGE)


@View(
    *(HISTORY, "GET", f"{_DELIVERIES}/counts", "Count deliveries by time", OBSERVER, (COUNTS,)),
    description=f"By outcome, if `by` is not given. More than {_MOST_BUCKETS} buckets are 400.",
    query=COUNTS_QUERY,
)
def count_deliveries() -> Response:
    """Answer how many deliveries there are of each name, in each bucket of time."""
    query, others = _query(COUNTS_QUERY)
    return respond({"values": counts_by_time(query, others.get("by", "outcome"), others.get("interval"))}, COUNTS)


@View(
    *(HISTORY, "GET", f"{_DELIVERIES}/receivers", "List the receivers of deliveries", OBSERVER, (RECEIVERS,)),
    description=f"Those with most failures first, then those that failed last: {summaries.MAX_RECEIVERS} at most.",
    query=DELIVERY_FILTERS,
)
def list_receivers() -> Response:
    """Answer the receivers of deliveries, and how often each was reached."""
    query, _ = _query(DELIVERY_FILTERS)
    receivers = summaries.list_receivers(readable_db(), query, current_service().oldest_ms())
    return respond({"values": receivers}, RECEIVERS)


def _query(schema: Schema) -> tuple[DeliveriesQuery, dict[str, Any]]:
    service = current_service()
    return deliveries_query(schema, caller().tenant, request.args, service.settings, service.clock)


def deliveries_file(query: DeliveriesQuery, others: Mapping[str, Any]) -> Response:
    """Return all deliveries of a query as a file, streamed; `others` may say that its rows are attempts."""
    by_attempts = others.get("rows") == "attempts"
    read, schema = (read_attempts, DELIVERY_ATTEMPT) if by_attempts else (reading.read_batches, DELIVERY)
    batches = partial(read, query, current_service().oldest_ms())
    return name_file(respond_stream(batches, schema), _file_name(query))


def _file_name(query: DeliveriesQuery) -> str:
    """Return a name that says which time a file is about, such as `deliveries-20111103T010000Z-20111110T010000Z`."""
    times = (format_instant(min(max(ms, 0), MAX_TIMESTAMP)) for ms in (query.from_ms, query.to_ms))
    return "-".join(["deliveries", *(re.sub(r"[-:]|\.\d+", "", time) for time in times)])


def counts_by_time(query: DeliveriesQuery, by: str, interval: str | None) -> list[Document]:
    """Return how many deliveries there are in each bucket of time: `from` and `to` (ms, inclusive), and `counts`."""
    buckets, by_name = _buckets_of(query, interval), summaries.COUNTED_BY[by]
    counts = summaries.count_deliveries(readable_db(), query, current_service().oldest_ms(), by_name, buckets)
    return [
        {"from": bucket.begin, "to": bucket.end - 1, "counts": each}
        for bucket, each in zip(buckets, counts, strict=True)
    ]


def _buckets_of(query: DeliveriesQuery, interval: str | None) -> list[Range]:
    """Return the spans of time to be counted, oldest first. Raises BadRequest if they are too many."""
    first, last = query.from_ms, query.to_ms
    lengths = [INTERVALS_MS[interval]] if interval else list(INTERVALS_MS.values())
    numbers = {length: max(last // length - first // length + 1, 0) if first <= last else 0 for length in lengths}
    length = next((each for each in lengths if numbers[each] <= _USUAL_BUCKETS), lengths[-1])
    if numbers[length] > _MOST_BUCKETS:
        problem = f"There would be {numbers[length]} buckets, and {_MOST_BUCKETS} are allowed."
        raise BadRequest(details=name_problems({"interval": problem}))
    begin = first // length
    return [
        Range(max(first, n * length), min(last + 1, (n + 1) * length)) for n in range(begin, begin + numbers[length])
    ]
