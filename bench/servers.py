"""The servers that are measured, each a process group of its own on loopback, all under the same gunicorn."""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from notifhist.auth import ADMIN, RUNS_EDIT
from notifhist.config import PREFIX
from notifhist.store.request_counts import machine_directory

ROOT = Path(__file__).parents[1]
THREADS = 8
_NOTIFHIST = (sys.executable, "-m", "notifhist.cli")
_PATIENCE_S = 60
_LOOK_AGAIN_S = 0.02
_LISTENING = re.compile(r"Listening at: http://127\.0\.0\.1:(\d+)")
_UNREACHED = "1000000000/day"
"""A rate limit that counts every request and refuses none."""


class Answer(NamedTuple):
    """What a server said."""

    status: int
    content_type: str
    body: bytes
    seconds: float


class Server(NamedTuple):
    """A server that runs; `pid` is that of the process that started its workers."""

    name: str
    port: int
    pid: int = 0

    def ask(self, uri: str, headers: Mapping[str, str]) -> Answer:
        """Return the answer to one GET over a connection of its own; `headers` name the host."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S * 2)
        started = time.perf_counter()
        try:
            connection.request("GET", uri, headers=dict(headers))
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        seconds = time.perf_counter() - started
        return Answer(response.status, response.headers["Content-Type"], body, seconds)


@contextmanager
def running(
    name: str, command: Sequence[str], folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a command that serves with gunicorn, its output going to a file of `folder`; ends it with the block."""
    output = folder / f"{name}.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [*command, "--bind", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(settings or {}),
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        yield Server(name, _port(process, output), process.pid)
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def service(
    url: str, folder: Path, threads: int = THREADS, name: str = "service", workers: int = 1
) -> Iterator[Server]:
    """Run the service over the database at `url` as an operator does, with everything on; see `running`."""
    command = (*_NOTIFHIST, "serve", "--workers", str(workers), "--threads", str(threads))
    settings = {
        "DATABASE_URL": url,
        "HISTORY_RATE_LIMIT": _UNREACHED,
        "RUNS_RATE_LIMIT": _UNREACHED,
    }
    try:
        with running(name, command, folder, settings) as server:
            yield server
    finally:
        shutil.rmtree(machine_directory(url), ignore_errors=True)  # what its limits have counted


def ceiling(answers: Path, folder: Path, threads: int = THREADS) -> AbstractContextManager[Server]:
    """Run the bare server over the answers in a folder; see `running`."""
    return running("ceiling", _module("bench.ceiling", answers=answers, threads=threads), folder)


def committing(url: str, folder: Path, threads: int) -> AbstractContextManager[Server]:
    """Run the bare server that commits a row in the database at `url` with each request; see `running`."""
    return running("committing", _module("bench.ceiling", commits=url, threads=threads), folder)


def idiomatic(database: Path, folder: Path) -> AbstractContextManager[Server]:
    """Run the plain application over its file; see `running`."""
    return running("idiomatic", _module("bench.idiomatic", database=database, threads=THREADS), folder)


def run_command(url: str, *arguments: str) -> tuple[float, int]:
    """Run `notifhist` with these arguments; return the seconds it took, and the most bytes its processes had in memory.

    Raises RuntimeError if it fails.
    """
    started = time.perf_counter()
    process = start_command(url, *arguments)
    most = 0
    while process.poll() is None:
        most = max(most, _resident_bytes(process.pid))
        time.sleep(_LOOK_AGAIN_S)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"notifhist {' '.join(arguments)} failed")
    return seconds, most


def _resident_bytes(pid: int) -> int:
    """Return the memory of a process and its children; pages that they share count for each."""
    with suppress(OSError, IndexError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return pages * os.sysconf("SC_PAGE_SIZE") + sum(_resident_bytes(int(child)) for child in children)
    return 0  # it has ended


def start_command(url: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start `notifhist` with these arguments; of what it says only errors are shown."""
    return subprocess.Popen(
        (*_NOTIFHIST, *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=_environment({"DATABASE_URL": url}),
        cwd=ROOT,
    )


def _module(name: str, **options: object) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *(f"--{option}={value}" for option, value in options.items()))


def create_key(url: str, tenant: str) -> str:
    """Return a new key of `tenant`, with every role."""
    command = (*_NOTIFHIST, "keys", "create", "--tenant", tenant, "--role", ADMIN, "--role", RUNS_EDIT)
    environment = _environment({"DATABASE_URL": url})
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"no key could be made: {done.stderr}")
    return done.stdout.strip()


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "PROMETHEUS_"))
    }
    return inherited | {"PYTHONPATH": str(ROOT)} | {PREFIX + name: value for name, value in settings.items()}


def _port(process: "subprocess.Popen[bytes]", output: Path) -> int:
    """Return the port on which a server that was started listens, once it does."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if found := _LISTENING.search(output.read_text()):
            return int(found[1])
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen:\n{output.read_text()[-4000:]}")
