"""Sums over deliveries: counts by time, and receivers. Contract: docs/contract.md, "Deliveries"."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from notifhist.schemas.deliveries import FAILED, OUTCOMES
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.counted.ranges import Range
from notifhist.store.counted.table import Filter
from notifhist.store.database import Database
from notifhist.store.database.sql import Row, rows
from notifhist.store.deliveries.names import names_of
from notifhist.store.deliveries.reading import range_of
from notifhist.store.deliveries.selection import MAIN, RECENT, Selection
from notifhist.store.deliveries.table import NAMED, OUTCOME, RECEIVER

NOBODY = "(none)"
"""What has no name counts as this."""
MAX_RECEIVERS = 1000
_ALWAYS_NAMED = ("outcome", "state")
COUNTED_BY: Mapping[str, Filter] = {each.column: each for each in (OUTCOME, *NAMED)}
"""The filters by their names."""
_PARAM = {"wanted": "bigint"}
_SHORT_CHARACTERS = 64 * 1024
"""A longer delivery shows the time of a failure alone: there may be a thousand receivers."""
_TIME_ALONE = f"""'{{"timestamp":' || (ticks / {TICKS_PER_MS}) || '}}'"""
_FAILED_CODE = OUTCOMES.index(FAILED) + 1


def count_deliveries(
    db: Database, query: DeliveriesQuery, oldest_ms: int | None, by: Filter, buckets: Sequence[Range]
) -> list[dict[str, int]]:
    """Return for each of the buckets how many deliveries of each name there are; names without any are left out."""
    visible = range_of(query, oldest_ms)
    ranges = [
        Range(min(max(each.begin, visible.begin), visible.end), max(min(each.end, visible.end), visible.begin))
        for each in buckets
    ]
    with db.reading():
        selection = Selection(db, query)
        counted = selection.counted(ranges, [by])
        totals = selection.counted(ranges) if by.column not in _ALWAYS_NAMED else counted
        names = names_of(db, selection.tenant_id, by, {code for sums in counted for (code,) in sums})
    values = []
    for sums, total in zip(counted, totals, strict=True):
        by_name = Counter({names[code]: count for (code,), count in sorted(sums.items())})
        by_name[NOBODY] += total.total() - sums.total()
        values.append({name: count for name, count in by_name.items() if count})
    return values


def list_receivers(db: Database, query: DeliveriesQuery, oldest_ms: int | None) -> list[Document]:
    """Return the receivers, those with most failures first, then those that failed last: MAX_RECEIVERS at most.

    Deliveries of which no receiver is known, such as an item without results, are left out.
    """
    within = range_of(query, oldest_ms)
    with db.reading():
        # Counts by receiver and outcome are kept; those of some outcomes are among them.
        selection = Selection(db, replace(query, outcomes=()))
        (sums,) = selection.counted([within], [OUTCOME, RECEIVER])
        counts: dict[int, dict[str, int]] = defaultdict(dict)
        # By outcome, in their order: there may be thousands of receivers, which need not be sorted.
        for code, name in enumerate(OUTCOMES, start=1):
            if name in query.outcomes or not query.outcomes:
                for (outcome, receiver), count in sums.items():
                    if outcome == code:
                        counts[receiver][name] = count
        failed = {receiver: each.get(FAILED, 0) for receiver, each in counts.items()}
        most = _most_failing(db, selection, within, failed)
        failures = _last_failures(db, selection, within, [each for each in most if failed[each]])
        names = names_of(db, selection.tenant_id, RECEIVER, most)
    return sorted([_receiver(names[each], counts[each], failures.get(each)) for each in most], key=_place)


def _place(receiver: Document) -> tuple[Any, ...]:
    """Return what receivers are ordered by; their codes are in the order of recording, which a copy need not have.

    Without a name comes before the empty name. Names are first of each two, as most of them differ.
    """
    known = receiver.get
    return (
        -receiver["counts"].get(FAILED, 0),
        -known("last_failure", 0),
        known("notification_id", ""),
        "notification_id" in receiver,
        known("notification_type", ""),
        "notification_type" in receiver,
        known("target", ""),
        "target" in receiver,
    )


def _most_failing(db: Database, selection: Selection, within: Range, failed: Mapping[int, int]) -> list[int]:
    """Return the receivers with most failures, and of those with equally many the ones that failed last."""
    if len(failed) <= MAX_RECEIVERS:
        return list(failed)
    # Equals stay in their order. By a pair for each receiver, to sort takes three times as long.
    ranked = sorted(sorted(failed), key=failed.__getitem__, reverse=True)
    fewest = failed[ranked[MAX_RECEIVERS - 1]]
    more = [each for each in ranked if failed[each] > fewest]
    equal = [each for each in ranked if failed[each] == fewest]
    if fewest:
        newest: Counter[int] = Counter()
        for receiver, ticks in _last_failed(db, selection, within, equal, "ticks"):
            newest[receiver] = max(newest[receiver], ticks)
        equal.sort(key=lambda each: -newest[each])
    return [*more, *equal][:MAX_RECEIVERS]


def _receiver(name: str, counts: dict[str, int], failure: Document | None) -> Document:
    notification_id, notification_type, target = orjson.loads(name)
    receiver: Document = {}
    if notification_id is not None:
        receiver["notification_id"] = notification_id
    if notification_type is not None:
        receiver["notification_type"] = notification_type
    if target is not None:
        receiver["target"] = target
    receiver["counts"] = counts
    if failure is not None:
        receiver["last_failure"] = failure["timestamp"]
        if (message := failure.get("message")) is not None:
            receiver["last_message"] = message
    return receiver


def _last_failures(db: Database, selection: Selection, within: Range, receivers: Sequence[int]) -> dict[int, Document]:
    """Return the newest failed delivery of each of some receivers, by the receiver's code."""
    newest: dict[int, Document] = {}
    short = f"CASE WHEN length(document) <= {_SHORT_CHARACTERS} THEN document ELSE {_TIME_ALONE} END"
    for receiver, text in _last_failed(db, selection, within, receivers, short):
        document: Document = orjson.loads(text)
        known = newest.get(receiver)
        if known is None or document["timestamp"] >= known["timestamp"]:
            newest[receiver] = document
    return newest


def _last_failed(
    db: Database, selection: Selection, within: Range, receivers: Sequence[int], column: str
) -> Iterator[Row]:
    """Yield receivers and a column: of the newest failed delivery of each, then of all recent ones, oldest first."""
    if not receivers:
        return
    values = {"low": within.begin * TICKS_PER_MS, "high": within.end * TICKS_PER_MS, **selection.values}
    failed = f"outcome = {_FAILED_CODE} AND ticks >= :low AND ticks < :high"  # so that the partial index is used
    newest = f"""SELECT {column} FROM {selection.source(MAIN, RECEIVER.column)} AND receiver = wanted AND {failed}
        ORDER BY ticks DESC, clock_and_node DESC LIMIT 1"""
    param = db.param_value(_PARAM, [(receiver,) for receiver in receivers])
    found = rows(db, f"SELECT wanted, ({newest}) FROM {db.param_table(_PARAM)}", param=param, **values)
    yield from (row for row in found if row[1] is not None)
    recent = f"SELECT receiver, {column} FROM {selection.source(RECENT)} AND {failed}"
    yield from rows(db, f"{recent} ORDER BY ticks, clock_and_node", **values)
