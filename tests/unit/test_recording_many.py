"""One call records however many records, in batches: all or none, and nobody waits meanwhile."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import orjson
import pytest

from notifhist.errors import ItemConflict
from notifhist.schemas.document import Document
from notifhist.schemas.fields import INT64
from notifhist.schemas.query import CheckPath
from notifhist.serializers import as_xml
from notifhist.store.database import Database, Table
from tests.conftest import NOW_MS, every_row
from tests.cpu import cpu_ms
from tests.http.helpers import item_at
from tests.records import all_items, all_runs, count_items, count_runs
from tests.unit.drafts import CHECK, drafts_of, ids_of, item, record_now, run

WITH_NUL = {"status": "a\0b", "n\0": {"\0": "\0"}}


def test_nobody_waits_while_items_are_rendered(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    element, waiting = as_xml.element, []

    def noted(*arguments: Any) -> str:
        waiting.append(db.in_transaction())
        return element(*arguments)

    monkeypatch.setattr(as_xml, "element", noted)
    assert record_now(db, [item(n) for n in range(1200)]).created == 1200
    assert waiting == [False] * 1200


def many(number: int, **members: Any) -> list[Document]:
    return [item_at(NOW_MS + n // 2, n, **members) for n in range(number)]


def test_many_items_are_recorded_once_whatever_is_there(db: Database) -> None:
    """More than are inserted at once: on PostgreSQL each batch is copied, the last one is not."""
    items, other = many(2300), CheckPath("z", "e", "a", "c")
    record_now(db, drafts_of(items[100:1200:100]))
    for created in (2300 - 11 + 700, 0):
        recorded = record_now(db, [*drafts_of(items), *drafts_of(items[:700], other)])
        assert recorded.created == created
        assert ids_of(recorded.documents) == [item["id"] for item in (*items, *items[:700])]
        assert [item for check, item in all_items(db) if check == CHECK] == items
        assert [item for check, item in all_items(db) if check == other] == items[:700]


@pytest.mark.long
def test_all_records_are_read_however_many_there_are(db: Database) -> None:
    items = many(1201)
    ids = [INT64[0], *range(-700, 700), *INT64[1:]]
    record_now(db, [*drafts_of(items), *(run(n) for n in ids), *drafts_of(items[:500], CheckPath("z", "e", "a", "c"))])
    record_now(db, [run(n, "z") for n in range(500)])
    assert [(check.tenant, item) for check, item in all_items(db)] == [
        *(("t", item) for item in items),
        *(("z", item) for item in items[:500]),
    ]
    assert [(tenant, document["id"]) for tenant, document in all_runs(db)] == [
        *(("t", n) for n in ids),
        *(("z", n) for n in range(500)),
    ]
    assert (count_items(db), count_runs(db)) == (1701, len(ids) + 500)


def test_a_conflict_in_a_later_batch_undoes_the_earlier_ones(db: Database) -> None:
    items = many(2100)
    record_now(db, drafts_of([{**items[-1], "state": "WARNING"}]))
    before = every_row(db)
    with pytest.raises(ItemConflict, match=items[-1]["id"]):
        record_now(db, [*drafts_of(items), *drafts_of(items[:600], CheckPath("new", "e", "a", "c"))])
    assert every_row(db) == before


@pytest.mark.parametrize("number", [1, 600])
def test_an_item_may_have_u_0000(db: Database, number: int) -> None:
    items = many(number, **WITH_NUL)
    for created in (number, 0):
        recorded = record_now(db, drafts_of(items))
        assert recorded.created == created
        assert [orjson.loads(document) for document in recorded.documents] == items
    assert [item for _, item in all_items(db)] == items


def test_items_are_inserted_in_the_order_of_their_keys(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    inserted: list[tuple[Any, ...]] = []
    insert = type(db).insert_missing

    def insert_missing(self: Any, table: Table, given: Sequence[Sequence[Any]]) -> set[tuple[Any, ...]]:
        inserted.extend(tuple(row[:3]) for row in given)
        return insert(self, table, given)

    monkeypatch.setattr(type(db), "insert_missing", insert_missing)
    items = [item_at(NOW_MS + n * 7919 % 500) for n in range(500)]
    record_now(db, drafts_of(items))
    assert len(inserted) == 500
    assert inserted == sorted(inserted)

    again = list(inserted)
    inserted.clear()
    record_now(db, drafts_of(items[::-1]))
    assert inserted == again


def test_a_very_long_item_does_not_slow_those_beside_it(db: Database) -> None:
    def record_some(thousand: int) -> float:
        numbers = count()
        some = iter([[item(1000 * thousand + next(numbers)) for _ in range(200)] for _ in range(3)])
        return cpu_ms(lambda: record_now(db, next(some)))

    alone = record_some(thousand=1)
    record_now(db, [item(3 * 1000, status="x" * 8_000_000)])
    assert record_some(thousand=2) < 4 * alone  # some 100 times as long while a key was compared with whole items
