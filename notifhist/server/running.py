"""The services that run on this machine, as `notifhist doctor` finds them: by a note beside their metrics."""

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from notifhist.config import ConfigError, load_settings
from notifhist.server.files import files_needed
from notifhist.store.machine import directory_name, is_name_of, is_trusted, memory_places
from notifhist.store.processes import maker_of

METRICS_PREFIX = "notifhist-metrics-"
"""The directory of a service's metrics has a name of this and of its master (`store.processes`)."""
_NOTE = "service.json"
_MOST_BYTES = 65_536
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError)
"""What is raised where a note is missing, half, or not one that a service has written."""
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
            "database": directory_name(directory.stat().st_uid, load_settings(os.environ).database_url),
            "bind": ", ".join(cfg.bind),
            "workers": cfg.workers,
            "threads": cfg.threads,
            "files_needed": files_needed(cfg.worker_connections, cfg.threads),
        }
        (directory / _NOTE).write_text(json.dumps(note))


def find_running(database_url: str) -> Iterator[Running]:
    """Yield the services of this machine on this database; of other users' ones, those that may be believed."""
    for place in memory_places():
        for directory in place.glob(f"{METRICS_PREFIX}*-*"):
            with suppress(*_UNREADABLE):
                pid = maker_of(directory.name, METRICS_PREFIX)
                if pid is not None and is_trusted(directory, database_url):
                    note = json.loads(_read(directory / _NOTE))
                    if is_name_of(note["database"], directory, database_url):
                        workers, threads, files = (int(note[name]) for name in ("workers", "threads", "files_needed"))
                        yield Running(pid, str(note["bind"]), workers, threads, files, directory)


def _read(path: Path) -> bytes:
    """Return what is in a file. Raises OSError or ValueError for a link, for what is no ordinary file, or is long."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a named pipe would keep us for ever
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
            raise ValueError(f"{path} is no note")
        return os.read(descriptor, _MOST_BYTES)
    finally:
        os.close(descriptor)
