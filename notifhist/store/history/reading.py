"""The alarm notification history: series of items, each item a document under its key.

Times are ms since the epoch, UTC; `oldest_ms` is the time before which everything has expired, None if
nothing ever does. Contract: docs/contract.md, "Items" and "Time series and pages".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import peewee

from notifhist.errors import NotFound
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.item_ids import ItemKey, id_of, key_of
from notifhist.schemas.query import AlarmPath, CheckPath, HistoryQuery
from notifhist.serializers import as_xml
from notifhist.serializers.stored import StoredDocument, StoredForm, StoredPage, encoded
from notifhist.store.database import Database
from notifhist.store.history.series import alarm_digest, check_values, is_of_given_check
from notifhist.store.models import HistoryItemRow, SeriesRow, TenantRow
from notifhist.store.sql import Statement, given

_READ_BATCH = 500
_MIN_BIGINT, _MAX_BIGINT = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class HistoryPage:
    """A page of items, how many there are on it, and the id of the first one behind it."""

    items: StoredPage
    count: int
    next_marker: str | None


def list_checks(db: Database, alarm: AlarmPath, oldest_ms: int | None) -> list[str]:
    """Return the ids of the alarm's checks that have history, sorted by code point.

    Its cost grows with the number of checks, for each of which one item is looked for, not with their items.
    """
    low = low_ticks(oldest_ms)
    checks = _CHECKS.rows(db, alarm_digest=alarm_digest(alarm))
    return sorted(
        check_id for series_id, check_id in checks if _HAS_ITEMS.rows(db, series_id=series_id, low=low)
    )


def list_items(db: Database, query: HistoryQuery, oldest_ms: int | None, form: StoredForm) -> HistoryPage:
    """Return one page of a check's items, oldest first unless `query.reverse`.

    A range of one index, however long the history.
    """
    low = ItemKey(max(low_ticks(query.from_ms), low_ticks(oldest_ms)), _MIN_BIGINT)
    high = ItemKey(_high_ticks(query.to_ms), _MAX_BIGINT)
    if query.marker is not None:
        marker = key_of(query.marker)
        low, high = (low, min(high, marker)) if query.reverse else (max(low, marker), high)
    page, rendered = _read(db, query, low, high, form)
    if rendered < page.count:  # some by another version of the mapping, so all are rendered from their JSON
        page, _ = _read(db, query, low, high, StoredForm.JSON)
    return page


def _read(
    db: Database, query: HistoryQuery, low: ItemKey, high: ItemKey, form: StoredForm
) -> tuple[HistoryPage, int]:
    """Return the page of the items from `low` to `high`, and how many of them have a text.

    Read in pieces: a database needs memory for a text several times while it puts that together.
    """
    texts: list[bytes] = []
    count, rendered, behind = 0, 0, high if query.reverse else low
    is_end = False
    while count < query.limit and not is_end:
        low, high = (low, behind) if query.reverse else (behind, high)
        ((text, read, with_text, *key),) = _PAGES[query.reverse, form is StoredForm.XML].rows(
            db,
            **check_values(query.check),
            low_ticks=low.ticks,
            low_rest=low.clock_and_node,
            high_ticks=high.ticks,
            high_rest=high.clock_and_node,
            limit=min(query.limit - count, db.TEXTS_AT_ONCE),
        )
        if text:
            texts.append(encoded(text))
        count, rendered = count + read, rendered + with_text
        if not (is_end := key[0] is None):
            behind = ItemKey(*key)
    return HistoryPage(StoredPage(form, texts), count, None if is_end else id_of(behind)), rendered


def get_item(
    db: Database,
    check: CheckPath,
    item_id: str,
    oldest_ms: int | None,
    form: StoredForm = StoredForm.JSON,
) -> StoredDocument:
    """Return one item, as JSON where it is not stored in `form`; one index seek. Raises NotFound."""
    key = key_or_not_found(item_id)
    if key.ticks >= low_ticks(oldest_ms):
        for document, xml in _ITEMS[form is StoredForm.XML].rows(db, **check_values(check), **key._asdict()):
            if xml is not None:
                return StoredDocument(StoredForm.XML, encoded(xml))
            return StoredDocument(StoredForm.JSON, encoded(document))
    raise NotFound("No such item.", f"{item_id} is not in this check's history.")


def all_items(db: Database) -> Iterator[tuple[CheckPath, StoredDocument]]:
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
        after = ItemKey(_MIN_BIGINT, _MIN_BIGINT)
        while rows := _BEHIND.rows(db, series_id=series_id, **after._asdict()):
            for _, _, document in rows:
                yield check, StoredDocument(StoredForm.JSON, encoded(document))
            after = ItemKey(*rows[-1][:2])


def count_items(db: Database) -> int:
    """Return how many items there are, expired or not."""
    count: int = HistoryItemRow.select().count(db)
    return count


def key_or_not_found(item_id: str) -> ItemKey:
    """Return the key of an id. Raises NotFound if it is none that an item may have."""
    try:
        return key_of(item_id)
    except ValueError as error:
        raise NotFound("No such item.", f"{item_id}: {error}") from None


def low_ticks(ms: int | None) -> int:
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
    """Return the statement for a piece of a page: it as one text, its numbers of items and of texts, the key behind it.

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
    all_items = peewee.fn.COUNT(peewee.SQL("*"))

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
                    all_items,
                    # SQLite copies each text to count it, and all items have JSON.
                    peewee.fn.COUNT(page.c.text) if as_xml_ else all_items,
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
            is_of_given_check(_row.series_id),
            _row.ticks == given("ticks"),
            _row.rest == given("clock_and_node"),
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
            peewee.Tuple(_row.ticks, _row.rest) > peewee.Tuple(given("ticks"), given("clock_and_node")),
        )
        .order_by(_row.ticks, _row.rest)
        .limit(_READ_BATCH)
    )
)
