"""Merge the attempts of a feed's items into the items that are stored, all in one transaction."""

from collections import Counter

import orjson

from notifhist.errors import BadRequest
from notifhist.feeds.merging import dropped, merged
from notifhist.schemas.document import Document
from notifhist.schemas.item_ids import ItemKey
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from notifhist.store.deliveries import recording as delivery_index
from notifhist.store.deliveries.derive import Delivery, deliveries_of
from notifhist.store.deliveries.recording import Replaced
from notifhist.store.history.items import texts_of
from notifhist.store.history.recording import update_texts
from notifhist.store.history.series import find_series

_MAX_CHARACTERS = 16 * 1024 * 1024
"""What the stored items of one body may have together: each is read and written whole, at 0.15 s for a million."""


class Merger:
    """Merges attempts, within a transaction that has locked the tenant's name; `finish` writes the deliveries."""

    def __init__(self, db: Database, reasons: Counter[str]) -> None:
        """Take where to count why attempts are not merged."""
        self._db, self._reasons = db, reasons
        self._characters = 0
        self._replaced: list[tuple[CheckPath, ItemKey, list[Delivery], list[Delivery]]] = []

    def merge(self, check: CheckPath, key: ItemKey, item: Document, document: str) -> bool:
        """Merge the attempts of an item into the stored one, whose JSON text is `document`; say whether it changed."""
        self._characters += len(document)
        if self._characters > _MAX_CHARACTERS:
            self._reasons["too_large"] += 1
            return False
        old = orjson.loads(document)
        new = merged(old, item)
        if lost := dropped([old, item], new or old):
            self._reasons["too_many_attempts"] += lost
        if new is None:
            if not lost:
                self._reasons["known"] += 1
            return False
        try:
            texts, before, after = texts_of(new), deliveries_of(check, old), deliveries_of(check, new)
        except BadRequest:  # it is full; the other items of the body are none the worse
            self._reasons["too_large"] += 1
            return False
        if not update_texts(self._db, check, key, texts):  # it has expired, and was purged meanwhile
            return False
        self._replaced.append((check, key, before, after))
        return True

    def finish(self) -> None:
        """Have the deliveries of all merged items follow."""
        if self._replaced:
            series = find_series(self._db, {each[0] for each in self._replaced})
            replaced = [Replaced(series[check], key, before, after) for check, key, before, after in self._replaced]
            delivery_index.replace(self._db, replaced)
