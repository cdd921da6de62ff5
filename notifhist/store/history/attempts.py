"""Merge the attempts of a feed's items into the items that are stored, all in one transaction."""

from collections import Counter

import orjson

from notifhist.feeds.merging import dropped, merged
from notifhist.schemas.document import Document
from notifhist.schemas.item_ids import ItemKey
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from notifhist.store.deliveries import recording as delivery_index
from notifhist.store.deliveries.derive import deliveries_of
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
        self._replaced: dict[CheckPath, list[tuple[ItemKey, Document, Document]]] = {}

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
        if new is None or not update_texts(self._db, check, key, texts_of(new)):
            if not lost:
                self._reasons["known"] += 1
            return False
        self._replaced.setdefault(check, []).append((key, old, new))
        return True

    def finish(self) -> None:
        """Have the deliveries of all merged items follow."""
        series = find_series(self._db, self._replaced.keys()) if self._replaced else {}
        replaced = [
            Replaced(series[check], key, deliveries_of(check, old), deliveries_of(check, new))
            for check, items in self._replaced.items()
            for key, old, new in items
        ]
        delivery_index.replace(self._db, replaced)
