from collections.abc import Sequence
from typing import Any

import pytest

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from notifhist.store.history.recording import record_items
from tests.conftest import NOW_MS
from tests.http.helpers import item_at

CHECK = CheckPath("t", "e", "a", "c")


def test_items_are_inserted_in_the_order_of_their_keys(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    inserted: list[tuple[int, int]] = []
    insert = type(db).insert_items

    def insert_items(self: Any, rows: Sequence[Sequence[Any]]) -> list[tuple[int, int]]:
        inserted.extend((row[1], row[2]) for row in rows)
        return insert(self, rows)

    monkeypatch.setattr(type(db), "insert_items", insert_items)
    items = [item_at(NOW_MS + n * 7919 % 500) for n in range(500)]

    record_items(db, CHECK, items, NOW_MS * TICKS_PER_MS)

    assert len(inserted) == 500
    assert inserted == sorted(inserted)
