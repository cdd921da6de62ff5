"""The alarm notification history: series of items, each item a document under its key.

Times are ms since the epoch, UTC; `oldest_ms` is the time before which everything has expired, None if
nothing ever does. Contract: docs/contract.md, "Items" and "Time series and pages".
"""

from functools import cache

from notifhist.errors import NotFound
from notifhist.schemas.item_ids import ItemKey, id_of, key_of
from notifhist.schemas.query import AlarmPath, CheckPath, HistoryQuery
from notifhist.serializers.as_xml import MAPPING_VERSION
from notifhist.serializers.lines import split_lines
from notifhist.serializers.stored import BETWEEN_LINES, StoredDocument, StoredForm, StoredPage, encoded
from notifhist.store.database import Database
from notifhist.store.database.sql import first, rows
from notifhist.store.history.series import SERIES_ID, alarm_digest, check_values
from notifhist.store.pieces import Piece, read_pieces
from notifhist.store.tenants import TENANT_ID
from notifhist.store.time_ranges import SeriesPage, key_range, low_ticks

_SEPARATORS = {StoredForm.JSON: ",", StoredForm.XML: ""}
"""What separates the texts of a page."""

_CHECKS = f"SELECT id, check_id FROM series WHERE tenant_id = {TENANT_ID} AND alarm_digest = :alarm_digest"
_HAS_ITEMS = "SELECT ticks FROM history_item WHERE series_id = :series_id AND ticks >= :low ORDER BY ticks LIMIT 1"
_OF_ITEM = f"""FROM history_item WHERE series_id = {SERIES_ID}
AND ticks = :ticks AND clock_and_node = :clock_and_node"""


def list_checks(db: Database, alarm: AlarmPath, oldest_ms: int | None) -> list[str]:
    """Return the ids of the alarm's checks that have history, sorted by code point.

    Its cost grows with the number of checks, not with their items: one item of each is looked for.
    """
    low = low_ticks(oldest_ms)
    checks = rows(db, _CHECKS, tenant=alarm.tenant, alarm_digest=alarm_digest(alarm))
    return sorted(check_id for series_id, check_id in checks if first(db, _HAS_ITEMS, series_id=series_id, low=low))


def list_items(db: Database, query: HistoryQuery, oldest_ms: int | None, form: StoredForm) -> SeriesPage:
    """Return one page of a check's items, oldest first unless `query.reverse`; a range of one index.

    Where not every item is stored in `form`, each piece of the page is one item as JSON. Raises AnswerTooLong.
    """
    low, high = key_range(query, oldest_ms)
    try:
        return _read(db, query, low, high, form)
    except _NotStored:
        return _read(db, query, low, high, StoredForm.JSON, to_render=True)


class _NotStored(Exception):
    """An item is not stored in the form that is asked for."""


def _read(
    db: Database, query: HistoryQuery, low: ItemKey, high: ItemKey, form: StoredForm, to_render: bool = False
) -> SeriesPage:
    """Return the page of the items from `low` to `high`. With `to_render` each item is a piece. Raises _NotStored."""
    text = _page_sql(type(db), query.reverse, form, to_render)
    check = check_values(query.check)
    next_key, is_end = high if query.reverse else low, False

    def read(number: int, max_bytes: int | None) -> Piece | None:
        nonlocal next_key, is_end
        begin, end = (low, next_key) if query.reverse else (next_key, high)
        values = {
            **check,
            "low_ticks": begin.ticks,
            "low_clock_and_node": begin.clock_and_node,
            "high_ticks": end.ticks,
            "high_clock_and_node": end.clock_and_node,
        }
        row = db.first_within(max_bytes, number, text, values)
        if row is None:
            return None
        joined, found, texts, *key = row
        if texts < found and form is StoredForm.JSON:
            return None
        if texts < found:
            raise _NotStored
        is_end = key[0] is None
        if not is_end:
            next_key = ItemKey(*key)
        return encoded(joined or b""), found, is_end

    pieces, count = read_pieces(query.limit, db.pieces_of, read)
    pieces = split_lines(pieces) if to_render else pieces
    return SeriesPage(StoredPage(form, pieces), count, None if is_end else id_of(next_key))


@cache
def _page_sql(dialect: type[Database], reverse: bool, form: StoredForm, to_render: bool) -> str:
    """Return the query for a piece of a page: its text, how many items and texts it has, and the key after it.

    It returns one row for any number of items: to fetch each as a row costs more than to find it (docs/adr/0013).
    """
    # PostgreSQL knows by `ticks` alone which partitions to look into.
    where = f"""WHERE series_id = {SERIES_ID} AND ticks >= :low_ticks AND ticks <= :high_ticks
        AND (ticks, clock_and_node) >= (:low_ticks, :low_clock_and_node)
        AND (ticks, clock_and_node) <= (:high_ticks, :high_clock_and_node)"""
    order = "ORDER BY ticks DESC, clock_and_node DESC" if reverse else "ORDER BY ticks, clock_and_node"
    separator = BETWEEN_LINES.decode() if to_render else _SEPARATORS[form]
    texts = dialect.count_joined("page.text") if form is StoredForm.JSON else "count(page.text)"
    return f"""WITH after AS (
        SELECT ticks, clock_and_node FROM history_item {where} {order} LIMIT 1 OFFSET :limit)
    SELECT {dialect.joined("page.text", separator)}, count(*), {texts},
        (SELECT ticks FROM after), (SELECT clock_and_node FROM after)
    FROM (SELECT {dialect.within_share(_text(dialect, form))} AS text
        FROM history_item {where} {order} LIMIT :limit) AS page"""


def get_item(
    db: Database, check: CheckPath, item_id: str, oldest_ms: int | None, form: StoredForm = StoredForm.JSON
) -> StoredDocument:
    """Return one item, as JSON where it is not stored in `form`; one index seek. Raises NotFound."""
    key = key_or_not_found(item_id)
    is_shown = key.ticks >= low_ticks(oldest_ms)
    found = first(db, _item_sql(type(db), form), **check_values(check), **key._asdict()) if is_shown else None
    if found is None:
        raise NotFound("No such item.", f"{item_id} is not in this check's history.")
    text, json = found
    return StoredDocument(StoredForm.JSON, encoded(json)) if text is None else StoredDocument(form, encoded(text))


@cache
def _item_sql(dialect: type[Database], form: StoredForm) -> str:
    """Return the query for an item: its text in `form`, and its JSON where that may be null."""
    json = "NULL" if form is StoredForm.JSON else _text(dialect, StoredForm.JSON)
    return f"SELECT {_text(dialect, form)}, {json} {_OF_ITEM}"


def _text(dialect: type[Database], form: StoredForm) -> str:
    """Return an item's text in `form` as SQL; null for XML that an older version of the mapping has rendered."""
    if form is StoredForm.JSON:
        return dialect.text_of("document")
    return f"CASE WHEN xml_version = {MAPPING_VERSION} THEN {dialect.text_of('xml')} END"


def key_or_not_found(item_id: str) -> ItemKey:
    """Return the key of an id. Raises NotFound if no item can have that id."""
    try:
        return key_of(item_id)
    except ValueError as error:
        raise NotFound("No such item.", f"{item_id}: {error}") from None
