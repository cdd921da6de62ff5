"""`purge`, as a process: it deletes what has expired, and nobody waits for it."""

from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import CheckPath
from notifhist.schemas.runs import RUN
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.migrating import pending_migrations
from notifhist.store.purge import last_purge_ms
from tests.conftest import NOW_MS, TENANT
from tests.http.helpers import CHECK, get_json, id_at, item_at, post, run_of
from tests.records import all_items, count_items, record_items, record_runs
from tests.system.commands import application, client_of, finish, run, start
from tests.system.service import opened

DAY_MS = 86_400_000
OLDEST_MS = NOW_MS - 30 * DAY_MS
WHERE = CheckPath(TENANT, "enOne", "alOne", "chOne")
ELSEWHERE = CheckPath("654321", "enOne", "alOne", "chOne")


def record(db: Database, where: CheckPath, *item_ids: str) -> None:
    items = [{"id": item_id, "state": "OK", "notification_results": []} for item_id in item_ids]
    record_items(db, where, items)


def stored(db: Database) -> list[tuple[str, str]]:
    """Return tenant and id of every item."""
    return [(check.tenant, item["id"]) for check, item in all_items(db)]


EXPIRED = [id_at(0), id_at(OLDEST_MS - DAY_MS), id_at(OLDEST_MS - 1, ticks=TICKS_PER_MS - 1)]
SHOWN = [id_at(OLDEST_MS), id_at(OLDEST_MS, number=1), id_at(NOW_MS), id_at(NOW_MS + DAY_MS)]


@pytest.mark.parametrize("batch", ["1", "2", "3", "500"])
def test_purge_deletes_exactly_what_has_expired(database_url: str, db: Database, batch: str) -> None:
    record(db, WHERE, *EXPIRED, *SHOWN)
    record(db, ELSEWHERE, *EXPIRED)
    record_runs(db, TENANT, [RUN.load(run_of(id=1, dateCreated="1999-01-01T00:00:00Z"))])
    said = "Deleted {} items older than 2011-10-11T01:00:00.000Z.\n"
    assert last_purge_ms(db) is None
    assert run(database_url, "purge", "--batch", batch).stdout == said.format(6)
    assert last_purge_ms(db) == NOW_MS  # for `notifhist doctor`
    assert stored(db) == [(TENANT, item_id) for item_id in SHOWN]
    assert run(database_url, "purge", "--batch", batch).stdout == said.format(0)
    assert stored(db) == [(TENANT, item_id) for item_id in SHOWN]
    with application(database_url) as app:
        assert get_json(client_of(app), "/api/v1/notifications/logs/run")["total"] == 1


def test_purge_does_not_upgrade_the_tables_under_a_service(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with closing(open_database(url, create=True)) as db:
        ensure_connected(db)
        told = run(url, "purge", code=1).stderr
        assert "0001_tables" in told
        assert "Stop the service, run `notifhist migrate`, and start it again." in told
        assert pending_migrations(db)[0] == "0001_tables"


def test_what_purge_deletes_is_what_is_not_shown(database_url: str, db: Database) -> None:
    record(db, WHERE, *EXPIRED, *SHOWN)
    with application(database_url) as app:
        client = client_of(app)
        url = f"{CHECK}?from=0&to={NOW_MS + 2 * DAY_MS}"
        before = client.get(url).data
        assert run(database_url, "purge").stdout.startswith("Deleted 3 items")
        assert client.get(url).data == before
        assert [item["id"] for item in get_json(client, url)["values"]] == SHOWN


@pytest.mark.parametrize(("days", "deleted"), [("0", None), ("1", 5), ("31", 1), ("36500", 0)])
def test_the_retention_decides(database_url: str, db: Database, days: str, deleted: int | None) -> None:
    record(db, WHERE, *EXPIRED, *SHOWN)
    said = run(database_url, "purge", RETENTION_DAYS=days).stdout
    if deleted is None:
        assert said == "Nothing ever expires: NOTIFHIST_RETENTION_DAYS is 0.\n"
    else:
        assert said.startswith(f"Deleted {deleted} items older than ")
    assert count_items(db) == len(EXPIRED) + len(SHOWN) - (deleted or 0)


@pytest.mark.long
def test_readers_and_writers_go_on_during_a_purge(database_url: str, db: Database) -> None:
    expired = 10_000
    record(db, WHERE, *(id_at(1_000_000_000_000 + n) for n in range(expired)))
    with application(database_url) as app:
        client = client_of(app)
        purging = start(database_url, "purge", "--batch", "50")
        left = [expired]
        while purging.poll() is None:
            item = post(client, CHECK, item_at(NOW_MS, number=len(left))).get_json()
            assert get_json(client, f"{CHECK}/{item['id']}") == item
            left.append(count_items(db) - len(left))
        assert finish(purging).stdout.startswith(f"Deleted {expired} items")
        deleted_during_a_write = [before - after for before, after in pairwise(left)]
        # Had a writer to wait for the end of the purge, all would be deleted during one write.
        assert sum(1 for deleted in deleted_during_a_write if 0 < deleted < expired) >= 3
        assert count_items(db) == len(left) - 1


def test_a_sqlite_file_gets_shorter_by_what_is_purged(sqlite_database: str) -> None:
    path = Path(sqlite_database.removeprefix("sqlite:///"))
    with opened(sqlite_database) as db:
        record(db, WHERE, *(id_at(1_000_000_000_000 + n) for n in range(20_000)), *SHOWN)
    before = path.stat().st_size
    assert run(sqlite_database, "purge").stdout.startswith("Deleted 20000 items")
    assert path.stat().st_size < before / 5
    with opened(sqlite_database) as db:
        assert stored(db) == [(TENANT, item_id) for item_id in SHOWN]
