"""A stream from either database to a socket: as long as one likes, in little memory, beside everybody else."""

import re
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from notifhist.store.database import Database
from tests.http.helpers import RUNS, run_of
from tests.http.test_streams import others_are_let_in
from tests.system.conftest import MakeService
from tests.system.service import PATIENCE_S, ROOT, Service, wait_until

APP = (sys.executable, "-m", "gunicorn", "tests.system.streaming_app:app")
MILLION = 1_000_000
MOST_BYTES = 30 * 2**20


@pytest.fixture
def service(database_url: str, make_service: MakeService) -> Service:
    return make_service(database_url, command=APP, cwd=ROOT, workers=1).start()


def ask(service: Service, key: str, url: str) -> socket.socket:
    host, port = service.url.removeprefix("http://").split(":")
    sock = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
    head = f"GET {url} HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {key}\r\nConnection: close\r\n\r\n"
    sock.sendall(head.encode())
    return sock


def most_memory_of(worker: int) -> int:
    """Return the most bytes that a process has had in memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{worker}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.long
def test_a_million_rows_take_no_more_memory(service: Service) -> None:
    key = service.create_key()
    (worker,) = wait_until(service.workers)
    assert service.ask("/streams/numbers/1?format=csv", key).status_code == 200
    before = most_memory_of(worker)
    lines, last = 0, b""
    with ask(service, key, f"/streams/numbers/{MILLION}?format=csv") as sock:
        while data := sock.recv(1 << 20):
            last = (last + data)[-300:]
            lines += data.count(b"'=")
    assert lines == MILLION
    assert f",'={MILLION}x".encode() in last
    assert last.endswith(b"\r\n0\r\n\r\n")
    assert most_memory_of(worker) - before < MOST_BYTES


def test_clients_that_do_not_read_hold_no_thread_and_no_transaction(service: Service, db: Database) -> None:
    key = service.create_key()
    with ExitStack() as stack:
        for word in ("csv", "ndjson") * 5:
            stalled = stack.enter_context(ask(service, key, f"/streams/numbers/{100 * MILLION}?format={word}"))
            assert stalled.recv(12) == b"HTTP/1.1 200"
        for _ in range(20):
            assert service.ask("/healthz").status_code == 200
            assert service.ask("/readyz").status_code == 200
            assert service.ask(RUNS, key, "POST", json=run_of()).status_code == 201
            assert service.ask(RUNS, key).status_code == 200
        wait_until(lambda: others_are_let_in(db))
    logged = "An answer was not taken to its end"
    wait_until(lambda: len([line for line in service.lines() if line.get("message") == logged]) == 10)
    assert service.stop() == 0
