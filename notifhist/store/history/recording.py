"""Recording, replacing and deleting items; each becomes durable with all that is kept of it, in one transaction.

Times and `oldest_ms` as in `queries.history`. Contract: docs/contract.md, "Items" and "Recording".
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import orjson

from notifhist.errors import BadRequest, ItemConflict, NotFound, ParentNotFound
from notifhist.schemas.document import Document
from notifhist.schemas.history import ITEM
from notifhist.schemas.item_ids import ItemKey, complete, key_of
from notifhist.schemas.query import CheckPath
from notifhist.serializers import as_json, as_xml
from notifhist.store import partitions
from notifhist.store.database import Database
from notifhist.store.equality import same_json
from notifhist.store.history.reading import key_or_not_found, low_ticks
from notifhist.store.history.series import ensure_series, series_of
from notifhist.store.models import HistoryItemRow

_SHORT = 16 * 1024
"""Characters of JSON that are at most 1003 times as many of XML, which anybody can be answered."""
_MOST_XML, _MOST_TIMES = 64 * 1024 * 1024, 8
_INSERT_BATCH = 200  # rows of one statement; SQLite takes 32,766 parameters at most


Texts = tuple[str, str | None, int]
"""What is kept of an item: its JSON, its XML and the version of the mapping to that."""


@dataclass(frozen=True)
class Recorded:
    """Items as they were recorded, and how many of them were not there before."""

    items: tuple[Document, ...]
    created: int


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
    first: dict[ItemKey, Document] = {}
    for key, document in zip(keys, whole, strict=True):
        if (earlier := first.setdefault(key, document)) is not document:
            _require_same(earlier, document)
    known: dict[ItemKey, Document] = {}
    partitions.prepare(db, [key.ticks for key in first], now_ticks, oldest_ms)
    # In the order of their keys: two senders of the same items wait for each other, never both.
    pairs = sorted(first.items(), key=itemgetter(0))
    batches = [dict(pairs[start : start + _INSERT_BATCH]) for start in range(0, len(pairs), _INSERT_BATCH)]
    # Before the transaction, for which others wait; not those of all, which may take hundreds of megabytes.
    first_texts = _all_texts_of(batches[0]) if batches else {}
    with db.writing():
        series_id = ensure_series(db, check)
        for n, batch in enumerate(batches):
            known |= _insert_or_find(db, series_id, batch, _all_texts_of(batch) if n else first_texts)
    return Recorded(tuple(known.get(key, first[key]) for key in keys), len(first) - len(known))


def replace_item(
    db: Database, check: CheckPath, document: Document, now_ticks: int, oldest_ms: int | None = None
) -> bool:
    """Create the item of the document's id or replace it; return whether it was created."""
    key = key_of(document["id"])
    partitions.prepare(db, [key.ticks], now_ticks, oldest_ms)
    texts = texts_of(document)
    with db.writing():
        series_id = ensure_series(db, check)
        while not (created := bool(_insert(db, series_id, {key: texts}))):
            if _update(db, series_id, key, texts):
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
        _update(db, series_of(check), key, texts_of(document))
    return document


def delete_item(db: Database, check: CheckPath, item_id: str, oldest_ms: int | None) -> None:
    """Delete an item. Raises NotFound."""
    key = key_or_not_found(item_id)
    with db.writing():
        deleted = (
            HistoryItemRow.delete()
            .where(_is_item(series_of(check), key), HistoryItemRow.ticks >= low_ticks(oldest_ms))
            .execute(db)
        )
    if not deleted:
        raise NotFound("No such item.", f"{item_id} is not in this check's history.")


def _insert_or_find(
    db: Database, series_id: int, items: dict[ItemKey, Document], texts: dict[ItemKey, Texts]
) -> dict[ItemKey, Document]:
    """Insert those of `items`, with their texts, that are not there, and return those that are.

    Raises ItemConflict where one that is there has other content.
    """
    known: dict[ItemKey, Document] = {}
    missing = items
    while missing:
        inserted = _insert(db, series_id, {key: texts[key] for key in missing})
        found = dict(_known(db, series_id, missing.keys() - inserted))
        for key, document in found.items():
            _require_same(document, items[key])
        known |= found
        # What was neither inserted nor found has been deleted in between.
        missing = {key: items[key] for key in missing if key not in inserted and key not in found}
    return known


def _insert(db: Database, series_id: int, items: dict[ItemKey, Texts]) -> set[ItemKey]:
    """Insert those of `items` that are not there; return their keys."""
    rows = [(series_id, *key, *texts) for key, texts in items.items()]
    return {ItemKey(*key) for key in db.insert_items(rows)}


def _all_texts_of(items: dict[ItemKey, Document]) -> dict[ItemKey, Texts]:
    return {key: texts_of(document) for key, document in items.items()}


def texts_of(document: Document) -> Texts:
    """Return what is kept of an item.

    XML that is many times as long as the JSON is not kept. Raises BadRequest where it would be so long that nobody
    could be answered it.
    """
    json = as_json.text(document)
    if len(json) > _SHORT and as_xml.longest(document) > _MOST_XML:
        raise BadRequest(
            "The item does not fit.", f"As XML it may have {_MOST_XML} characters; names are repeated."
        )
    xml: str | None = as_xml.element(document, ITEM, ITEM.root)
    if xml is not None and len(xml) > _SHORT + _MOST_TIMES * len(json):
        xml = None
    return json, xml, as_xml.MAPPING_VERSION


def _known(db: Database, series_id: Any, keys: Set[ItemKey]) -> Iterator[tuple[ItemKey, Document]]:
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
        if (key := ItemKey(ticks, rest)) in keys:
            yield key, orjson.loads(document)


def _require_same(known: Document, given: Document) -> None:
    if not same_json(known, given):
        raise ItemConflict(details=f"{given['id']} is there already; PUT replaces it.")


def _update(db: Database, series_id: Any, key: ItemKey, texts: Texts) -> int:
    """Replace an item; return whether it is there, as 0 or 1."""
    columns = dict(zip(("document", "xml", "xml_version"), texts, strict=True))
    updated: int = HistoryItemRow.update(**columns).where(_is_item(series_id, key)).execute(db)
    return updated


def _find(
    db: Database, check: CheckPath, key: ItemKey, oldest_ms: int | None, locked: bool = False
) -> Document | None:
    query = HistoryItemRow.select(HistoryItemRow.document).where(
        _is_item(series_of(check), key), HistoryItemRow.ticks >= low_ticks(oldest_ms)
    )
    rows = (db.locked(query) if locked else query).tuples().execute(db)
    return next((orjson.loads(document) for (document,) in rows), None)


def _is_item(series_id: Any, key: ItemKey) -> Any:
    return (
        (HistoryItemRow.series_id == series_id)
        & (HistoryItemRow.ticks == key.ticks)
        & (HistoryItemRow.rest == key.clock_and_node)
    )
