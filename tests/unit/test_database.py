"""Connections and transactions, on either database."""

import threading
from pathlib import Path

import peewee
import pytest

from notifhist.store.database import Database, discard_connection, ensure_connected, is_unreachable, open_database
from notifhist.store.database.sql import rows
from tests.unit.tenant_rows import connection_of, count, insert


def test_a_connection_is_kept_for_the_next_request(db: Database) -> None:
    before = connection_of(db)
    ensure_connected(db)
    assert connection_of(db) is before


def test_each_thread_has_a_connection_of_its_own(db: Database) -> None:
    connections = [connection_of(db)]

    def connect() -> None:
        ensure_connected(db)
        connections.append(connection_of(db))
        db.close()

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join()
    assert len(set(map(id, connections))) == 2


def test_discarding_a_connection_leaves_its_transaction_undone(db: Database) -> None:
    transaction = db.writing()
    transaction.__enter__()
    insert(db)
    discard_connection(db)
    ensure_connected(db)
    assert not db.in_transaction()
    assert count(db) == 0
    with db.writing():
        insert(db)
    assert count(db) == 1


def test_a_lost_connection_is_replaced(db: Database) -> None:
    connection_of(db).close()
    discard_connection(db)
    ensure_connected(db)
    assert db.is_current()
    assert count(db) == 0


def test_a_transaction_that_fails_is_undone(db: Database) -> None:
    def fail_midway() -> None:
        with db.writing():
            insert(db)
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail_midway()
    assert count(db) == 0


@pytest.mark.parametrize(
    ("text", "part", "contained"),
    [
        ("abc", "b", True),
        ("abc", "B", False),
        ("a%c", "%", True),
        ("abc", "%", False),
        ("abc", "_", False),
        ("a\\c", "\\", True),
        ("ström", "ö", True),
        ("🚦", "🚦", True),
        ("", "a", False),
    ],
)
def test_containing_is_meant_literally(text: str, part: str, contained: bool, db: Database) -> None:
    with db.writing():
        insert(db, text)
    found = rows(db, f"SELECT name FROM tenant WHERE {db.contains('name', ':part')}", part=part)
    assert bool(found) == contained


def test_reading_sees_one_state(database_url: str, db: Database) -> None:
    other = open_database(database_url)
    ensure_connected(other)
    with db.reading():
        assert count(db) == 0
        with other.writing():
            insert(other)
        assert count(db) == 0
    assert count(db) == 1
    other.close()


def test_a_database_without_tables_is_unreachable(empty: Database) -> None:
    with pytest.raises(peewee.DatabaseError) as raised:
        count(empty)
    assert is_unreachable(raised.value)
    discard_connection(empty)


def test_a_broken_rule_is_not_unreachable() -> None:
    assert not is_unreachable(peewee.IntegrityError("UNIQUE constraint failed"))
    assert not is_unreachable(peewee.ProgrammingError("syntax error"))
    assert is_unreachable(peewee.OperationalError("database is locked"))


def test_an_error_is_not_hidden_by_the_loss_of_the_connection(db: Database) -> None:
    def fail_midway() -> None:
        with db.writing():
            insert(db)
            connection_of(db).close()
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail_midway()
    ensure_connected(db)
    assert count(db) == 0


def test_opening_connects_to_nothing(tmp_path: Path) -> None:
    assert open_database(f"sqlite:///{tmp_path}/none/none.db", create=True).is_closed()
    assert open_database("postgresql://127.0.0.1:1/none").is_closed()
