"""Many runs against a service that is killed and started every few seconds: each is in the history, once.

200 runs; `NOTIFHIST_TEST_RUNS=10000 pytest tests/senders/test_many_runs.py` runs more.
"""

import os
import random
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.conftest import TENANT
from tests.senders.lab import WRAPPER, Lab
from tests.system.service import wait_until

RUNS = int(os.environ.get("NOTIFHIST_TEST_RUNS", "200"))
AT_ONCE = 4
PER_CHECK = 100


class Outages:
    """Kills the service and starts it again, until the runs are over."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.number = 0

    def _run(self) -> None:
        lots = random.Random(1)
        while not self._over.wait(lots.uniform(1, 3)):
            self._lab.service.kill()
            self.number += 1
            self._over.wait(lots.uniform(0.5, 2))
            self._lab.service.start()

    def __enter__(self) -> "Outages":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()


def run_one(lab: Lab, number: int) -> int:
    """Return the exit code that the caller of a run sees."""
    check = f"chMany{number // PER_CHECK}"
    place = ["--entity", "enOne", "--alarm", "alOne", "--check", check, "--set", f"number={number}"]
    script = f"echo {number}; exit {code_of(number)}"
    environ = {"PATH": os.environ["PATH"], "NOTIFHIST_RUN_CONFIG": str(lab.config)}
    done = subprocess.run([WRAPPER, *place, "--", "/bin/sh", "-c", script], env=environ, capture_output=True)
    assert done.stdout == f"{number}\n".encode()
    return done.returncode


def code_of(number: int) -> int:
    return number * 37 % 256


def items_of(lab: Lab, check: str) -> list[Any]:
    """Return all items of a check."""
    key = (lab.folder / "key").read_text()
    path = f"/v1.0/{TENANT}/entities/enOne/alarms/alOne/notification_history/{check}?limit=1000"
    answer = lab.service.ask(path, key)
    assert answer.status_code == 200
    values: list[Any] = answer.json()["values"]
    return values


def test_each_run_is_in_the_history_once_and_its_caller_got_its_code(lab: Lab) -> None:
    began = time.monotonic()
    with Outages(lab) as outages, ThreadPoolExecutor(AT_ONCE) as pool:
        codes = list(pool.map(lambda number: run_one(lab, number), range(RUNS)))
    assert codes == [code_of(number) for number in range(RUNS)]

    def is_empty() -> bool:
        lab.flush()
        return not list(Path(lab.runs.own).glob("*.ndjson"))

    wait_until(is_empty)
    items = [item for n in range((RUNS - 1) // PER_CHECK + 1) for item in items_of(lab, f"chMany{n}")]
    told = {int(item["source"]["number"]): item["notification_results"][0]["attempts"] for item in items}
    assert Counter(int(item["source"]["number"]) for item in items) == Counter(range(RUNS))
    assert {n: [each["exit_code"] for each in attempts] for n, attempts in told.items()} == {
        n: [code_of(n)] for n in range(RUNS)
    }
    assert outages.number > 0
    print(f"{RUNS} runs, {outages.number} outages, {time.monotonic() - began:.0f} s")  # noqa: T201
