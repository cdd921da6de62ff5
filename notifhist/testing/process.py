"""The real `notifhist serve` as a child process, for clients that are no Python."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from notifhist.testing.keys import Key

PATIENCE_S = 30.0
_LOOKS_EVERY_S = 0.005


@dataclass(frozen=True)
class Process:
    """A running service: its URL and port, a key with every role, and the id of its process.

    With `--notifhist-url` it is the deployed service, and `pid` is None.
    """

    url: str
    port: int
    key: str = field(repr=False)
    pid: int | None


@contextmanager
def serving(folder: Path, load: Path | None, now: str, settings: Mapping[str, object]) -> Iterator[Process]:
    """Serve the files of `load` until the end of the block; the output goes into files in `folder`.

    `now` stops the clock, unless it is empty; `settings` are named without NOTIFHIST_. Raises RuntimeError, with what
    the process said, if it does not start.
    """
    key = Key(secrets.token_hex(24))
    nothing = folder / "nothing"
    nothing.mkdir()
    command = [sys.executable, "-m", "notifhist.cli", "serve", "--load", str(load or nothing), "--key", key]
    command += ["--port", "0", "--workers", "1", *(["--now", now] if now else [])]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFHIST_")}
    environ = inherited | {f"NOTIFHIST_{name}": str(value) for name, value in settings.items()}
    environ["PYTHONSAFEPATH"] = "1"  # modules of the tests' project must not hide those of the service
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=err)  # noqa: S603
    try:
        url = _first_line(process, folder)
        yield Process(url, urlsplit(url).port or 0, key, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _first_line(process: subprocess.Popen[bytes], folder: Path) -> str:
    until = time.monotonic() + PATIENCE_S
    while "\n" not in (text := (folder / "stdout").read_text()):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"`notifhist serve` did not start: {text}{(folder / 'stderr').read_text()}")
        time.sleep(_LOOKS_EVERY_S)
    return text.partition("\n")[0]
