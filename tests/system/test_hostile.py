"""Nobody who can reach the service can stop it: others are answered while an attack goes on."""

import json
import re
import resource
import signal
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.http.helpers import CHECK, RUNS, item_at, run_of
from tests.system.attacks import ATTACKS, attacked
from tests.system.conftest import MakeService
from tests.system.service import ROOT, Service, running, wait_until

NOW_MS = time.time_ns() // 1_000_000
PROBES = 20
WIRE_INPUTS = sorted((ROOT / "fuzz" / "corpus" / "wire").iterdir())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    with running(
        Service(directory, {"DATABASE_URL": f"sqlite:///{directory}/notifhist.db", "RUNS_RATE_LIMIT": ""})
    ) as service:
        yield service


@pytest.mark.long
@pytest.mark.parametrize("name", ATTACKS)
def test_others_are_answered_while_an_attack_goes_on(service: Service, name: str) -> None:
    key, check = service.create_key(), f"{CHECK}-{quote(name)}"
    with attacked(service.url, ATTACKS[name]):
        for number in range(PROBES):
            assert service.ask("/healthz").status_code == 200
            assert service.ask("/readyz").status_code == 200
            assert service.ask(RUNS, key).status_code == 200
            assert service.ask(check, key, "POST", json=item_at(NOW_MS, number)).status_code == 201
    assert service.ask("/healthz").status_code == 200


@pytest.mark.long
def test_more_connections_than_files_leave_room_for_new_ones(sqlite_database: str, make_service: MakeService) -> None:
    service = make_service(sqlite_database, workers=1)
    service.start()
    (worker,) = service.workers()
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (100, 100))
    with attacked(service.url, ATTACKS["silent connections"]):
        for _ in range(PROBES):
            assert service.ask("/healthz").status_code == 200


def test_reads_go_on_while_another_process_keeps_the_file_locked(service: Service) -> None:
    key, stop = service.create_key(), threading.Event()

    def write(number: int) -> None:
        while not stop.is_set():
            service.ask(RUNS, key, "POST", json=run_of())

    path = service.settings["DATABASE_URL"].removeprefix("sqlite:///")
    locking = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    locking.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(8) as pool:
        writers = [pool.submit(write, number) for number in range(8)]
        try:
            time.sleep(2)
            for _ in range(PROBES):
                assert service.ask(RUNS, key).status_code == 200
                assert service.ask("/healthz").status_code == 200
                assert service.ask("/readyz").status_code == 200
        finally:
            locking.execute("ROLLBACK")
            locking.close()
            stop.set()
        for writer in writers:
            writer.result()


@pytest.mark.long
def test_whoever_cannot_be_answered_in_time_is_refused_at_once_and_health_is_not(service: Service) -> None:
    key, stop = service.create_key(), threading.Event()
    service.ask(RUNS, key, "POST", json={"runs": [run_of(errorMessage="x" * 2000) for _ in range(1000)]})

    def read(number: int) -> Counter[int]:
        statuses: Counter[int] = Counter()
        client = service.client(key)
        while not stop.is_set():
            answer = client.get(f"{RUNS}?pageSize=1000", Accept="application/xml")
            statuses[answer.status_code] += 1
            if answer.status_code == 503:
                assert answer.headers["Retry-After"]
                assert b"<error>" in answer.content
        return statuses

    with ThreadPoolExecutor(64) as pool:
        readers = [pool.submit(read, number) for number in range(64)]
        time.sleep(4)
        for _ in range(PROBES):
            assert service.ask("/healthz").status_code == 200
            assert service.ask("/readyz").status_code == 200
        stop.set()
        statuses = sum((reader.result() for reader in readers), Counter[int]())
    assert set(statuses) == {200, 503}
    assert service.ask(RUNS, key).status_code == 200


def test_an_answer_that_is_taken_slowly_arrives_whole(service: Service) -> None:
    whole = service.ask("/openapi.json").content
    host, port = service.url.removeprefix("http://").split(":")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((host, int(port)))
        sock.sendall(
            b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 20
            + b"GET /x HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n"
        )
        received = b""
        while data := sock.recv(16_384):
            received += data
            time.sleep(0.001)
    assert received.count(whole) == 20
    assert b"HTTP/1.1 404" in received


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET http://history.example.com/healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
        (b"GET http://history.example.com/healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
    ],
    ids=["no host", "two hosts", "no host beside an absolute target", "HTTP/1.0", "an absolute target"],
)
def test_a_request_of_http_1_1_names_its_host_once(service: Service, request_line: bytes, status: int) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as sock:
        sock.sendall(request_line)
        answer = b"".join(iter(lambda: sock.recv(65_536), b""))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()) or answer.startswith(f"HTTP/1.0 {status} ".encode())


@pytest.mark.parametrize("path", WIRE_INPUTS, ids=lambda path: path.name)
def test_what_fuzzing_collected_is_answered_over_the_wire(service: Service, path: Path) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as sock:
        sock.sendall(path.read_bytes())
        sock.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: sock.recv(65_536), b""))
    statuses = re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)
    assert not [status for status in statuses if status >= b"500" and status != b"501"]
    assert service.ask("/healthz").status_code == 200


def test_links_follow_the_host_of_an_absolute_target(service: Service) -> None:
    key = service.create_key()
    body = json.dumps(item_at(NOW_MS, 7)).encode()
    head = (
        f"POST http://history.example.com{CHECK}-absolute HTTP/1.1\r\nHost: other.example.com\r\n"
        f"X-Auth-Token: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as sock:
        sock.sendall(head.encode() + body)
        answer = b"".join(iter(lambda: sock.recv(65_536), b""))
    assert b"Location: http://history.example.com/" in answer


@pytest.mark.long
def test_a_service_that_is_told_to_stop_as_it_starts_ends_at_once(
    sqlite_database: str, make_service: MakeService
) -> None:
    service = make_service(sqlite_database)
    for _ in range(6):
        service.start(ready=False)
        wait_until(service.is_ready)
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) == 0
