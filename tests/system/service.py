"""The service as operators run it: a process with workers, asked over sockets, stopped and killed by pid."""

import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import requests

from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.machine import machine_directory
from tests.conftest import TENANT, store_key

ROOT = Path(__file__).parents[2]
NOTIFHIST = (sys.executable, "-m", "notifhist.cli")
SERVE = (*NOTIFHIST, "serve")
GUNICORN = (sys.executable, "-m", "gunicorn", "wsgi:app")
PATIENCE_S = 60.0

Found = TypeVar("Found")


def wait_until(condition: Callable[[], Found | None], seconds: float = PATIENCE_S) -> Found:
    """Return what `condition` does, once that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"did not come true within {seconds} s")


def free_port() -> int:
    """Return a port that is free, and below those that the kernel hands out by itself."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _is_stopped(pid: int) -> bool:
    """Say whether a signal has stopped all threads of a process: the kernel first wakes one, which stops the others."""
    stats = [stat.read_text() for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(") ")[2].startswith("T") for stat in stats)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process with these settings (names without the prefix), and no others."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("NOTIFHIST_", "PROMETHEUS_"))
    }
    return inherited | {"PYTHONPATH": str(ROOT)} | {f"NOTIFHIST_{name}": text for name, text in settings.items()}


@contextmanager
def opened(database_url: str, *, create: bool = False) -> Iterator[Database]:
    """Open a database beside the commands; `create` makes a SQLite file that is missing."""
    db = open_database(database_url, create=create)
    ensure_connected(db)
    try:
        yield db
    finally:
        db.close()


def create_key(database_url: str, *roles: str, tenant: str = TENANT) -> str:
    """Store a new key, as `store_key` does, in the database of a URL."""
    with opened(database_url) as db:
        return store_key(db, *roles, tenant=tenant)


class Client:
    """A client with a connection of its own that sends a key and follows no redirect."""

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        if key is not None:
            self.session.headers["X-Auth-Token"] = key

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Return the answer."""
        url = self.url + path
        return self.session.request(method, url, timeout=PATIENCE_S, allow_redirects=False, **options)

    def get(self, path: str, **headers: str) -> requests.Response:
        """Return the answer to a GET."""
        return self.request("GET", path, headers=headers)

    def post(self, path: str, document: object) -> requests.Response:
        """Return the answer to a POST of JSON."""
        return self.request("POST", path, json=document)

    def get_json(self, path: str) -> Any:
        """Return the document that is answered with 200."""
        response = self.get(path)
        assert response.status_code == 200, response.text
        return response.json()


class Service:
    """A server that may be started again, with the same settings and in the same directory."""

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, str],
        *arguments: str,
        command: Sequence[str] = SERVE,
        bind: str = "127.0.0.1:0",
        workers: int = 2,
        cwd: Path | None = None,
    ) -> None:
        self.directory, self.settings, self.cwd = directory, dict(settings), cwd or directory
        self._number_of_workers = workers
        self._command = (*command, "--bind", bind, "--workers", str(workers), *arguments)
        self._out, self._err = directory / "stdout", directory / "stderr"
        self._clients: list[Client] = []
        self._left_behind: set[str] = set()
        self._begin = 0
        self._alive: int | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self, ready: bool = True) -> "Service":
        """Start the server and wait until it listens and, unless told otherwise, is ready."""
        self._begin = self._out.stat().st_size if self._out.exists() else 0
        self._alive, inherited = os.pipe()  # at its end once all processes have ended
        with self._out.open("ab") as out, self._err.open("ab") as err:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment(self.settings),
                cwd=self.cwd,
                start_new_session=True,
                pass_fds=[inherited],
            )
        os.close(inherited)
        self.url = wait_until(self._listening)
        if ready:
            wait_until(self.is_ready)
        return self

    def _listening(self) -> str | None:
        assert self.process is not None
        assert self.process.poll() is None, self.output() + self.errors()
        found = re.search(r"Listening at: (http://[0-9.:]+) ", self.output())
        return found and found[1]

    def is_ready(self) -> bool:
        """Say whether /readyz does."""
        with suppress(requests.ConnectionError):
            return self.ask("/readyz").status_code == 200
        return False

    def ask(self, path: str, key: str | None = None, method: str = "GET", **options: Any) -> requests.Response:
        """Return the answer to one request over a connection of its own."""
        client = Client(self.url, key)
        with client.session:
            return client.request(method, path, **options)

    def client(self, key: str | None = None) -> Client:
        """Return a client that lives as long as the service."""
        client = Client(self.url, key)
        self._clients.append(client)
        return client

    def clients_of_each_worker(self, key: str, each: int) -> list[Client]:
        """Return clients with connections that stay with their worker, `each` of every worker's."""
        clients = []
        wait_until(lambda: len(self.workers()) >= self._number_of_workers)  # one is enough to be ready
        for worker in self.workers():
            others = [pid for pid in self.workers() if pid != worker]
            for pid in others:
                os.kill(pid, signal.SIGSTOP)
            for pid in others:
                wait_until(partial(_is_stopped, pid))  # until then it still accepts
            try:
                for _ in range(each):
                    clients.append(self.client(key))
                    clients[-1].get_json("/healthz")
            finally:
                for pid in others:
                    os.kill(pid, signal.SIGCONT)
        return clients

    def output(self) -> str:
        """Return what this start has written to standard output."""
        with self._out.open("rb") as out:
            out.seek(self._begin)
            return out.read().decode()

    def errors(self) -> str:
        """Return all that was written to standard error."""
        return self._err.read_text()

    def lines(self) -> list[dict[str, Any]]:
        """Return the log since this start; every line must be a JSON object."""
        return [json.loads(line) for line in self.output().rpartition("\n")[0].splitlines()]

    def workers(self) -> list[int]:
        """Return the pids of the workers started, those that ended included."""
        return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", self.output())]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Return the outcome of another command of `notifhist` with the same settings."""
        return subprocess.run(
            [*NOTIFHIST, *arguments],
            capture_output=True,
            text=True,
            env=environment(self.settings),
            cwd=self.cwd,
            timeout=PATIENCE_S,
        )

    def create_key(self, *roles: str, tenant: str = TENANT) -> str:
        """Return a new key, with every role unless told otherwise."""
        return create_key(self.settings["DATABASE_URL"], *roles, tenant=tenant)

    def signal(self, number: int) -> None:
        """Send a signal to the master."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        """Stop the server by SIGTERM; return its exit code once no process of it is left."""
        assert self.process is not None
        self.signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        self._wait_for_the_end()
        return code

    def kill(self) -> None:
        """End all processes of the server at once, by SIGKILL."""
        assert self.process is not None
        for pid in self.workers():  # their directory of metrics, which nobody is left to remove
            with suppress(OSError):
                maps = Path(f"/proc/{pid}/maps").read_text()
                self._left_behind.update(re.findall(r"(/\S*/notifhist-metrics-[^/\s]+)/", maps))
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._wait_for_the_end()

    def _wait_for_the_end(self) -> None:
        if self._alive is not None:
            ended, _, _ = select.select([self._alive], [], [], PATIENCE_S)
            os.close(self._alive)
            self._alive = None
            assert ended, "a worker is left behind"

    def clean_up(self) -> None:
        """End what still runs, at once, and remove what it leaves outside of its directory."""
        for client in self._clients:
            client.session.close()
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for directory in self._left_behind:
            shutil.rmtree(directory, ignore_errors=True)
        url = self.settings.get("DATABASE_URL", f"sqlite:///{self.cwd}/notifhist-demo.db")
        shutil.rmtree(machine_directory(url), ignore_errors=True)


@contextmanager
def running(service: Service) -> Iterator[Service]:
    """Start a service, and clean up after it."""
    try:
        yield service.start()
    finally:
        service.clean_up()
