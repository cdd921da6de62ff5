"""Long texts of items, which SQLite stores apart, are read, replaced and deleted as short ones are."""

import json
from importlib import import_module
from itertools import product

import pytest
from flask.testing import FlaskClient

from notifhist.store.database import Database
from notifhist.store.database.sql import changed, rows
from notifhist.store.database.sqlite import LONG_CHARACTERS
from notifhist.store.history.items import KEY, TABLE
from notifhist.store.purge import purge
from notifhist.transfer.export import export_lines
from tests.conftest import NOW_MS
from tests.http.helpers import CHECK, get_json, get_xml, id_at, item_at, post, send
from tests.long_texts import assert_every_reference_is_right
from tests.records import all_items, record_items
from tests.unit.drafts import CHECK as OWNER
from tests.unit.drafts import drafts_of, item, record_now

SIZES = {"short": 10, "long": 70_000, "very long": 1_000_000}


def texts(size: str) -> int:
    return 0 if size == "short" else 2


def sized(size: str, number: int = 0) -> dict[str, object]:
    results = [{"notification_id": "n", "attempts": []}]
    return item_at(NOW_MS, number, notification_results=results, status=size[0] * SIZES[size])


def assert_answered(client: FlaskClient, documents: list[dict[str, object]]) -> None:
    """Assert that the items are read in both formats, alone and in pages of every size and order."""
    assert get_json(client, f"{CHECK}?limit=2")["values"] == documents[:2]
    for query in ("", "?reverse=true"):
        assert get_json(client, CHECK + query)["values"] == documents[:: -1 if query else 1]
        found = get_xml(client, CHECK + query).iterfind("values/alarm_notification_history_item/status")
        assert [each.text for each in found] == [each["status"] for each in documents[:: -1 if query else 1]]
    for document in documents:
        url = f"{CHECK}/{document['id']}"
        assert get_json(client, url) == document
        assert get_xml(client, url).findtext("status") == document["status"]


def test_long_and_short_items_are_answered_alone_and_in_pages(client: FlaskClient, db: Database) -> None:
    documents = [sized(size, n) for n, size in enumerate([*SIZES, *reversed(SIZES)])]
    for status in (201, 200):
        post(client, CHECK, {"values": documents}, status)
        assert_answered(client, documents)
        assert_every_reference_is_right(db, texts=8)
    post(client, CHECK, {"values": [*documents[:3], item_at(NOW_MS + 1), sized("long", 9) | {"state": "OK"}]})
    assert_every_reference_is_right(db, texts=10)
    post(client, CHECK, {"values": [sized("long", 10), {**documents[1], "state": "WARNING"}]}, 400)
    assert_every_reference_is_right(db, texts=10)


@pytest.mark.long
@pytest.mark.parametrize(("before", "after"), [*product(SIZES, repeat=2)])
def test_an_item_is_replaced_gets_attempts_and_is_deleted(
    before: str, after: str, client: FlaskClient, db: Database
) -> None:
    url, beside = f"{CHECK}/{id_at(NOW_MS, 1)}", sized("long")
    post(client, CHECK, beside)
    for size in (before, after, after):
        document = sized(size, 1)
        send(client, "PUT", url, document)
        assert_answered(client, [beside, document])
        assert_every_reference_is_right(db, texts=2 + texts(size))
    attempt = {"message": "m" * SIZES[before]}
    post(client, f"{url}/notification_results/n/attempts", attempt)
    document["notification_results"] = [{"notification_id": "n", "attempts": [attempt]}]
    assert get_json(client, url) == document
    assert_every_reference_is_right(db, texts=2 + texts("short" if after == before == "short" else "long"))
    assert client.delete(url).status_code == 204
    assert_answered(client, [beside])
    assert_every_reference_is_right(db, texts=2)


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_long_items_are_purged(batch: int, db: Database) -> None:
    documents = [item_at(NOW_MS + n, status="x" * SIZES[size]) for n, size in enumerate([*SIZES] * 2)]
    record_items(db, OWNER, documents)
    assert sum(purge(db, NOW_MS + 4, batch)) == 4
    assert [found for _, found in all_items(db)] == documents[4:]
    assert_every_reference_is_right(db, texts=4)


def test_an_item_that_is_there_already_leaves_nothing_behind(db: Database) -> None:
    assert record_now(db, [item(status="x" * 10)]).created == 1
    record_now(db, [item(status="x" * 100_000)], skip_conflicts=True)
    assert_every_reference_is_right(db, texts=0)
    assert [found["status"] for _, found in all_items(db)] == ["x" * 10]


@pytest.mark.parametrize("there", SIZES)
def test_rows_that_are_there_when_they_are_inserted_leave_nothing_behind(there: str, db: Database) -> None:
    record_now(db, [item(1, status="x" * SIZES[there])])
    (row,) = rows(db, f"SELECT {', '.join(KEY)} FROM history_item")
    new, long = (row[0], row[1] + 1, row[2]), ("y" * 70_000, "z" * 70_000, 1)
    with db.writing():
        assert db.insert_missing(TABLE, [(*row, *long), (*new, *long), (*new, *long)]) == {new}
    assert_every_reference_is_right(db, texts=texts(there) + 2)
    read = f"SELECT {db.text_of('document')}, {db.text_of('xml')} FROM history_item WHERE ticks = :ticks"
    assert rows(db, read, ticks=new[1]) == [long[:2]]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_new_item_is_never_in_the_table_with_its_long_texts(db: Database) -> None:
    """A trigger would set them apart, once they are written: they would be written twice."""
    for column in ("document", "xml"):
        db.execute_sql(f"DROP TRIGGER long_{column}_updated")
    assert record_now(db, [item(status="x" * 100_000)]).created == 1
    assert_every_reference_is_right(db, texts=2)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("characters", [LONG_CHARACTERS, LONG_CHARACTERS + 1])
def test_what_is_long_is_the_same_for_inserts_updates_and_the_migration(characters: int, db: Database) -> None:
    kinds = "SELECT typeof(document), typeof(xml) FROM history_item"
    text, expected = "ж" * characters, [("blob" if characters > LONG_CHARACTERS else "text",) * 2]
    with db.writing():
        db.insert_missing(TABLE, [(1, 1, 1, text, text, 1)])
        assert rows(db, kinds) == expected
        changed(db, "UPDATE history_item SET document = :value, xml = :value", value=text)
        assert rows(db, kinds) == expected
    assert_every_reference_is_right(db)
    migration = import_module("notifhist.store.migrations.0002_long_texts")
    ((is_long,),) = rows(db, f"SELECT {migration.IS_LONG.format(':value')}", value=text)
    assert is_long == (characters > LONG_CHARACTERS)


def test_long_items_are_exported_and_loaded_again(db: Database) -> None:
    documents = [sized(size, n) for n, size in enumerate(SIZES)]
    record_now(db, drafts_of(documents))
    lines = [json.loads(line) for line in export_lines(db)]
    exported = [line["item"] for line in lines]
    assert exported == documents
    for _ in purge(db, NOW_MS + 1, 500):
        pass
    assert_every_reference_is_right(db, texts=0)
    assert record_now(db, drafts_of(exported)).created == 3
    assert [found for _, found in all_items(db)] == documents
    assert_every_reference_is_right(db, texts=4)
