"""The load of several clients at once: wrk sends the prepared requests in turn, in `run` on a CPU of its own."""

import json
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.load_generator import BadAnswer, Request, Server

_SCRIPT = Path(__file__).with_suffix(".lua")
_IDLE_S = 0.1
"""A server that uses no processor for so long has nothing to do; its time is counted in steps of 10 ms."""


class Load(NamedTuple):
    """What came of a window: the answers and their latencies, and processor time of the server and of wrk in s."""

    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    server_cpu: float
    client_cpu: float


def require() -> None:
    """Raise RuntimeError where wrk is not installed."""
    if not shutil.which("wrk"):
        raise RuntimeError("wrk, which makes the load, is not installed. On Debian: apt-get install wrk")


def own_cpus() -> tuple[Sequence[str], Sequence[str]]:
    """Return what to put before the commands of servers and of wrk to keep each on a CPU of its own.

    Nothing where there is but one CPU. Affinity is set before a command starts: later, its threads would keep theirs.
    """
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2 or not shutil.which("taskset"):
        return (), ()
    return ("taskset", "-c", str(cpus[0])), ("taskset", "-c", str(cpus[-1]))


@dataclass(frozen=True)
class Wrk:
    """wrk with one thread, for windows of whole seconds."""

    folder: Path
    """Where the file of the requests goes."""
    seconds: int
    before: Sequence[str] = ()
    """What stands before its command, see `own_cpus`."""
    connections: int = 8

    def measure(self, requests: Sequence[Request], server: Server) -> Load:
        """Return what it takes to answer the requests, which are sent in turn. Raises BadAnswer.

        wrk does not wait for what is under way when the time is over; this does, lest it takes another server's time.
        """
        file = self.folder / "requests"
        file.write_bytes(b"".join(b"%d\n%b" % (len(each.data), each.data) for each in requests))
        options = ("-t1", f"-c{self.connections}", f"-d{self.seconds}s", "--timeout", "60s", "-s", str(_SCRIPT))
        command = (*self.before, "wrk", *options, f"http://127.0.0.1:{server.port}", "--", str(file))
        before, client_before = server.cpu_seconds(), _cpu_of_ended_children()
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        server_cpu, client_cpu = server.cpu_seconds() - before, _cpu_of_ended_children() - client_before
        _wait_until_idle(server)
        if ended.returncode:
            raise BadAnswer(f"wrk, {server.name}: {ended.stdout}{ended.stderr}")
        found = json.loads(ended.stdout.splitlines()[-1])
        if found["status"] or found["socket"] or not found["answers"]:
            raise BadAnswer(f"{server.name}, {requests[0].data!r} and others: {found}, {server_cpu:.2f} s of a CPU")
        p50_ms, p99_ms = found["p50"] / 1000, found["p99"] / 1000
        return Load(found["answers"], found["duration"] / 1e6, p50_ms, p99_ms, server_cpu, client_cpu)


def _cpu_of_ended_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wait_until_idle(server: Server) -> None:
    before = -1.0
    while before != (before := server.cpu_seconds()):
        time.sleep(_IDLE_S)
