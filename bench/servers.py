"""The servers that are measured, and measuring them in turns."""

import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import TypeVar

import click

from bench.databases import Database, databases
from bench.load_generator import Request, Server
from notifhist.auth import ADMIN, RUNS_EDIT
from notifhist.store.machine import machine_directory

Asked = dict[str, list[Request]]  # by workload
T = TypeVar("T")
Measured = dict[str, dict[str, list[T]]]  # by workload and server, what was measured in each round
ROOT = Path(__file__).parents[1]
ONE_WORKER = ("--workers", "1", "--threads", "2")
_NOTIFHIST = (sys.executable, "-m", "notifhist.cli")
_PATIENCE_S = 60
_BIND = ("--bind", "127.0.0.1:0")
_LISTENING = re.compile(r"(?:Listening at:|running on) http://127\.0\.0\.1:(\d+)")  # of gunicorn and uvicorn
_LIMITS = {"HISTORY_RATE_LIMIT": "1000000000/day", "RUNS_RATE_LIMIT": "1000000000/day", "MAX_WAIT_MS": "0"}
"""They count every request and refuse none."""


def numbers(measured: Measured[T], of: Callable[[T], float]) -> dict[str, dict[str, list[float]]]:
    """Return a number `of` each that was measured."""
    return {name: {server: [*map(of, some)] for server, some in each.items()} for name, each in measured.items()}


@dataclass(frozen=True)
class Service:
    """The service over a database, by the code of a checkout.

    Only the command line is used, so the code may be that of any commit.
    """

    database: Database
    checkout: Path = ROOT

    def serving(self, *options: str) -> tuple[str, ...]:
        """Return the command that serves."""
        return (*_NOTIFHIST, "serve", *options, *_BIND)

    def start(self, *arguments: str, stdout: int = subprocess.DEVNULL) -> "subprocess.Popen[str]":
        """Start `notifhist` with these arguments; what it says on standard error is shown."""
        environment = _environment(self.checkout, DATABASE_URL=self.database.url)
        command = (*_NOTIFHIST, *arguments)
        return subprocess.Popen(command, stdout=stdout, text=True, env=environment, cwd=self.checkout)

    def run(self, *arguments: str) -> str:
        """Run `notifhist` with these arguments; return what it prints. Raises RuntimeError if it fails."""
        process = self.start(*arguments, stdout=subprocess.PIPE)
        output, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"notifhist {' '.join(arguments)} failed in {self.checkout}")
        return output

    def load(self, lines: Path) -> None:
        """Load a file of NDJSON."""
        self.run("load", str(lines))

    def create_key(self, tenant: str) -> str:
        """Return a new key of `tenant`, with every role."""
        return self.run("keys", "create", "--tenant", tenant, "--role", ADMIN, "--role", RUNS_EDIT).strip()


def _environment(checkout: Path, **settings: str) -> dict[str, str]:
    """Return this process's environment, with these settings of the service and no others."""
    ours = ("NOTIFHIST_", "PROMETHEUS_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    given = {f"NOTIFHIST_{name}": value for name, value in settings.items()}
    return inherited | {"PYTHONPATH": str(checkout)} | given


class Bench(ExitStack):
    """Databases of a kind below `cache`, a folder there, and servers; all end with the block.

    `before` stands before each server's command.
    """

    def __init__(self, kind: str, cache: Path, before: Sequence[str] = ()) -> None:
        super().__init__()
        self.kind, self._before = kind, before
        cache.mkdir(exist_ok=True)
        self.database = self.enter_context(databases(kind, cache))
        self.scratch = Path(self.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=cache)))

    def serve(self, name: str, service: Service, *options: str) -> Server:
        """Run a service as an operator does, with everything on."""
        url = service.database.url
        self.callback(shutil.rmtree, machine_directory(url), ignore_errors=True)  # its limits' counts
        environment = _environment(service.checkout, DATABASE_URL=url, **_LIMITS)
        return self._start(name, service.serving(*options), service.checkout, environment)

    def serve_stock(self, name: str, app: str, *options: str) -> Server:
        """Run a WSGI callable of bench.bare, "function('argument')", in a worker of gunicorn's own, with its defaults.

        Its heartbeat file is in memory, as gunicorn's documentation advises. Two would share a control socket.
        """
        stock = ("-k", "gthread", "--worker-tmp-dir", "/dev/shm", "--no-control-socket", *options, *_BIND)
        command = (sys.executable, "-m", "gunicorn", *stock, f"bench.bare:{app}")
        # In the checkout gunicorn would read the gunicorn.conf.py there.
        return self._start(name, command, self.scratch, _environment(ROOT))

    def serve_answers(self, name: str, function: str, requests: Iterable[Request], *options: str) -> Server:
        """Run a function of bench.bare, which answers what must come back; see `serve_stock`."""
        path = self.scratch / f"{function}.pickle"
        path.write_bytes(pickle.dumps({request.asked: request.body for request in requests}))
        return self.serve_stock(name, f"{function}({str(path)!r})", *options)

    def _start(self, name: str, command: Sequence[str], folder: Path, environment: dict[str, str]) -> Server:
        """Start what serves; return it once it listens. Raises RuntimeError if it does not."""
        log = self.scratch / f"{name}.log"
        with log.open("wb") as output:
            command = (*self._before, *command)
            process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=folder)
        self.callback(process.wait, _PATIENCE_S)  # gunicorn itself kills workers that do not end
        self.callback(process.terminate)
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline and process.poll() is None:
            if found := _LISTENING.search(log.read_text()):
                return Server(name, int(found[1]), process.pid)
            time.sleep(0.02)
        raise RuntimeError(f"{command} does not listen:\n{log.read_text()[-4000:]}")


def in_turns(
    asked: Mapping[Server, Asked], rounds: int, measure: Callable[[Sequence[Request], Server], T]
) -> Measured[T]:
    """Measure on each server the workloads that it is asked for.

    A round goes through all workloads, and in each through the servers, each time from another one on.
    """
    servers, workloads = deque(asked), list(dict.fromkeys(chain(*asked.values())))
    measured: Measured[T] = {name: {} for name in workloads}
    with click.progressbar(range(rounds), label="Measuring", file=sys.stderr) as bar:
        for _ in bar:
            for workload, server in product(workloads, servers):
                if requests := asked[server].get(workload):
                    measured[workload].setdefault(server.name, []).append(measure(requests, server))
            servers.rotate(-1)
    return measured
