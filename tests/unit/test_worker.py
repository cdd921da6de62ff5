import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.processes
ROOT = Path(__file__).parents[2]
APP = """
import os, sys, time
from flask import Flask, request
from notifhist.server import connection, settings, worker
from notifhist.errors import ApiError
from notifhist.metrics import Metrics
from notifhist.web.responses import render_error

connection.READ_TIMEOUT_S = 2.0
worker.HELD_BYTES = 160_000

def load():
    app, metrics = Flask("tiny"), Metrics()
    app.config["MAX_CONTENT_LENGTH"] = 1_000_000

    @app.errorhandler(ApiError)
    def fail(error):
        body, content_type = render_error(error, request.path, None, "0")
        return body, error.status, {"Content-Type": content_type}

    @app.get("/slow/<float:seconds>")
    def slow(seconds):
        time.sleep(seconds)
        return "done"

    @app.post("/read")
    def read():
        return str(len(request.get_data()))

    @app.post("/unread")
    def unread():
        return "done"

    @app.get("/count")
    def count():
        metrics.recorded("item", 1)
        return metrics.render()[0]

    @app.get("/about")
    def about():
        return {"scheme": request.scheme, "metrics": os.environ["PROMETHEUS_MULTIPROC_DIR"]}

    @app.get("/<path:rest>")
    def any_path(rest):
        return "done"

    def broken_outside(environ, start_response):
        if environ["PATH_INFO"] == "/broken":
            raise RuntimeError("s3cret-free")
        return app(environ, start_response)

    return broken_outside

options = settings.options(int(sys.argv[1]), 2) | {"bind": "127.0.0.1:0", "worker_connections": 50}
settings.Server(load, options).run()
"""


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    log: Path
    port: int

    def lines(self) -> list[dict[str, Any]]:
        whole = self.log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def messages(self, beginning: str) -> list[str]:
        found = [line.get("message", "") for line in self.lines()]
        return [message for message in found if message.startswith(beginning)]

    def booted(self) -> set[int]:
        return {int(message.rpartition(" ")[2]) for message in self.messages("Booting worker")}

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def client(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        with closing(self.client()) as client:
            client.request("GET", path, headers=headers or {})
            response = client.getresponse()
            return response.status, response.read()

    def about(self) -> Any:
        return json.loads(self.get("/about")[1])

    def send(self, data: bytes) -> bytes:
        """Return all that comes back for `data` until the server closes."""
        with self.connect() as sock:
            sock.sendall(data)
            return b"".join(iter(lambda: sock.recv(65_536), b""))


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("did not come true in time")


@contextmanager
def started(directory: Path, workers: int = 2) -> Iterator[Running]:
    """Run the tiny app as the service is run, on a port of the kernel's choice."""
    log, script = directory / "log", directory / "tiny.py"
    script.write_text(APP)
    environ = os.environ | {"PYTHONPATH": str(ROOT), "FORWARDED_ALLOW_IPS": "*"}
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, str(script), str(workers)], stdout=out, stderr=out, env=environ)
    running = Running(process, log, 0)
    try:
        wait_until(lambda: len(running.booted()) == workers)
        running.port = int(running.messages("Listening at")[0].split()[2].rpartition(":")[2])
        yield running
    finally:
        process.terminate()
        try:
            process.wait(40)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with started(tmp_path_factory.mktemp("server")) as running:
        yield running


def parts(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status_line, *fields = head.decode("latin-1").split("\r\n")
    return int(status_line.split()[1]), dict(field.split(": ", 1) for field in fields), body


HOST = b"Host: a\r\n"
POST = b"POST /read HTTP/1.1\r\n" + HOST
MALFORMED = {
    "no request line": (400, b"BAD\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /\r\n\r\n"),
    "HTTP/2.0": (400, b"GET / HTTP/2.0\r\n" + HOST + b"\r\n"),
    "a method in small letters": (400, b"get / HTTP/1.1\r\n" + HOST + b"\r\n"),
    "bytes in the path": (400, b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n"),
    "bare line feeds": (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    "no header": (400, b"GET / HTTP/1.1\r\ns3cret\r\n\r\n"),
    "NUL in a header": (400, b"GET / HTTP/1.1\r\nX-Auth-Token: s3cret\x00\r\n\r\n"),
    "a folded header": (400, b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n"),
    "two hosts": (400, b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n"),
    "no length": (400, POST + b"Content-Length: x\r\n\r\n"),
    "two lengths": (400, POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "half a head": (408, b"GET /?key=s3cret"),
    "half a body": (408, POST + b"Content-Length: 10\r\n\r\nabc"),
    "a long request line": (414, b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    "an endless request line": (414, b"GET /" + b"a" * 40_000),
    "an expectation": (417, POST + b"Expect: s3cret\r\nContent-Length: 0\r\n\r\n"),
    "200 headers": (431, b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n"),
    "a long head": (431, b"GET / HTTP/1.1\r\n" + (b"X: " + b"a" * 8000 + b"\r\n") * 9 + b"\r\n"),
    "an endless head": (431, b"GET / HTTP/1.1\r\n" + (b"X: " + b"a" * 8000 + b"\r\n") * 9),
    "a long header": (431, b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n"),
    "a failure outside the app": (500, b"GET /broken?key=s3cret HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a transfer coding": (501, POST + b"Transfer-Encoding: br\r\n\r\n"),
    "a transfer coding before chunked": (501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "a bad chunk": (400, POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_no_page_of_gunicorns_own_leaves(server: Running, name: str) -> None:
    expected, request = MALFORMED[name]
    status, headers, body = parts(server.send(request))
    assert status == expected
    assert headers["Content-Type"] == "application/json"
    assert headers["Connection"] == "close"
    assert int(headers["Content-Length"]) == len(body)
    fault = json.loads(body)
    assert fault["code"] == str(expected)
    assert b"s3cret" not in body
    if "X-Response-Id" in headers:  # else the tiny app answered
        assert headers["X-Response-Id"] == fault["request_id"]
        assert headers["Vary"] == "Accept"
        assert headers["Date"].endswith("GMT")


def test_the_log_has_a_line_for_each_and_no_secret(server: Running) -> None:
    fault = parts(server.send(b"GET /a%20b?key=s3cret HTTP/1.1\r\ns3cret\r\n\r\n"))[2]
    request_id = json.loads(fault)["request_id"]
    (line,) = wait_until(lambda: [line for line in server.lines() if line.get("request_id") == request_id])
    assert (line["method"], line["path"], line["status"], line["bytes"]) == ("GET", "/a b", 400, len(fault))
    assert line["tenant"] is None
    assert b"s3cret\x00" not in server.log.read_bytes()
    assert "s3cret" not in server.log.read_text().replace("s3cret-free", "")


def test_the_unexpected_is_logged_with_its_trace(server: Running) -> None:
    request_id = json.loads(server.get("/broken")[1])["request_id"]
    found = [line for line in server.lines() if line.get("request_id") == request_id]
    assert "RuntimeError: s3cret-free" in found[0]["exception"]


def test_errors_are_of_the_api_and_in_the_format_asked_for(server: Running) -> None:
    broken = b"GET /api/v1/notifications HTTP/1.1\r\n"
    body = parts(server.send(broken + b"bad\r\n\r\n"))[2]
    assert json.loads(body)["httpStatus"] == 400
    status, headers, body = parts(server.send(broken + b"accept: application/xml\r\nbad\r\n\r\n"))
    assert (status, headers["Content-Type"]) == (400, "application/xml; charset=utf-8")
    assert b"<error>" in body
    assert b"<fault>" in parts(server.send(b"GET / HTTP/1.1\r\nAccept: application/xml\r\nbad\r\n\r\n"))[2]
    assert json.loads(parts(server.send(b"GET /api/" + b"a" * 40_000))[2])["httpStatus"] == 414


def test_head_is_answered_without_a_body(server: Running) -> None:
    status, headers, body = parts(server.send(b"HEAD / HTTP/1.1\r\nbad\r\n\r\n"))
    assert (status, body) == (400, b"")
    assert int(headers["Content-Length"]) > 0


def test_a_bad_chunk_that_nobody_reads_is_answered_once(server: Running) -> None:
    chunked = b"POST /unread HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n"
    answer = server.send(chunked)
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.startswith(b"HTTP/1.1 400")


def test_an_expected_body_is_invited(server: Running) -> None:
    request = POST + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    answer = server.send(request)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert answer.endswith(b"\r\n\r\n3")


def test_five_ids_of_the_longest_kind_fit_into_a_url(server: Running) -> None:
    assert server.get("/" + "/".join(["%F0%9F%98%80" * 255] * 5) + "?" + "q" * 12_000)[0] == 200


@pytest.mark.parametrize("name", ["X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Forwarded-Ssl", "Script-Name"])
def test_gunicorn_believes_no_proxy(server: Running, name: str) -> None:
    value = {"X-Forwarded-Ssl": "on", "X-Forwarded-Protocol": "ssl"}.get(name, "https")
    status, body = server.get("/about", {name: value, name.upper().replace("-", "_"): value})
    assert (status, json.loads(body)["scheme"]) == (200, "http")


def test_a_client_that_sends_all_before_it_reads_sees_the_413(server: Running) -> None:
    with closing(server.client()) as client:
        for _ in range(2):
            client.request("POST", "/read", body=b"x" * 8_000_000)
            response = client.getresponse()
            assert response.status == 413
            response.read()


def test_silent_clients_keep_nobody_waiting(server: Running) -> None:
    silent = [server.connect() for _ in range(8)]
    asked = time.monotonic()
    assert server.get("/a")[0] == 200
    assert time.monotonic() - asked < 1.5
    for sock in silent:
        sock.close()


def test_clients_that_do_not_close_keep_nobody_waiting(server: Running) -> None:
    lingering = [server.connect() for _ in range(8)]
    for sock in lingering:
        sock.sendall(b"GET /a HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"
    asked = time.monotonic()
    assert server.get("/a")[0] == 200
    assert time.monotonic() - asked < 1.5
    for sock in lingering:
        sock.close()


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


def test_clients_that_make_it_hold_too_much_are_closed_the_oldest_first(tmp_path: Path) -> None:
    with started(tmp_path, workers=1) as server, ExitStack() as held_open:
        held = [held_open.enter_context(server.connect()) for _ in range(4)]
        for sock in held:
            sock.sendall(b"GET / HTTP/1.1\r\n" + (b"X: " + b"a" * 8000 + b"\r\n") * 6)
            time.sleep(0.1)
        ended = wait_until(lambda: select.select(held, [], [], 0)[0], 1.5)
        assert held[0] in ended
        assert held[3] not in ended
        assert server.get("/a")[0] == 200


def test_more_connections_than_a_worker_has_leave_room_for_new_ones(tmp_path: Path) -> None:
    with started(tmp_path, workers=1) as server:
        held = [server.connect() for _ in range(100)]
        for sock in held:
            with suppress(OSError):
                sock.send(b"G")
        for _ in range(20):
            assert server.get("/a")[0] == 200
        for sock in held:
            sock.close()


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
