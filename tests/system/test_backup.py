"""`notifhist backup` while writers are writing, and what a service answers that is started from it."""

import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

from notifhist.clock import Clock
from tests.http.helpers import CHECK, RUNS, item_at, run_of
from tests.system.commands import finish, run, start
from tests.system.conftest import MakeService
from tests.system.service import ROOT, Client, wait_until

RESTORE = ("rm -f notifhist.db-wal notifhist.db-shm", "mv copy.db notifhist.db")


NOW_MS = Clock().now_ms()
ALL = f"{CHECK}?from=0&limit=1000"
PAUSE_S, MOST = 0.01, 900


class Writer(threading.Thread):
    """Records items one after the other, as many as fit on a page, and notes the id of each that was answered."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client, self.acknowledged, self.goes_on = client, list[str](), True

    def run(self) -> None:
        for number in range(MOST):
            if not self.goes_on:
                return
            item = item_at(NOW_MS, number, status="x" * 2000)
            assert self.client.post(CHECK, item).status_code == 201
            self.acknowledged.append(item["id"])
            time.sleep(PAUSE_S)


def test_a_backup_made_under_writes_answers_all_that_was_acknowledged_before(
    make_service: MakeService, tmp_path: Path
) -> None:
    documented = (ROOT / "docs/operating.md").read_text()
    for command in ("notifhist backup copy.db", *RESTORE):
        assert f"`{command}`" in documented
    service = make_service(f"sqlite:///{tmp_path}/notifhist.db", cwd=tmp_path).start()
    key = service.create_key()
    assert service.ask(RUNS, key, "POST", json=run_of()).status_code == 201
    writer = Writer(service.client(key))
    writer.start()
    wait_until(lambda: len(writer.acknowledged) > 50)
    before = list(writer.acknowledged)
    told = service.run("backup", "copy.db")
    assert told.returncode == 0, told.stderr
    assert len(writer.acknowledged) > len(before)
    writer.goes_on = False
    writer.join()
    items, runs = (service.ask(path, key).json() for path in (ALL, RUNS))
    service.kill()  # its log stays
    for command in RESTORE:
        subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    service.start()
    restored = service.ask(ALL, key).json()["values"]
    assert {item["id"] for item in restored} >= set(before)
    assert restored == items["values"][: len(restored)]  # no gap, and each item as a whole
    assert service.ask(RUNS, key).json() == runs
    assert service.ask(CHECK, key, "POST", json=item_at(NOW_MS, MOST)).status_code == 201


def test_it_says_what_it_has_written_and_replaces_by_force_alone(sqlite_database: str, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    assert run(sqlite_database, "backup", file).stderr.startswith(f"Wrote {file}: ")
    assert "--force" in run(sqlite_database, "backup", file, code=1).stderr
    assert "checked" in run(sqlite_database, "backup", file, "--force").stderr
    assert "No such file" in run(sqlite_database, "backup", tmp_path / "none" / "copy.db", code=1).stderr


def test_a_database_that_waits_for_migrations_is_backed_up_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "old.db").touch()
    run(f"sqlite:///{tmp_path}/old.db", "backup", tmp_path / "copy.db")
    assert "tables: The tables are not up to date" in run(f"sqlite:///{tmp_path}/copy.db", "doctor", code=2).stdout


def test_sigterm_has_it_remove_what_it_has_begun(sqlite_database: str, tmp_path: Path) -> None:
    with sqlite3.connect(sqlite_database.removeprefix("sqlite:///")) as database:
        database.execute("CREATE TABLE filler AS SELECT zeroblob(60000000)")
    database.close()
    backup = start(sqlite_database, "backup", tmp_path / "copy.db")
    wait_until(lambda: any(path.stat().st_size for path in tmp_path.glob(".copy.db.*")))
    backup.send_signal(signal.SIGTERM)
    finish(backup, 128 + signal.SIGTERM)
    assert list(tmp_path.glob("*copy*")) + list(tmp_path.glob(".copy*")) == []


def test_the_command_is_printed_even_if_the_server_is_away(tmp_path: Path) -> None:
    told = run("postgresql://u:secret@127.0.0.1:1/x", "backup", tmp_path / "copy.dump", code=1)
    assert told.stdout.startswith("pg_dump ")
    assert "secret" not in told.output


def test_on_postgresql_it_prints_the_command_and_ends_with_1(postgres_database: str, tmp_path: Path) -> None:
    told = run(postgres_database, "backup", tmp_path / "copy.dump", code=1)
    assert told.stdout.startswith(f"pg_dump --format=custom --file={tmp_path}/copy.dump ")
    assert told.stdout.count("\n") == 1
    assert told.stderr.startswith("Error: ")
    assert not (tmp_path / "copy.dump").exists()
