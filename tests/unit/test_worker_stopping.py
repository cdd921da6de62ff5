"""A server that stops or reloads answers whom it let in, and ends."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.unit.tiny_server import POST, Running, started, wait_until

pytestmark = pytest.mark.processes


def refuses(server: Running) -> bool:
    """Say whether the server lets nobody in any more."""
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def counted(server: Running) -> float:
    text = server.get("/count")[1].decode()
    return max(float(line.split()[1]) for line in text.splitlines() if 'total{kind="item"}' in line)


def test_stopping_answers_what_is_in_flight_and_leaves_nothing(tmp_path: Path) -> None:
    with started(tmp_path) as server, ThreadPoolExecutor(20) as pool:
        directory = Path(server.about()["metrics"])
        assert directory.stat().st_mode & 0o777 == 0o700
        # More than the four threads take at once: the rest waits in the workers and in the kernel.
        answers = [pool.submit(server.get, "/slow/0.5") for _ in range(20)]
        time.sleep(0.4)
        server.process.send_signal(signal.SIGTERM)
        assert [answer.result()[0] for answer in answers] == [200] * 20
        assert server.process.wait(20) == 0
        assert not directory.exists()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "tiny.py"]
        assert all("time" in line for line in server.lines())


def test_stopping_is_heard_while_a_long_answer_lasts(tmp_path: Path) -> None:
    with started(tmp_path, workers=1) as server, closing(server.connect()) as slow, closing(server.connect()) as late:
        slow.sendall(b"GET /slow/30.0 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert server.get("/a")[0] == 200
        late.sendall(b"GET /slow/0.1 HTTP/1.1\r\nHost: a\r\n\r\n")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(server))
        assert late.recv(12) == b"HTTP/1.1 200"
        server.process.send_signal(signal.SIGQUIT)
        assert slow.recv(12) == b""
        server.process.wait(20)


def test_stopping_resets_nobody_whom_the_kernel_let_in(tmp_path: Path) -> None:
    with started(tmp_path) as server, ThreadPoolExecutor(10) as pool:
        time.sleep(1)  # until both have signal handlers
        workers = server.booted()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            answers = [pool.submit(server.get, "/a") for _ in range(10)]
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
        assert [answer.result()[0] for answer in answers] == [200] * 10


def test_reloading_loses_no_request_and_no_count(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        stop = threading.Event()

        def ask(keep_alive: bool) -> int:
            asked = 0
            client = server.client()
            while not stop.is_set():
                client.request("GET", "/count", headers={} if keep_alive else {"Connection": "close"})
                response = client.getresponse()  # raises for a connection that is reset or closed
                assert response.status == 200
                response.read()
                asked += 1
            client.close()
            return asked

        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(ask, number % 2 == 0) for number in range(8)]
            try:
                for workers in (4, 6):
                    server.process.send_signal(signal.SIGHUP)
                    wait_until(lambda: len(server.booted()) >= workers)  # noqa: B023 - called at once
                    time.sleep(1.5)
            finally:
                stop.set()
            asked = sum(future.result() for future in asking)
        assert asked > 50
        assert counted(server) == asked + 1


def test_a_body_that_never_ends_does_not_keep_a_server_from_stopping(tmp_path: Path) -> None:
    with started(tmp_path, workers=1) as server, server.connect() as sock:
        sock.sendall(POST + b"Content-Length: 1000000\r\n\r\n")
        server.get("/a")
        server.process.send_signal(signal.SIGTERM)
        for _ in range(100):
            with suppress(OSError):
                sock.send(b"x" * 2000)
            time.sleep(0.1)
            if server.process.poll() is not None:
                break
        assert server.process.poll() == 0
