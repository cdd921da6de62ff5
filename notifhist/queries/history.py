"""The alarm notification history: series of items, each item a document under its key.

Times are ms since the epoch, UTC; `oldest_ms` is the time before which everything has expired, None if
nothing ever does. Contract: docs/contract.md, "Items", "Time series and pages" and "Recording".
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import orjson
import peewee

from notifhist import partitions
from notifhist.database import Database
from notifhist.errors import ItemConflict, NotFound, ParentNotFound
from notifhist.models import HistoryItemRow, SeriesRow, TenantRow
from notifhist.paging import Key, complete, id_of, key_of
from notifhist.queries.same import same_json
from notifhist.queries.series import alarm_digest, check_values, ensure_series, is_of_given_check, series_of
from notifhist.representation import as_json, as_xml
from notifhist.representation.kept import Kept, KeptList
from notifhist.statements import Statement, given
from schemas.document import Document
from schemas.fields import TICKS_PER_MS
from schemas.history import ITEM
from schemas.query import AlarmPath, CheckPath, HistoryQuery

_INSERT_BATCH = 200  # rows of one statement; SQLite takes 32,766 parameters at most
_READ_BATCH = 500
_MIN_BIGINT, _MAX_BIGINT = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class HistoryPage:
    """A page of items, how many there are on it, and the id of the first one behind it."""

    items: KeptList
    count: int
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
    low = _low_ticks(oldest_ms)
    checks = _CHECKS.rows(db, alarm_digest=alarm_digest(alarm))
    return sorted(
        check_id for series_id, check_id in checks if _HAS_ITEMS.rows(db, series_id=series_id, low=low)
    )


def list_items(db: Database, query: HistoryQuery, oldest_ms: int | None, *, as_xml: bool) -> HistoryPage:
    """Return one page of a check's items, oldest first unless `query.reverse`.

    One SELECT, a range of one index, however long the history.
    """
    low = Key(max(_low_ticks(query.from_ms), _low_ticks(oldest_ms)), _MIN_BIGINT)
    high = Key(_high_ticks(query.to_ms), _MAX_BIGINT)
    if query.marker is not None:
        marker = key_of(query.marker)
        low, high = (low, min(high, marker)) if query.reverse else (max(low, marker), high)
    page = {
        **check_values(query.check),
        "low_ticks": low.ticks,
        "low_rest": low.rest,
        "high_ticks": high.ticks,
        "high_rest": high.rest,
        "limit": query.limit,
    }
    ((elements, count, rendered, *behind),) = _PAGES[query.reverse, as_xml].rows(db, **page)
    items = KeptList(None, elements or "") if as_xml else KeptList(elements or "")
    if rendered < count:  # some by another version of the mapping, so all are rendered from their JSON
        ((documents, count, _, *behind),) = _PAGES[query.reverse, False].rows(db, **page)
        items = KeptList(documents or "")
    return HistoryPage(items, count, None if behind[0] is None else id_of(Key(*behind)))


def get_item(
    db: Database, check: CheckPath, item_id: str, oldest_ms: int | None, *, as_xml: bool = False
) -> Kept:
    """Return one item. Raises NotFound. One seek, since an id tells its place."""
    key = _key_or_not_found(item_id)
    if key.ticks >= _low_ticks(oldest_ms):
        for document, xml in _ITEMS[as_xml].rows(db, **check_values(check), **key._asdict()):
            return Kept(document, xml)
    raise NotFound("No such item.", f"{item_id} is not in this check's history.")


def record_items(
    db: Database,
    check: CheckPath,
    documents: Sequence[Document],
    now_ticks: int,
    oldest_ms: int | None = None,
) -> Recorded:
    """Record items, all or none, and fill in missing ids and timestamps.

    An item that is there already with the same content stays as it is. Raises ItemConflict where its
    content differs.
    """
    whole = [complete(document, now_ticks, n) for n, document in enumerate(documents)]
    keys = [key_of(document["id"]) for document in whole]
    first: dict[Key, Document] = {}
    for key, document in zip(keys, whole, strict=True):
        if (earlier := first.setdefault(key, document)) is not document:
            _require_same(earlier, document)
    known: dict[Key, Document] = {}
    partitions.prepare(db, [key.ticks for key in first], now_ticks, oldest_ms)
    with db.writing():
        series_id = ensure_series(db, check)
        # In the order of their keys: two senders of the same items wait for each other, never both.
        pairs = sorted(first.items(), key=itemgetter(0))
        for start in range(0, len(pairs), _INSERT_BATCH):
            known |= _insert_or_find(db, series_id, dict(pairs[start : start + _INSERT_BATCH]))
    return Recorded(tuple(known.get(key, first[key]) for key in keys), len(first) - len(known))


def find_conflicts(db: Database, check: CheckPath, documents: Sequence[Document]) -> list[bool]:
    """Return of each of the documents, which all have an id, whether it is there with other content."""
    keys = [key_of(document["id"]) for document in documents]
    known = dict(_known(db, series_of(check), set(keys)))
    return [
        key in known and not same_json(known[key], complete(document))
        for key, document in zip(keys, documents, strict=True)
    ]


def replace_item(
    db: Database, check: CheckPath, document: Document, now_ticks: int, oldest_ms: int | None = None
) -> bool:
    """Create the item of the document's id or replace it; return whether it was created."""
    key = key_of(document["id"])
    partitions.prepare(db, [key.ticks], now_ticks, oldest_ms)
    with db.writing():
        series_id = ensure_series(db, check)
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
        _update(db, series_of(check), key, document)
    return document


def delete_item(db: Database, check: CheckPath, item_id: str, oldest_ms: int | None) -> None:
    """Delete an item. Raises NotFound."""
    key = _key_or_not_found(item_id)
    with db.writing():
        deleted = (
            HistoryItemRow.delete()
            .where(_is_item(series_of(check), key), HistoryItemRow.ticks >= _low_ticks(oldest_ms))
            .execute(db)
        )
    if not deleted:
        raise NotFound("No such item.", f"{item_id} is not in this check's history.")


def all_items(db: Database) -> Iterator[tuple[CheckPath, Kept]]:
    """Yield every check and item, expired or not, series by series and oldest first; memory stays flat."""
    series = (
        SeriesRow.select(
            SeriesRow.id, TenantRow.name, SeriesRow.entity_id, SeriesRow.alarm_id, SeriesRow.check_id
        )
        .join(TenantRow, on=TenantRow.id == SeriesRow.tenant_id)
        .order_by(SeriesRow.id)
        .tuples()
        .execute(db)
    )
    for series_id, *ids in list(series):
        check = CheckPath(*ids)
        after = Key(_MIN_BIGINT, _MIN_BIGINT)
        while rows := _BEHIND.rows(db, series_id=series_id, **after._asdict()):
            for _, _, document in rows:
                yield check, Kept(document)
            after = Key(*rows[-1][:2])


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
    if not items:
        return set()
    rows = [(series_id, *key, *texts_of(document)) for key, document in items.items()]
    return {Key(*key) for key in db.insert_items(rows)}


def texts_of(document: Document) -> tuple[str, str, int]:
    """Return what is kept of an item: its JSON, its XML and the version of the mapping to that."""
    return as_json.text(document), as_xml.element(document, ITEM, ITEM.root), as_xml.MAPPING_VERSION


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
    columns = dict(zip(("document", "xml", "xml_version"), texts_of(document), strict=True))
    updated: int = HistoryItemRow.update(**columns).where(_is_item(series_id, key)).execute(db)
    return updated


def _find(
    db: Database, check: CheckPath, key: Key, oldest_ms: int | None, locked: bool = False
) -> Document | None:
    query = HistoryItemRow.select(HistoryItemRow.document).where(
        _is_item(series_of(check), key), HistoryItemRow.ticks >= _low_ticks(oldest_ms)
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


def _low_ticks(ms: int | None) -> int:
    """Return the first tick of the millisecond `ms`, within what the column holds."""
    return _MIN_BIGINT if ms is None else min(max(ms * TICKS_PER_MS, _MIN_BIGINT), _MAX_BIGINT)


def _high_ticks(ms: int) -> int:
    """Return the last tick of the millisecond `ms`, within what the column holds."""
    return min(max(ms * TICKS_PER_MS + TICKS_PER_MS - 1, _MIN_BIGINT), _MAX_BIGINT)


_row = HistoryItemRow


def _current_xml() -> Any:
    """Return the XML of an item; null where it is by another version of the mapping than today's."""
    return peewee.Case(None, [(_row.xml_version == as_xml.MAPPING_VERSION, _row.xml)])


def _page_of(reverse: bool, as_xml_: bool) -> Statement:
    """Return the statement for a page as one text, the numbers of its items and of its texts, and the key behind it.

    One row, however many items: to take each from the database's hands costs more than to find it.
    """
    key = (_row.ticks, _row.rest)
    is_on_page = (
        is_of_given_check(_row.series_id),
        # By these two alone PostgreSQL knows which partitions to look into.
        _row.ticks >= given("low_ticks"),
        _row.ticks <= given("high_ticks"),
        peewee.Tuple(*key) >= peewee.Tuple(given("low_ticks"), given("low_rest")),
        peewee.Tuple(*key) <= peewee.Tuple(given("high_ticks"), given("high_rest")),
    )
    order = [column.desc() if reverse else column for column in key]
    text, separator = (_current_xml(), "") if as_xml_ else (_row.document, ",")

    def build(db: Database) -> Any:
        page = _row.select(text.alias("text")).where(*is_on_page).order_by(*order).limit(given("limit"))
        behind = (
            _row.select(*key)
            .where(*is_on_page)
            .order_by(*order)
            .limit(1)
            .offset(given("limit"))
            .cte("behind")
        )
        return (
            peewee.Select(
                [page],
                [
                    db.joined(page.c.text, separator),
                    peewee.fn.COUNT(peewee.SQL("*")),
                    peewee.fn.COUNT(page.c.text),
                    behind.select(behind.c.ticks),
                    behind.select(behind.c.rest),
                ],
            )
        ).with_cte(behind)

    return Statement(build)


def _item_of(as_xml_: bool) -> Statement:
    columns = (_row.document, _current_xml()) if as_xml_ else (_row.document, peewee.Value(None))
    return Statement(
        lambda db: _row.select(*columns).where(
            is_of_given_check(_row.series_id), _row.ticks == given("ticks"), _row.rest == given("rest")
        )
    )


_PAGES = {(reverse, form): _page_of(reverse, form) for reverse in (False, True) for form in (False, True)}
_ITEMS = {form: _item_of(form) for form in (False, True)}
_CHECKS = Statement(
    lambda db: SeriesRow.select(SeriesRow.id, SeriesRow.check_id).where(
        SeriesRow.alarm_digest == given("alarm_digest")
    )
)
_HAS_ITEMS = Statement(
    lambda db: (
        _row.select(_row.ticks)
        .where(_row.series_id == given("series_id"), _row.ticks >= given("low"))
        .order_by(_row.ticks)
        .limit(1)
    )
)
_BEHIND = Statement(
    lambda db: (
        _row.select(_row.ticks, _row.rest, _row.document)
        .where(
            _row.series_id == given("series_id"),
            peewee.Tuple(_row.ticks, _row.rest) > peewee.Tuple(given("ticks"), given("rest")),
        )
        .order_by(_row.ticks, _row.rest)
        .limit(_READ_BATCH)
    )
)
