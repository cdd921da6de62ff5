"""What a full file system and a locked database do to the service: it goes on, and says why it does less."""

import sqlite3
import subprocess
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.full_disk import FullDisk
from tests.http.helpers import CHECK, RUNS, item_at
from tests.system.commands import finish, run, start, write_lines
from tests.system.conftest import FragileDatabase, MakeService
from tests.system.service import ROOT, SERVE, Service
from tests.system.test_operations import samples
from tests.system.test_outages import NOW_MS, assert_unavailable

if TYPE_CHECKING:
    from tests.system.postgres import Postgres

SMALL_SHARED_MEMORY = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=2m none /dev/shm && exec "$@"', "sh")
"""Runs a command that has a /dev/shm of its own, of 2 MB."""
COUNTED = ("notifhist_requests_total", f"GET {RUNS} 200")


@pytest.fixture(scope="module")
def may_mount() -> None:
    tried = subprocess.run([*SMALL_SHARED_MEMORY, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"no file system can be mounted here: {tried.stderr}")


def shared_memory_of(service: Service) -> FullDisk:
    assert service.process is not None
    return FullDisk(Path(f"/proc/{service.process.pid}/root/dev/shm"))


def warnings_of(service: Service, part: str) -> list[str]:
    return [str(line["message"]) for line in service.lines() if part in str(line.get("message"))]


@pytest.mark.usefixtures("may_mount")
def test_a_full_shared_memory_costs_counts_and_no_worker(
    fragile_database: FragileDatabase, make_service: MakeService
) -> None:
    service = make_service(
        fragile_database.url, command=(*SMALL_SHARED_MEMORY, *SERVE), RUNS_RATE_LIMIT="1/hour"
    ).start()
    disk = shared_memory_of(service)
    clients = service.clients_of_each_worker(service.create_key(), each=2)
    disk.fill()
    for client in clients:
        for path in (CHECK, RUNS, "/metrics", "/readyz", "/healthz", "/openapi.json"):
            assert client.get(path).status_code == 200, path  # the runs too: nothing counts them
        assert client.post(CHECK, item_at(NOW_MS)).status_code in (200, 201)
        assert client.get("/nowhere").status_code == 404
    assert len(service.workers()) == 2
    assert warnings_of(service, "SIGBUS") == []
    assert warnings_of(service, "requests are let through uncounted")


@pytest.mark.usefixtures("may_mount")
def test_a_service_starts_with_a_full_shared_memory(make_service: MakeService, tmp_path: Path) -> None:
    filling = 'head -c 2m /dev/zero > /dev/shm/filler; exec "$@"'
    command = (*SMALL_SHARED_MEMORY, "sh", "-c", filling, "sh", *SERVE)
    service = make_service(f"sqlite:///{tmp_path}/notifhist.db", command=command).start()
    clients = service.clients_of_each_worker(service.create_key(), each=1)
    for client in clients:
        assert client.get(RUNS).status_code == 200
    assert len(service.workers()) == 2
    assert len(warnings_of(service, "missing in /metrics until there is space: [Errno 28]")) == 2  # once a minute each
    shared_memory_of(service).free()
    time.sleep(1.1)  # a second after it failed, space is looked for again
    for client in clients:
        client.get("/healthz")
    assert samples(clients[0])[COUNTED] == 2  # what was counted meanwhile has not been lost


@pytest.mark.usefixtures("may_mount")
def test_large_files_are_loaded_with_a_full_shared_memory(tmp_path: Path) -> None:
    # Processes that check files need semaphores, which lie there.
    place = {"tenant": "123456", "entity_id": "en", "alarm_id": "al", "check_id": "ch"}
    lines = [{**place, "item": item_at(NOW_MS, n, status="x" * 500)} for n in range(3000)]
    file = write_lines(tmp_path / "large.ndjson", lines)
    filling = 'head -c 2m /dev/zero > /dev/shm/filler; exec "$@"'
    url = f"sqlite:///{tmp_path}/notifhist.db"
    loading = start(url, "load", file, wrapper=(*SMALL_SHARED_MEMORY, "sh", "-c", filling, "sh"))
    assert "Stored 3000" in finish(loading).stderr


def test_a_full_temporary_folder_is_named(database_url: str, full_disk: FullDisk, tmp_path: Path) -> None:
    place = {"tenant": "123456", "entity_id": "en", "alarm_id": "al", "check_id": "ch"}
    lines = [{**place, "item": item_at(NOW_MS, n, status="x" * 4000)} for n in range(4000)]
    file = write_lines(tmp_path / "large.ndjson", lines)
    full_disk.fill()
    variables = {"TMPDIR": str(full_disk.folder), "SQLITE_TMPDIR": str(full_disk.folder)}
    loading = start(database_url, "load", file, variables=variables)
    told = finish(loading, code=1).stderr
    assert str(full_disk.folder) in told
    assert "full" in told
    assert "failed" not in told or database_url not in told
    assert "Stored 0" in told


def test_a_full_disk_is_told_in_the_log_and_recovered_from(full_disk: FullDisk, make_service: MakeService) -> None:
    service = make_service(f"sqlite:///{full_disk.folder}/notifhist.db").start()
    client = service.client(service.create_key())
    assert client.post(CHECK, item_at(NOW_MS)).status_code == 201
    full_disk.fill()
    refused = 0
    for number in range(1, 60):
        answer = client.post(CHECK, item_at(NOW_MS, number, status="x" * 100_000))
        refused += answer.status_code != 201
        if answer.status_code != 201:
            assert_unavailable(answer)
        assert client.get(CHECK).status_code == 200
    told = warnings_of(service, "the database failed")
    assert refused
    assert len(told) == refused
    assert all("full" in each or "disk I/O" in each for each in told), set(told)
    full_disk.free()
    assert client.post(CHECK, item_at(NOW_MS, 1000)).status_code == 201


def test_readers_are_answered_while_a_lock_stops_all_writers(sqlite_database: str, make_service: MakeService) -> None:
    service = make_service(sqlite_database).start()
    key = service.create_key()
    path = sqlite_database.removeprefix("sqlite:///")
    statuses, read = Counter[int](), Counter[int]()
    stop = threading.Event()

    def write(number: int) -> None:
        client = service.client(key)
        while not stop.is_set():
            statuses[client.post(CHECK, item_at(NOW_MS, number)).status_code] += 1

    with closing(sqlite3.connect(path, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for writer in writers:
            writer.start()
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline or sum(read.values()) < 60:
            for asked in (CHECK, RUNS, "/healthz", "/readyz"):
                read[service.ask(asked, key).status_code] += 1
        assert set(statuses) == {503}
        lock.execute("ROLLBACK")
    stop.set()
    for writer in writers:
        writer.join()
    assert set(read) == {200}
    assert service.ask(CHECK, key, "POST", json=item_at(NOW_MS, 100)).status_code == 201


@pytest.mark.long
@pytest.mark.parametrize("how", ["backup", "vacuum"])
def test_a_backup_beside_a_former_log_is_refused_until_that_is_gone(
    how: str, make_service: MakeService, tmp_path: Path
) -> None:
    path, copy = tmp_path / "notifhist.db", tmp_path / "copy.db"
    service = make_service(f"sqlite:///{path}").start()
    key = service.create_key()
    client = service.client(key)
    first = item_at(NOW_MS)
    assert client.post(CHECK, first).status_code == 201
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        if how == "vacuum":
            source.execute("VACUUM INTO ?", (str(copy),))
        else:
            source.backup(target)
    for batch in range(1, 31):  # so many that the log begins anew
        items = [item_at(NOW_MS, 50 * batch + number, status="x" * 3000) for number in range(50)]
        assert client.post(CHECK, {"values": items}).status_code == 201
    copy.replace(path)
    for _ in range(8):
        assert_unavailable(service.ask(CHECK, key))
        assert service.ask("/readyz").status_code == 503
    assert warnings_of(service, "remove notifhist.db-wal and notifhist.db-shm")
    service.stop()
    assert "remove notifhist.db-wal" in run(f"sqlite:///{path}", "keys", "list", code=1).stderr
    for name in ("notifhist.db-wal", "notifhist.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    service.start()
    assert service.ask(CHECK, key).json()["values"] == [first]
    assert service.ask(CHECK, key, "POST", json=item_at(NOW_MS, 5)).status_code == 201


def test_a_backup_of_postgresql_is_made_and_restored_as_documented(
    own_postgres: "Postgres", make_service: MakeService, tmp_path: Path
) -> None:
    url, other = own_postgres.create_database(), own_postgres.create_database()
    service = make_service(url).start()
    key = service.create_key()
    assert service.ask(CHECK, key, "POST", json=item_at(NOW_MS, 1)).status_code == 201
    for command in (
        f'pg_dump --format=custom --file copy.dump "{url}"',
        f'pg_restore --no-owner --dbname "{other}" copy.dump',
    ):
        documented = command.replace(url, "$URL").replace(other, "$URL")
        assert f"`{documented}`" in (ROOT / "docs/operating.md").read_text()
        subprocess.run(["sh", "-c", f"{own_postgres.programs}/{command}"], cwd=tmp_path, check=True)
    restored = make_service(other).start()
    assert restored.ask(CHECK, key).json()["values"] == [item_at(NOW_MS, 1)]
    assert restored.ask(CHECK, key, "POST", json=item_at(NOW_MS, 2)).status_code == 201
