"""What a contract test waits for: the server of the pytest plugin, a reset of it, and the real process beside them."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from bench.load_generator import Server
from bench.report import Row, figure, figures, results
from notifhist.testing.answers import ask
from notifhist.testing.process import serving

_START_S, _RESET_S = "≤ 0.5", "≤ 0.03"
_CHILD = """
import json, time
import pytest
def now(): return time.perf_counter(), time.process_time()
def since(before): return [after - begin for after, begin in zip(now(), before)]
before = now()
from notifhist.testing.files import Files
from notifhist.testing.plugin import imported_service
with imported_service().local_server({}) as server:
    server.reset({}, None, Files(())).get("/entities")
    start, resets = since(before), []
    for _ in range(9):
        before = now()
        server.reset({}, None, Files(()))
        resets.append(since(before))
print(json.dumps([start, resets[4]]))
"""
"""Starts as the fixtures do, to the first answer, and resets; wall and processor seconds of either."""


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    rounds: int = 20


def testing(plan: Plan, cache: Path) -> dict[str, Any]:
    """Measure how long a contract test waits for its service, in seconds.

    Each round is a new process. The drivers of PostgreSQL are hidden: `notifhist[pytest]` does not install them.
    """
    cache.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=cache) as hidden, patch.dict(os.environ, PYTHONPATH=hidden):
        for name in ("psycopg", "psycopg2"):
            (Path(hidden) / f"{name}.py").write_text("raise ImportError\n")
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        _plugin()  # the modules are compiled once
        rounds = [(*_plugin(), _process()) for _ in range(plan.rounds)]
    started, reset, processes = zip(*rounds, strict=True)
    rows: list[Row] = []
    for name, times, wanted in (
        ("plugin, from no import to the first answer", started, _START_S),
        ("plugin, a reset", reset, _RESET_S),
        ("`notifhist serve --load`, to the first answer", processes, _START_S),
    ):
        rows.append(figure(f"{name}: CPU", [cpu for _, cpu in times], "s", wanted))
        rows.append(figure(f"{name}: wall", [wall for wall, _ in times], "s", wanted))
    return results([figures("contract tests", rows)], f"Medians of {plan.rounds} rounds with quartiles in brackets.")


def _plugin() -> list[list[float]]:
    """Return wall and processor seconds of a start, and of a reset. Raises RuntimeError if it fails."""
    done = subprocess.run([sys.executable, "-c", _CHILD], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    times: list[list[float]] = json.loads(done.stdout)
    return times


def _process() -> list[float]:
    """Return wall and processor seconds from the start of the process to its first answer."""
    with TemporaryDirectory() as folder:
        before = time.perf_counter()
        with serving(Path(folder), None, "", {}) as process:
            ask("GET", process.url, "/entities", {"X-Auth-Token": process.key})
            wall = time.perf_counter() - before
            return [wall, Server("process", process.port, process.pid or 0).cpu_seconds()]
