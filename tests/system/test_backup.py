"""`notifhist backup` while writers are writing, and what a service answers that is started from it."""

import subprocess
import threading
from itertools import count
from pathlib import Path

from notifhist.clock import Clock
from tests.http.helpers import CHECK, RUNS, item_at, run_of
from tests.system.commands import run
from tests.system.conftest import MakeService
from tests.system.service import ROOT, Client, wait_until

RESTORE = ("rm -f notifhist.db-wal notifhist.db-shm", "mv copy.db notifhist.db")


class Writer(threading.Thread):
    """Records items one after the other, and notes the URL of each that was answered."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client, self.acknowledged, self.goes_on = client, list[str](), True

    def run(self) -> None:
        for number in count():
            if not self.goes_on:
                return
            answer = self.client.post(CHECK, item_at(NOW_MS, number, status="x" * 2000))
            assert answer.status_code == 201
            self.acknowledged.append(f"{CHECK}/{item_at(NOW_MS, number)['id']}")


NOW_MS = Clock().now_ms()


def test_a_backup_made_under_writes_answers_all_that_was_acknowledged_before(
    make_service: MakeService, tmp_path: Path
) -> None:
    documented = (ROOT / "docs/operating.md").read_text()
    for command in ("notifhist backup copy.db", *RESTORE):
        assert f"`{command}`" in documented
    service = make_service(f"sqlite:///{tmp_path}/notifhist.db", HISTORY_RATE_LIMIT="", cwd=tmp_path).start()
    key = service.create_key()
    assert service.ask(RUNS, key, "POST", json=run_of()).status_code == 201
    writer = Writer(service.client(key))
    writer.start()
    wait_until(lambda: len(writer.acknowledged) > 100)
    before = list(writer.acknowledged)
    told = service.run("backup", "copy.db")
    assert told.returncode == 0, told.stderr
    during = len(writer.acknowledged)
    writer.goes_on = False
    writer.join()
    assert during > len(before)
    answers = {path: service.ask(path, key).content for path in [*writer.acknowledged, RUNS]}
    service.kill()  # its log stays
    for command in RESTORE:
        subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    service.start()
    for path in [*before, RUNS]:
        assert service.ask(path, key).content == answers[path]
    for path in writer.acknowledged[len(before) :]:  # there as a whole, or not at all
        answer = service.ask(path, key)
        assert answer.status_code == 404 or answer.content == answers[path]
    assert service.ask(CHECK, key, "POST", json=item_at(NOW_MS, 1_000_000)).status_code == 201


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


def test_on_postgresql_it_prints_the_command_and_ends_with_1(postgres_database: str, tmp_path: Path) -> None:
    told = run(postgres_database, "backup", tmp_path / "copy.dump", code=1)
    assert told.stdout.startswith(f"pg_dump --format=custom --file={tmp_path}/copy.dump ")
    assert told.stdout.count("\n") == 1
    assert told.stderr.startswith("Error: ")
    assert not (tmp_path / "copy.dump").exists()
