"""The services that run on this machine, as `notifhist doctor` finds them: by a note beside their metrics."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from notifhist.config import ConfigError, load_settings
from notifhist.server.files import files_needed
from notifhist.store.machine import SHARED_MEMORY, directory_name

METRICS_PREFIX = "notifhist-metrics-"
"""The directory of a service's metrics has a name of this, the pid of its master, and some random letters."""
_NOTE = "service.json"
_OPEN_FILES = re.compile(r"^Max open files +(\d+)", re.MULTILINE)


class Running(NamedTuple):
    """A service that runs: its master's pid, where it listens, and the directory of its metrics."""

    pid: int
    bind: str
    workers: int
    threads: int
    files_needed: int
    """How many files a worker may have to have open at once."""
    metrics: Path

    def max_files(self) -> int | None:
        """Return how many files each of its processes may have open; None if nobody may know."""
        with suppress(OSError):
            if found := _OPEN_FILES.search(Path(f"/proc/{self.pid}/limits").read_text()):
                return int(found[1])
        return None


def leave_note(directory: Path, cfg: Any) -> None:
    """Write the note of a service that starts into the directory of its metrics. `cfg`: gunicorn's settings."""
    with suppress(OSError, ConfigError):  # /dev/shm may be full; a bad setting is told elsewhere
        note = {
            "database": directory_name(os.geteuid(), load_settings(os.environ).database_url),
            "user": os.geteuid(),
            "bind": ", ".join(cfg.bind),
            "workers": cfg.workers,
            "threads": cfg.threads,
            "files_needed": files_needed(cfg.worker_connections, cfg.threads),
        }
        (directory / _NOTE).write_text(json.dumps(note))


def find_running(database_url: str) -> Iterator[Running]:
    """Yield the services of this machine on this database; of other users' ones, those whose notes may be read."""
    for place in {SHARED_MEMORY, Path(tempfile.gettempdir())}:
        for directory in place.glob(f"{METRICS_PREFIX}*-*"):
            pid = directory.name.removeprefix(METRICS_PREFIX).partition("-")[0]
            if not pid.isdigit() or not Path(f"/proc/{pid}").exists():
                continue
            with suppress(OSError, ValueError, KeyError):
                note = json.loads((directory / _NOTE).read_bytes())
                if note["database"] == directory_name(note["user"], database_url):
                    workers, threads, files = (int(note[name]) for name in ("workers", "threads", "files_needed"))
                    yield Running(int(pid), str(note["bind"]), workers, threads, files, directory)
