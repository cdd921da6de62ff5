"""Fills work in batches, each once, whatever interrupts them; until they are finished the service is not ready."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask

from notifhist.cli import main
from notifhist.store import fills
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.database.sql import changed, rows
from notifhist.store.fills import Fill, run_fills
from notifhist.store.migrating import migrate, pending_migrations
from tests.conftest import MIGRATIONS, MakeApp, authorized
from tests.http.helpers import CHECK, RUNS, assert_fault, assert_run_error

RECORDS, BATCH = 25, 10


def fill_toy(db: Database, position: str | None, batch: int) -> tuple[str | None, int]:
    """Count for each record of `toy` how often it was filled."""
    after = int(position or 0)
    some = {"after": after, "last": after + batch}
    done = changed(db, "UPDATE toy SET times = times + 1 WHERE n > :after AND n <= :last", **some)
    return (str(after + batch) if after + batch < RECORDS else None), done


def count_toy(db: Database) -> int:
    return int(rows(db, "SELECT count(*) FROM toy")[0][0])


TOY = Fill("toy", fill_toy, count_toy)


@pytest.fixture
def toy(db: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A table with records, and a fill of it that is yet to be done."""
    use_toy(monkeypatch.setattr)
    db.execute_sql("CREATE TABLE toy (n INTEGER NOT NULL PRIMARY KEY, times INTEGER NOT NULL)")
    db.execute_many("INSERT INTO toy VALUES (:n, 0)", [{"n": n} for n in range(1, RECORDS + 1)])
    yield
    db.execute_sql("DROP TABLE toy")
    db.execute_sql("DELETE FROM meta WHERE name = 'fill toy'")


def use_toy(setattr_: Any = setattr, fill: Fill = TOY) -> None:
    setattr_(fills, "FILLS", (fill,))
    setattr_(fills, "BATCH_RECORDS", BATCH)


def times(db: Database) -> list[int]:
    return [each for (each,) in rows(db, "SELECT times FROM toy ORDER BY n")]


class Shown:
    """What was shown of the progress; raises once `until` reports have come."""

    def __init__(self, until: int | None = None) -> None:
        self.titles: list[tuple[str, int]] = []
        self.reports: list[int] = []
        self._until = until

    @contextmanager
    def __call__(self, title: str, total: int) -> Iterator[Any]:
        self.titles.append((title, total))
        yield self._report

    def _report(self, done: int) -> None:
        self.reports.append(done)
        if len(self.reports) == self._until:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("toy")
def test_a_fill_is_run_by_migrating_in_batches_and_once(db: Database) -> None:
    assert pending_migrations(db) == ["toy"]
    shown = Shown()
    assert migrate(db, shown) == ["toy"]
    assert (shown.titles, shown.reports) == ([("Filling toy", RECORDS)], [10, 10, 5])
    assert times(db) == [1] * RECORDS
    assert pending_migrations(db) == migrate(db) == []
    assert times(db) == [1] * RECORDS


@pytest.mark.usefixtures("toy")
def test_an_interrupted_fill_goes_on_where_it_was(db: Database) -> None:
    with pytest.raises(KeyboardInterrupt):
        migrate(db, Shown(until=2))
    assert times(db) == [1] * 20 + [0] * 5
    assert pending_migrations(db) == ["toy"]
    shown = Shown()
    assert migrate(db, shown) == ["toy"]
    assert (shown.titles, shown.reports) == ([("Filling toy", 5)], [5])
    assert times(db) == [1] * RECORDS


@pytest.mark.usefixtures("toy")
def test_a_batch_that_fails_changes_nothing(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_at_the_end(db: Database, position: str | None, batch: int) -> tuple[str | None, int]:
        done = fill_toy(db, position, batch)
        if done[0] is None:
            raise OSError("No space left on device")
        return done

    monkeypatch.setattr(fills, "FILLS", (Fill("toy", fail_at_the_end, count_toy), Fill("another", fill_toy, count_toy)))
    with pytest.raises(OSError, match="No space"):
        migrate(db)
    assert not db.in_transaction()
    assert times(db) == [1] * 20 + [0] * 5
    assert pending_migrations(db) == ["toy", "another"]


def killed_within_the_third_batch(url: str) -> None:
    def kill(db: Database, position: str | None, batch: int) -> tuple[str | None, int]:
        done = fill_toy(db, position, batch)
        if position == "20":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    use_toy(fill=Fill("toy", kill, count_toy))
    database = open_database(url)
    ensure_connected(database)
    migrate(database)


@pytest.mark.usefixtures("toy")
def test_a_kill_loses_no_batch_and_repeats_none(db: Database, database_url: str) -> None:
    process = multiprocessing.get_context("spawn").Process(target=killed_within_the_third_batch, args=[database_url])
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert times(db) == [1] * 20 + [0] * 5
    assert migrate(db) == ["toy"]
    assert times(db) == [1] * RECORDS


def fill_when_all_are_ready(url: str, start: Any) -> int:
    use_toy()
    fills.BATCH_RECORDS = 1
    database = open_database(url)
    ensure_connected(database)
    start.wait(timeout=60)
    shown = Shown()
    migrate(database, shown)
    database.close()
    return sum(shown.reports)


@pytest.mark.long
@pytest.mark.usefixtures("toy")
def test_of_hosts_that_fill_at_the_same_moment_none_repeats_a_batch(db: Database, database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(3) as pool:
        start = manager.Barrier(3)
        seen = pool.starmap(fill_when_all_are_ready, [(database_url, start)] * 3, chunksize=1)
    assert times(db) == [1] * RECORDS
    assert max(seen) == RECORDS, "each shows the progress of all"
    assert migrate(db) == []


def test_a_database_without_tables_needs_no_fill(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fills, "FILLS", (TOY,))
    assert pending_migrations(empty) == MIGRATIONS
    assert migrate(empty) == MIGRATIONS
    assert pending_migrations(empty) == migrate(empty) == []


@pytest.mark.usefixtures("toy")
def test_a_service_whose_tables_are_not_filled_refuses_all_until_they_are(db: Database, app: Flask, key: str) -> None:
    client = authorized(app, key)
    for url in ("/readyz", CHECK):
        fault = assert_fault(client.get(url), 503, "systemFailureError")
        assert "`notifhist migrate`" in fault["message"]
        assert fault["details"] == "toy"
    assert_run_error(client.get(RUNS), 503, "UNHANDLED_EXCEPTION")
    assert_fault(client.get("/v1.0/nothing"), 404, "notFoundError")
    assert client.get("/healthz").status_code == 200
    assert run_fills(db) == ["toy"]
    for url in ("/readyz", CHECK, RUNS):
        assert client.get(url).status_code == 200


@pytest.mark.usefixtures("toy")
def test_a_service_that_has_seen_the_fills_finished_looks_no_more(
    db: Database, make_app: MakeApp, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_fills(db)
    client = authorized(make_app(), key)
    assert client.get(CHECK).status_code == 200
    monkeypatch.setattr(fills, "pending_fills", None)
    assert client.get(CHECK).status_code == 200


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("command", [["migrate"], ["keys", "list"], ["export"]], ids=lambda command: command[0])
def test_the_commands_finish_the_fills(command: list[str], db: Database, database_url: str) -> None:
    done = CliRunner().invoke(main, command, env={"NOTIFHIST_DATABASE_URL": database_url})
    assert done.exit_code == 0, done.output
    assert ("Applied: toy" in done.output) == (command == ["migrate"])
    assert times(db) == [1] * RECORDS
