"""A tiny app behind the service's server, run as the service is, and requests to it."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HOST = b"Host: a\r\n"
POST = b"POST /read HTTP/1.1\r\n" + HOST
APP = """
import logging, os, sys, time
from flask import Flask, request
from notifhist.server import connection, connections, settings
from notifhist.errors import ApiError
from notifhist.metrics import Metrics
from notifhist.web.responses import render_error

connection.READ_TIMEOUT_S = connection.SEND_TIMEOUT_S = 2.0
connections.HELD_BYTES = int(os.environ.get("HELD_BYTES", 160_000))

def load():
    app, metrics = Flask("tiny"), Metrics()
    app.config["MAX_CONTENT_LENGTH"] = 1_000_000

    @app.errorhandler(ApiError)
    def fail(error):
        body, headers = render_error(error, request.path, None, "0")
        return body, error.status, headers

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

    @app.get("/stream/<int:number>/<int:size>")
    def stream(number, size):
        # `number` pieces of `size` bytes, each of which takes ?seconds to make; with ?failing, an error after them.
        failing, seconds = "failing" in request.args, float(request.args.get("seconds", 0))
        name, log = request.args.get("name"), logging.getLogger("notifhist")
        piece = b"x" * (size - 1) + b"\\n"

        def pieces():
            made = 0
            try:
                for made in range(1, number + 1):
                    until = time.thread_time() + seconds
                    while time.thread_time() < until:
                        pass
                    yield piece
                if failing:
                    raise RuntimeError("s3cret-free")
            finally:
                log.warning("%s ended after %d", name, made)

        response = app.response_class(pieces(), mimetype="text/plain")
        response.headers["X-Response-Id"] = "r1"
        response.call_on_close(lambda: log.warning("%s closed", name))
        return response

    @app.get("/<path:rest>")
    def any_path(rest):
        return "done"

    def broken_outside(environ, start_response):
        if environ["PATH_INFO"] == "/broken":
            raise RuntimeError("s3cret-free")
        return app(environ, start_response)

    return broken_outside

options = settings.options(int(sys.argv[1]), 2) | {"bind": "127.0.0.1:0", "worker_connections": 50}
options["graceful_timeout"] = int(os.environ.get("GRACEFUL_TIMEOUT", 30))
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
def started(directory: Path, workers: int = 2, **variables: str) -> Iterator[Running]:
    """Run the tiny app as the service is run, on a port of the kernel's choice; `variables` of its environment."""
    log, script = directory / "log", directory / "tiny.py"
    script.write_text(APP)
    environ = os.environ | {"PYTHONPATH": str(ROOT), "FORWARDED_ALLOW_IPS": "*"} | variables
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
