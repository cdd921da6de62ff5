"""The alarm notification history: series of items, each item a document under its key.

Times are ms since the epoch, UTC; `oldest_ms` is the time before which everything has expired, None if
nothing ever does. Contract: docs/contract.md, "Items", "Time series and pages" and "Recording".
"""

import hashlib
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import orjson
import peewee

from notifhist.database import Database
from notifhist.errors import ItemConflict, NotFound, ParentNotFound
from notifhist.models import HistoryItemRow, SeriesRow
from notifhist.paging import Key, complete, id_of, key_of
from notifhist.queries.same import same_json
from schemas.document import Document
from schemas.fields import TICKS_PER_MS
from schemas.query import AlarmPath, CheckPath, HistoryQuery

_INSERT_BATCH = 200  # rows of one statement; SQLite takes 32,766 parameters at most
_READ_BATCH = 500
_MIN_BIGINT, _MAX_BIGINT = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class HistoryPage:
    """A page of items and the id of the first one behind it."""

    items: tuple[Document, ...]
    next_marker: str | None


@dataclass(frozen=True)
class Recorded:
    """Items as they were recorded, and how many of them were not there before."""

    items: tuple[Document, ...]
    created: int


def list_checks(db: Database, alarm: AlarmPath, oldest_ms: int | None) -> list[str]:
    """Return the ids of the alarm's checks that have history, sorted by code point.

    One SELECT; its cost grows with the number of checks, not with their items.
    """
    has_items = HistoryItemRow.select(peewee.SQL("1")).where(
        HistoryItemRow.series_id == SeriesRow.id, HistoryItemRow.ticks >= _low_ticks(oldest_ms)
    )
    query = SeriesRow.select(SeriesRow.check_id).where(
        SeriesRow.alarm_digest == _alarm_digest(alarm), peewee.fn.EXISTS(has_items)
    )
    return sorted(check_id for (check_id,) in query.tuples().execute(db))


def list_items(db: Database, query: HistoryQuery, oldest_ms: int | None) -> HistoryPage:
    """Return one page of a check's items, oldest first unless `query.reverse`.

    One SELECT, a range of one index, however long the history.
    """
    low = max(_low_ticks(query.from_ms), _low_ticks(oldest_ms))
    high = _high_ticks(query.to_ms)
    key = (HistoryItemRow.ticks, HistoryItemRow.rest)
    conditions = []
    if query.marker is not None:
        marker = key_of(query.marker)
        if query.reverse:
            high = min(high, marker.ticks)
            conditions.append(peewee.Tuple(*key) <= marker)
        else:
            low = max(low, marker.ticks)
            conditions.append(peewee.Tuple(*key) >= marker)
    rows = (
        HistoryItemRow.select(*key, HistoryItemRow.document)
        .where(
            HistoryItemRow.series_id == _series_id(query.check),
            HistoryItemRow.ticks >= low,
            HistoryItemRow.ticks <= high,
            *conditions,
        )
        .order_by(*(column.desc() if query.reverse else column for column in key))
        .limit(query.limit + 1)
        .tuples()
        .execute(db)
    )
    found = list(rows)
    items = tuple(orjson.loads(document) for _, _, document in found[: query.limit])
    behind = found[query.limit :]
    return HistoryPage(items, id_of(Key(*behind[0][:2])) if behind else None)


def get_item(db: Database, check: CheckPath, item_id: str, oldest_ms: int | None) -> Document:
    """Return one item. Raises NotFound. One seek, since an id tells its place."""
    document = _find(db, check, _key_or_not_found(item_id), oldest_ms)
    if document is None:
        raise NotFound("No such item.", f"{item_id} is not in this check's history.")
    return document


def record_items(db: Database, check: CheckPath, documents: Sequence[Document], now_ticks: int) -> Recorded:
    """Record items, all or none, and fill in missing ids and timestamps.

    An item that is there already with the same content stays as it is. Raises ItemConflict where its
    content differs.
    """
    whole = [complete(document, now_ticks, n) for n, document in enumerate(documents)]
    keys = [key_of(document["id"]) for document in whole]
    first: dict[Key, Document] = {}
    for key, document in zip(keys, whole, strict=True):
        _require_same(first.setdefault(key, document), document)
    known: dict[Key, Document] = {}
    with db.writing():
        series_id = _ensure_series(db, check)
        # In the order of their keys: two senders of the same items wait for each other, never both.
        pairs = sorted(first.items(), key=itemgetter(0))
        for start in range(0, len(pairs), _INSERT_BATCH):
            known |= _insert_or_find(db, series_id, dict(pairs[start : start + _INSERT_BATCH]))
    return Recorded(tuple(known.get(key, first[key]) for key in keys), len(first) - len(known))


def find_conflicts(db: Database, check: CheckPath, documents: Sequence[Document]) -> list[bool]:
    """Return of each of the documents, which all have an id, whether it is there with other content."""
    keys = [key_of(document["id"]) for document in documents]
    known = dict(_known(db, _series_id(check), set(keys)))
    return [
        key in known and not same_json(known[key], complete(document))
        for key, document in zip(keys, documents, strict=True)
    ]


def replace_item(db: Database, check: CheckPath, document: Document) -> bool:
    """Create the item of the document's id or replace it; return whether it was created."""
    key = key_of(document["id"])
    with db.writing():
        series_id = _ensure_series(db, check)
        while not (created := bool(_insert(db, series_id, {key: document}))):
            if _update(db, series_id, key, document):
                break  # else somebody has deleted it in between
    return created


def add_attempt(
    db: Database,
    check: CheckPath,
    item_id: str,
    notification_id: str,
    attempt: Document,
    oldest_ms: int | None,
) -> Document:
    """Add an attempt to the first result of `notification_id` and return the whole item.

    Raises ParentNotFound for an unknown item, NotFound for an unknown notification.
    """
    try:
        key = key_of(item_id)
    except ValueError as error:
        raise ParentNotFound("No such item.", f"{item_id}: {error}") from None
    with db.writing():
        document = _find(db, check, key, oldest_ms, locked=True)
        if document is None:
            raise ParentNotFound("No such item.", f"{item_id} is not in this check's history.")
        for result in document["notification_results"]:
            if result.get("notification_id") == notification_id:
                result.setdefault("attempts", []).append(attempt)
                break
        else:
            raise NotFound("No such notification.", f"{notification_id} is not among the item's results.")
        _update(db, _series_id(check), key, document)
    return document


def delete_item(db: Database, check: CheckPath, item_id: str, oldest_ms: int | None) -> None:
    """Delete an item. Raises NotFound."""
    key = _key_or_not_found(item_id)
    with db.writing():
        deleted = (
            HistoryItemRow.delete()
            .where(_is_item(_series_id(check), key), HistoryItemRow.ticks >= _low_ticks(oldest_ms))
            .execute(db)
        )
    if not deleted:
        raise NotFound("No such item.", f"{item_id} is not in this check's history.")


def count_expired(db: Database, oldest_ms: int) -> int:
    """Return how many items have expired."""
    count: int = HistoryItemRow.select().where(HistoryItemRow.ticks < _low_ticks(oldest_ms)).count(db)
    return count


def purge_expired(db: Database, oldest_ms: int, batch: int) -> int:
    """Delete up to `batch` expired items, in a transaction of their own; return how many there were."""
    key = (HistoryItemRow.series_id, HistoryItemRow.ticks, HistoryItemRow.rest)
    expired = (
        HistoryItemRow.select(*key)
        .where(HistoryItemRow.ticks < _low_ticks(oldest_ms))
        .order_by(HistoryItemRow.ticks)
        .limit(batch)
    )
    with db.writing():
        deleted: int = HistoryItemRow.delete().where(peewee.Tuple(*key) << expired).execute(db)
    return deleted


def all_items(db: Database) -> Iterator[tuple[CheckPath, Document]]:
    """Yield every check and item, expired or not, series by series and oldest first; memory stays flat."""
    for series in SeriesRow.select().order_by(SeriesRow.id).execute(db):
        check = CheckPath(series.tenant, series.entity_id, series.alarm_id, series.check_id)
        after = Key(_MIN_BIGINT, _MIN_BIGINT)
        while True:
            rows = (
                HistoryItemRow.select(HistoryItemRow.ticks, HistoryItemRow.rest, HistoryItemRow.document)
                .where(
                    HistoryItemRow.series_id == series.id,
                    peewee.Tuple(HistoryItemRow.ticks, HistoryItemRow.rest) > after,
                )
                .order_by(HistoryItemRow.ticks, HistoryItemRow.rest)
                .limit(_READ_BATCH)
                .tuples()
                .execute(db)
            )
            found = list(rows)
            for _, _, document in found:
                yield check, orjson.loads(document)
            if len(found) < _READ_BATCH:
                break
            after = Key(*found[-1][:2])


def count_items(db: Database) -> int:
    """Return how many items there are, expired or not."""
    count: int = HistoryItemRow.select().count(db)
    return count


def _insert_or_find(db: Database, series_id: int, items: dict[Key, Document]) -> dict[Key, Document]:
    """Insert those of `items` that are not there, and return those that are.

    Raises ItemConflict where one that is there has other content.
    """
    known: dict[Key, Document] = {}
    missing = items
    while missing:
        inserted = _insert(db, series_id, missing)
        found = dict(_known(db, series_id, missing.keys() - inserted))
        for key, document in found.items():
            _require_same(document, items[key])
        known |= found
        # What was neither inserted nor found has been deleted in between.
        missing = {key: items[key] for key in missing if key not in inserted and key not in found}
    return known


def _insert(db: Database, series_id: int, items: dict[Key, Document]) -> set[Key]:
    """Insert those of `items` that are not there; return their keys."""
    rows = [
        {**key._asdict(), "series_id": series_id, "document": orjson.dumps(document).decode()}
        for key, document in items.items()
    ]
    inserted = (
        HistoryItemRow.insert_many(rows)
        .on_conflict_ignore()
        .returning(HistoryItemRow.ticks, HistoryItemRow.rest)
        .tuples()
        .execute(db)
    )
    return {Key(*row) for row in inserted}


def _known(db: Database, series_id: Any, keys: Set[Key]) -> Iterator[tuple[Key, Document]]:
    """Yield those items of a series that have one of `keys`."""
    if not keys:
        return
    rows = (
        HistoryItemRow.select(HistoryItemRow.ticks, HistoryItemRow.rest, HistoryItemRow.document)
        .where(HistoryItemRow.series_id == series_id, HistoryItemRow.ticks << [key.ticks for key in keys])
        .tuples()
        .execute(db)
    )
    for ticks, rest, document in rows:
        if (key := Key(ticks, rest)) in keys:
            yield key, orjson.loads(document)


def _require_same(known: Document, given: Document) -> None:
    if not same_json(known, given):
        raise ItemConflict(details=f"{given['id']} is there already; PUT replaces it.")


def _update(db: Database, series_id: Any, key: Key, document: Document) -> int:
    """Replace an item; return whether it is there, as 0 or 1."""
    text = orjson.dumps(document).decode()
    updated: int = HistoryItemRow.update(document=text).where(_is_item(series_id, key)).execute(db)
    return updated


def _find(
    db: Database, check: CheckPath, key: Key, oldest_ms: int | None, locked: bool = False
) -> Document | None:
    query = HistoryItemRow.select(HistoryItemRow.document).where(
        _is_item(_series_id(check), key), HistoryItemRow.ticks >= _low_ticks(oldest_ms)
    )
    rows = (db.locked(query) if locked else query).tuples().execute(db)
    return next((orjson.loads(document) for (document,) in rows), None)


def _key_or_not_found(item_id: str) -> Key:
    try:
        return key_of(item_id)
    except ValueError as error:
        raise NotFound("No such item.", f"{item_id}: {error}") from None


def _is_item(series_id: Any, key: Key) -> Any:
    return (
        (HistoryItemRow.series_id == series_id)
        & (HistoryItemRow.ticks == key.ticks)
        & (HistoryItemRow.rest == key.rest)
    )


def _series_id(check: CheckPath) -> Any:
    """Return the subquery for the id of the check's series."""
    return SeriesRow.select(SeriesRow.id).where(
        SeriesRow.alarm_digest == _alarm_digest(check), SeriesRow.check_id == check.check_id
    )


def _alarm_digest(alarm: AlarmPath) -> str:
    ids = orjson.dumps([alarm.tenant, alarm.entity_id, alarm.alarm_id])
    return hashlib.sha256(ids).hexdigest()


def _ensure_series(db: Database, check: CheckPath) -> int:
    """Return the id of the check's series, creating the series if this is its first item."""
    for _ in range(2):
        for (series_id,) in _series_id(check).tuples().execute(db):
            return int(series_id)
        SeriesRow.insert(**vars(check), alarm_digest=_alarm_digest(check)).on_conflict_ignore().execute(db)
    raise RuntimeError("the series neither exists nor can be created")


def _low_ticks(ms: int | None) -> int:
    """Return the first tick of the millisecond `ms`, within what the column holds."""
    return _MIN_BIGINT if ms is None else min(max(ms * TICKS_PER_MS, _MIN_BIGINT), _MAX_BIGINT)


def _high_ticks(ms: int) -> int:
    """Return the last tick of the millisecond `ms`, within what the column holds."""
    return min(max(ms * TICKS_PER_MS + TICKS_PER_MS - 1, _MIN_BIGINT), _MAX_BIGINT)
