"""Replace and delete items, and add attempts; each change is durable, in all texts of the item.

`oldest_ms`: the time before which everything has expired, ms since the epoch; None if nothing ever does. Each change
raises what its `precondition` raises, and then changes nothing. New items are recorded by `store.recording.record`.
Contract: docs/contract.md, "Items" and "Recording".
"""

from collections.abc import Mapping
from typing import Any

import orjson

from notifhist.errors import NotFound, ParentNotFound
from notifhist.schemas.document import Document
from notifhist.schemas.item_ids import ItemKey, key_of
from notifhist.schemas.query import CheckPath
from notifhist.serializers.stored import StoredDocument, StoredForm, encoded
from notifhist.store.database import Database
from notifhist.store.database.sql import Row, changed, first
from notifhist.store.deliveries import recording as delivery_index
from notifhist.store.deliveries.derive import deliveries_of
from notifhist.store.deliveries.recording import Derived
from notifhist.store.history.items import TABLE, TEXTS, Texts, texts_of
from notifhist.store.history.reading import key_or_not_found
from notifhist.store.history.series import SERIES_ID, check_values, ensure_series, find_series
from notifhist.store.recording import Precondition
from notifhist.store.time_ranges import low_ticks

_IS_ITEM = f"series_id = {SERIES_ID} AND ticks = :ticks AND clock_and_node = :clock_and_node"
_IS_SHOWN = f"{_IS_ITEM} AND ticks >= :low"
_UPDATE = f"UPDATE history_item SET {', '.join(f'{name} = :{name}' for name in TEXTS)} WHERE {_IS_ITEM}"
_DELETE = f"DELETE FROM history_item WHERE {_IS_SHOWN}"


def replace_item(
    db: Database,
    check: CheckPath,
    document: Document,
    now_ticks: int,
    oldest_ms: int | None = None,
    precondition: Precondition | None = None,
) -> bool:
    """Create the item of the document's id or replace it; return whether it was created."""
    key, texts, deliveries = key_of(document["id"]), texts_of(document), deliveries_of(check, document)
    db.ensure_partitions([key.ticks], now_ticks, oldest_ms)
    delivery_index.prepare(db, check.tenant, deliveries)
    with db.writing():
        db.lock_name(check.tenant)
        series_id = ensure_series(db, {check})[check]
        row = (series_id, *key, *texts)
        while not (created := bool(db.insert_missing(TABLE, [row]))):
            if _is_allowed(db, check, key, precondition, oldest_ms) and update_texts(db, check, key, texts):
                break  # else somebody has deleted it in between
        if created and precondition is not None:
            precondition(None)
        if not created:
            delivery_index.remove(db, series_id, key)
        delivery_index.insert(db, [Derived(series_id, key, deliveries)])
    return created


def add_attempt(
    db: Database,
    check: CheckPath,
    item_id: str,
    notification_id: str,
    attempt: Document,
    oldest_ms: int | None,
    precondition: Precondition | None = None,
) -> Document:
    """Add an attempt to the first result of `notification_id` and return the whole item.

    Raises ParentNotFound for an unknown item, NotFound for an unknown notification.
    """
    try:
        key = key_of(item_id)
    except ValueError as error:
        raise ParentNotFound("No such item.", f"{item_id}: {error}") from None
    delivery_index.prepare(db, check.tenant, ())
    with db.writing():
        db.lock_name(check.tenant)
        found = _locked(db, check, key, oldest_ms)
        if found is None:
            raise ParentNotFound("No such item.", f"{item_id} is not in this check's history.")
        document: Document = orjson.loads(found[0])
        result = _result_of(document, notification_id)
        if precondition is not None:
            precondition(_stored(found))
        before = deliveries_of(check, document)
        result.setdefault("attempts", []).append(attempt)
        update_texts(db, check, key, texts_of(document))
        after = deliveries_of(check, document)
        replaced = delivery_index.Replaced(find_series(db, {check})[check], key, before, after)
        delivery_index.replace(db, [replaced])
    return document


def delete_item(
    db: Database, check: CheckPath, item_id: str, oldest_ms: int | None, precondition: Precondition | None = None
) -> None:
    """Delete an item. Raises NotFound."""
    key = key_or_not_found(item_id)
    with db.writing():
        db.lock_name(check.tenant)
        # An item that has expired is not found, whatever the precondition is (RFC 9110, 13.2.1).
        allowed = key.ticks < low_ticks(oldest_ms) or _is_allowed(db, check, key, precondition, oldest_ms)
        deleted = allowed and changed(db, _DELETE, **_values(check, key, oldest_ms))
        if deleted:
            delivery_index.remove(db, find_series(db, {check})[check], key)
        else:
            db.confirm_stored()  # that it is not there: whoever deleted it may have been given up
    if not deleted:
        raise NotFound("No such item.", f"{item_id} is not in this check's history.")


def _is_allowed(
    db: Database, check: CheckPath, key: ItemKey, precondition: Precondition | None, oldest_ms: int | None
) -> bool:
    """Say whether the item is there to be changed: it is locked for that, if there is a precondition to ask."""
    if precondition is None:
        return True
    found = _locked(db, check, key, None)
    if found is not None:
        precondition(_stored(found) if key.ticks >= low_ticks(oldest_ms) else None)
    return found is not None


def _locked(db: Database, check: CheckPath, key: ItemKey, oldest_ms: int | None) -> Row | None:
    """Return the document of an item that is shown, and lock the item."""
    select = f"SELECT {db.text_of('document')} FROM history_item WHERE {_IS_SHOWN}"
    return first(db, db.locked(select), **_values(check, key, oldest_ms))


def _stored(row: Row) -> StoredDocument:
    return StoredDocument(StoredForm.JSON, encoded(row[0]))


def _result_of(item: Document, notification_id: str) -> Document:
    """Return the first result of a notification. Raises NotFound."""
    for result in item["notification_results"]:
        if result.get("notification_id") == notification_id:
            found: Document = result
            return found
    raise NotFound("No such notification.", f"{notification_id} is not among the item's results.")


def update_texts(db: Database, check: CheckPath, key: ItemKey, texts: Texts) -> int:
    """Replace the texts of an item; return whether it is there, as 0 or 1."""
    return changed(db, _UPDATE, **check_values(check), **key._asdict(), **texts._asdict())


def _values(check: CheckPath, key: ItemKey, oldest_ms: int | None) -> Mapping[str, Any]:
    return {**check_values(check), **key._asdict(), "low": low_ticks(oldest_ms)}
