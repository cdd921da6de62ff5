"""Running `notifhist-run` as a tool does: a process of its own, with an environment of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).parents[2]
WRAPPER = (sys.executable, "-m", "notifhist.run")
PATIENCE_S = 60.0
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class Runs:
    """A spool, and the wrapper that writes into it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.own = base / str(os.geteuid())

    def environment(self, variables: Mapping[str, str] = NO_VARIABLES) -> dict[str, str]:
        """Return the environment of a daemon that has set what the wrapper needs, and `variables`."""
        ours = {"TENANT": "acme", "SPOOL": str(self.base), "RUN_CONFIG": "/nowhere/run.toml"}
        path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        return path | {f"NOTIFHIST_{name}": value for name, value in ours.items()} | dict(variables)

    def start(
        self, *arguments: str, variables: Mapping[str, str] = NO_VARIABLES, **popen: Any
    ) -> subprocess.Popen[Any]:
        """Start the wrapper; its streams are pipes, unless `popen` says otherwise."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*WRAPPER, *arguments], env=self.environment(variables), **(streams | popen))

    def run(
        self, *arguments: str, variables: Mapping[str, str] = NO_VARIABLES, given: bytes | None = None, **popen: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """Return the outcome of the wrapper. `given`: its standard input, by a pipe."""
        if given is not None:
            popen["stdin"] = subprocess.PIPE
        with self.start(*arguments, variables=variables, **popen) as process:
            out, err = process.communicate(given, timeout=PATIENCE_S)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def wait_for_output(self, output: bytes) -> None:
        """Wait until the spool has this as the end of what a command wrote: it comes there after the caller has it."""
        deadline = time.monotonic() + PATIENCE_S
        while output not in [path.read_bytes() for path in self.own.glob("*.out")]:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def names(self) -> list[str]:
        """Return the names of the files in the caller's folder."""
        return sorted(path.name for path in self.own.iterdir()) if self.own.exists() else []

    def records(self) -> list[Any]:
        """Return the records, oldest first."""
        texts = [path.read_text() for path in self.own.glob("*.ndjson")]
        assert all(text.endswith("\n") and text.count("\n") == 1 for text in texts)
        return sorted(map(json.loads, texts), key=lambda record: record["item"]["timestamp"])

    def record(self) -> Any:
        """Return the only record; no other file is left."""
        (record,) = self.records()
        assert self.names() == [f"{record['item']['id']}.ndjson"]
        return record

    def result(self) -> Any:
        """Return the result of the only record."""
        (result,) = self.record()["item"]["notification_results"]
        return result


def sh(script: str) -> Sequence[str]:
    """Return the words of a command that runs a script."""
    return ("--", "/bin/sh", "-c", script)


def lines_of(path: Path) -> Iterator[Any]:
    """Yield the documents in a file of lines."""
    for line in path.read_text().splitlines():
        yield json.loads(line)
