"""Sessions and links in the store: kept by their hashes, found until they expire, used once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from notifhist.auth import hash_secret
from notifhist.store.database import Database, ensure_connected
from notifhist.store.database.sql import rows
from notifhist.store.sessions import (
    LINK_MS,
    Session,
    add_session,
    delete_session,
    extend_session,
    find_session,
    new_login_link,
    use_login_link,
)
from tests.conftest import NOW_MS, every_row


def test_a_session_is_found_until_it_expires_or_ends(db: Database) -> None:
    session = Session("a", "key", NOW_MS, NOW_MS + 10)
    add_session(db, session)
    assert find_session(db, "a", NOW_MS + 9) == session
    assert find_session(db, "a", NOW_MS + 10) is None
    assert find_session(db, "b", NOW_MS) is None
    extend_session(db, "a", NOW_MS + 20)
    assert find_session(db, "a", NOW_MS + 19) == session._replace(expires=NOW_MS + 20)
    delete_session(db, "a")
    assert find_session(db, "a", NOW_MS) is None


def test_a_text_that_is_no_session_and_no_link_waits_for_no_writer(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "writing", None)
    delete_session(db, "none")
    assert use_login_link(db, "none", NOW_MS) is None


def test_what_has_expired_goes_with_the_next_session(db: Database) -> None:
    add_session(db, Session("a", "key", NOW_MS, NOW_MS + 10))
    new_login_link(db, "key", NOW_MS)
    add_session(db, Session("b", "key", NOW_MS + LINK_MS, NOW_MS + 2 * LINK_MS))
    assert rows(db, "SELECT id FROM page_session") == [("b",)]
    assert rows(db, "SELECT id FROM login_link") == []


def test_the_store_has_no_link_but_its_hash(db: Database) -> None:
    token = new_login_link(db, "key", NOW_MS)
    held = str(every_row(db))
    assert token not in held
    assert hash_secret(token) in held


def test_a_link_works_once_however_many_press_the_button(db: Database) -> None:
    def use(token: str) -> str | None:
        ensure_connected(db)
        try:
            return use_login_link(db, hash_secret(token), NOW_MS)
        finally:
            db.close()

    with ThreadPoolExecutor(4) as threads:
        for _ in range(5):
            used = list(threads.map(use, [new_login_link(db, "key", NOW_MS)] * 4))
            assert sorted(used, key=str) == [None, None, None, "key"]
    assert use_login_link(db, hash_secret(new_login_link(db, "key", NOW_MS)), NOW_MS + LINK_MS) is None
