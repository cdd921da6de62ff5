import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from lxml import etree

from tests.conftest import MIGRATIONS
from tests.http.helpers import CHECK, FAULT_MEMBERS, IN_XML, RUN_ERROR_MEMBERS, RUNS, XML, item_at, run_of
from tests.system.conftest import FragileDatabase, MakeService
from tests.system.service import GUNICORN, NOTIFHIST, ROOT, Client, Service, environment

NOW_MS = time.time_ns() // 1_000_000
ITEM, SECOND = item_at(NOW_MS, 1), item_at(NOW_MS, 2)
ANY_KEY = f"nh_0123456789ab_{'x' * 43}"
AT_THE_BARRIER = "from notifhist.cli import main, serving; print(flush=True); input(); main()"


def refuse(client: Client) -> None:
    """Assert that a request of each API, of each format and of each kind is answered with 503."""
    fault = assert_unavailable(client.get(CHECK)).json()
    assert list(fault) == FAULT_MEMBERS
    assert (fault["type"], fault["code"]) == ("systemFailureError", "503")
    error = assert_unavailable(client.get(RUNS)).json()
    assert list(error) == RUN_ERROR_MEMBERS
    assert (error["type"], error["httpStatus"]) == ("UNHANDLED_EXCEPTION", 503)
    for path, members in ((CHECK, FAULT_MEMBERS), (RUNS, RUN_ERROR_MEMBERS)):
        answer = assert_unavailable(client.get(path, Accept=XML))
        assert answer.headers["Content-Type"] == IN_XML
        assert [str(member.tag) for member in etree.fromstring(answer.content)] == members
    assert_unavailable(client.post(CHECK, SECOND))
    assert_unavailable(client.post(RUNS, run_of()))
    assert client.get("/readyz").status_code == 503
    assert client.get_json("/healthz") == {"status": "ok"}


def assert_unavailable(answer: requests.Response) -> requests.Response:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert "Traceback" not in answer.text
    return answer


def answer_all(client: Client) -> None:
    """Assert that the one item and the one run that were recorded are there, and can be added to."""
    assert client.get_json(CHECK)["values"] == [ITEM]
    assert client.get_json(RUNS)["total"] == 1
    assert client.post(CHECK, ITEM).status_code == 200


def test_a_database_that_is_gone_is_told_in_the_callers_format_and_recovered_from(
    fragile_database: FragileDatabase, make_service: MakeService
) -> None:
    service = make_service(fragile_database.url).start()
    key = service.create_key()
    clients = service.clients_of_each_worker(key, each=2)
    assert clients[0].post(CHECK, ITEM).status_code == 201
    assert clients[0].post(RUNS, run_of()).status_code == 201
    with ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(answer_all, clients))
        fragile_database.take_away()
        try:
            list(pool.map(refuse, clients))
            assert fragile_database.path is None or not list(fragile_database.path.iterdir())
        finally:
            fragile_database.bring_back()
        list(pool.map(answer_all, clients))
    assert clients[0].get_json("/readyz") == {"status": "ready"}


@pytest.mark.long
def test_a_database_that_was_never_migrated_is_not_ready_until_it_is(
    fragile_database: FragileDatabase, make_service: MakeService
) -> None:
    if fragile_database.path is not None:
        with sqlite3.connect(fragile_database.path / "notifhist.db") as connection:
            connection.execute("PRAGMA user_version = 0")
        connection.close()
    service = make_service(fragile_database.url, command=GUNICORN, cwd=ROOT).start(ready=False)
    with_any_key = service.client(ANY_KEY)
    refuse(with_any_key)
    assert "notifhist migrate" in with_any_key.get("/readyz").json()["message"]
    assert service.run("migrate").returncode == 0
    assert service.is_ready()
    assert service.client(service.create_key()).get_json(RUNS)["total"] == 0


def test_a_sqlite_file_that_never_was_is_not_made_by_a_request(make_service: MakeService, tmp_path: Path) -> None:
    directory = tmp_path / "database"
    directory.mkdir()
    url = f"sqlite:///{directory}/notifhist.db"
    service = make_service(url, command=GUNICORN, cwd=ROOT).start(ready=False)
    refuse(service.client(ANY_KEY))
    assert not list(directory.iterdir())


def test_a_lock_on_sqlite_fails_no_reader_and_tells_writers_to_come_again(
    sqlite_database: str, make_service: MakeService
) -> None:
    impatient = (
        "import sys, notifhist.store.database.sqlite_file as d; d._BUSY_TIMEOUT_S = 1; sys.argv[0] = 'notifhist'; "
    )
    command = (NOTIFHIST[0], "-c", f"{impatient} from notifhist.cli import main; main()", "serve")
    service = make_service(sqlite_database, command=command).start()
    key = service.create_key()
    assert service.ask(CHECK, key, "POST", json=ITEM).status_code == 201
    lock = sqlite3.connect(sqlite_database.removeprefix("sqlite:///"), isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        for client in service.clients_of_each_worker(key, each=2):
            assert client.get_json(CHECK)["values"] == [ITEM]
            assert client.get_json("/readyz") == {"status": "ready"}
        assert_unavailable(service.ask(CHECK, key, "POST", json=SECOND))
        assert service.ask(CHECK, key).json()["values"] == [ITEM]
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    assert service.ask(CHECK, key, "POST", json=SECOND).status_code == 201
    assert service.ask(CHECK, key).json()["values"] == [ITEM, SECOND]


def test_a_writer_waits_for_a_short_lock_on_sqlite(sqlite_database: str, make_service: MakeService) -> None:
    service = make_service(sqlite_database).start()
    key = service.create_key()
    lock = sqlite3.connect(sqlite_database.removeprefix("sqlite:///"), isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        try:
            answer = pool.submit(service.ask, CHECK, key, "POST", json=ITEM)
            for _ in range(5):
                assert service.ask(CHECK, key).json()["values"] == []
            assert not answer.done()
        finally:
            lock.execute("ROLLBACK")
            lock.close()
        assert answer.result().status_code == 201


@pytest.mark.long
def test_many_migrate_at_the_same_moment_and_one_does_it(fragile_database: FragileDatabase, tmp_path: Path) -> None:
    migrating = [
        subprocess.Popen(
            [NOTIFHIST[0], "-c", AT_THE_BARRIER, "migrate"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment({"DATABASE_URL": fragile_database.url}),
        )
        for _ in range(4)
    ]
    for process in migrating:
        assert process.stdout is not None
        process.stdout.readline()
    outcomes: list[tuple[str, str]] = [("", "")] * len(migrating)

    def go(number: int) -> None:
        outcomes[number] = migrating[number].communicate("go\n", timeout=60)

    threads = [threading.Thread(target=go, args=(number,)) for number in range(len(migrating))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.returncode for process in migrating] == [0] * len(migrating), outcomes
    printed = sorted(output for output, _ in outcomes)
    applied = f"Applied: {', '.join(MIGRATIONS)}\n"
    assert printed == [applied] + ["The tables are up to date.\n"] * 3


def test_two_services_start_at_the_same_moment_on_a_new_database(
    fragile_database: FragileDatabase, make_service: MakeService
) -> None:
    services = [make_service(fragile_database.url) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Service.start, services))
    key = services[0].create_key()
    assert services[1].ask(CHECK, key, "POST", json=ITEM).status_code == 201
    assert services[0].ask(CHECK, key).json()["values"] == [ITEM]
