"""gunicorn with the settings of the service; `serve` runs it."""

import atexit
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from prometheus_client.multiprocess import mark_process_dead

from notifhist.logs import configure_logging
from notifhist.metrics import MULTIPROCESS_DIR
from notifhist.server.arbiter import Arbiter
from notifhist.server.connection import KEEPALIVE_S
from notifhist.server.files import CONNECTIONS, allow_files, files_needed
from notifhist.server.running import METRICS_PREFIX, leave_note
from notifhist.server.worker import Worker
from notifhist.store.machine import memory_place
from notifhist.store.processes import has_ended, name_of_ours

THREADS = 2
"""Requests that a worker answers at once, beside the one that the thread which polls answers (`server.worker`)."""


def cpu_count() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def options(workers: int | None = None, threads: int = THREADS) -> dict[str, Any]:
    """Return gunicorn's settings; with no `workers` given, one for each CPU."""
    return {
        "workers": workers or cpu_count(),
        "threads": threads,
        "worker_class": Worker,
        "worker_connections": CONNECTIONS,
        "worker_tmp_dir": str(memory_place()),
        "preload_app": False,  # each worker opens its own connections
        "keepalive": KEEPALIVE_S,
        "timeout": 60,  # s until a worker whose main loop hangs is killed; a slow request does not hang it
        "graceful_timeout": 30,
        "http_parser": "python",  # Incoming extends this one
        # gunicorn believes no proxy, not even from 127.0.0.1 or a socket: TRUSTED_PROXIES tells the app whom to.
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        "secure_scheme_headers": {},
        "logger_class": JsonLogger,
        "accesslog": None,  # the app writes it: it knows the tenant
        "capture_output": False,
        "control_socket_disable": True,
        "on_starting": _on_starting,
        "child_exit": _child_exit,
    }


def serve(create_app: Callable[[], Flask], bind: str, workers: int, threads: int) -> None:
    """Serve at `bind` (HOST:PORT) until a signal ends it, with an app for each worker. Raises SystemExit at the end."""
    Server(create_app, options(workers, threads) | {"bind": bind}).run()


def _block_signals() -> None:
    """Keep signals waiting while a worker is forked, until it hears them: one that came before was lost."""
    signal.pthread_sigmask(signal.SIG_BLOCK, Worker.SIGNALS)


def _unblock_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, Worker.SIGNALS)


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn with the settings given; each worker calls `load` for its own app."""

    def __init__(self, load: Callable[[], WSGIApplication], settings: Mapping[str, Any]) -> None:
        self._load, self._settings = load, settings
        super().__init__()

    def load_config(self) -> None:
        """Take the settings; once more at each reload."""
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        """Return the app."""
        return self._load()

    def run(self) -> None:
        """Serve until a signal ends it. Raises SystemExit, as gunicorn's own does, which has another arbiter."""
        try:
            Arbiter(self).run()
        except RuntimeError as error:
            sys.exit(f"Error: {error}")


class JsonLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's log as our JSON lines."""

    def setup(self, cfg: Any) -> None:
        """Set up our handlers; once more at each reload."""
        super().setup(cfg)
        configure_logging()

    def _set_handler(self, *args: Any, **kwargs: Any) -> None:
        """Add no handler of gunicorn's own."""


def _on_starting(server: Any) -> None:
    """Make the directory in which the workers keep their metrics; the process that makes it removes it."""
    os.register_at_fork(before=_block_signals, after_in_parent=_unblock_signals)
    _remove_left_behind()
    directory = tempfile.mkdtemp(prefix=name_of_ours(METRICS_PREFIX), dir=memory_place())
    os.chown(directory, server.cfg.uid, server.cfg.gid)
    os.environ[MULTIPROCESS_DIR] = directory
    leave_note(Path(directory), server.cfg)
    allow_files(files_needed(server.cfg.worker_connections, server.cfg.threads))
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # workers inherit this, and end earlier
            shutil.rmtree(directory, ignore_errors=True)

    atexit.register(remove)


def _remove_left_behind() -> None:
    """Remove the directories of services that were killed: in /dev/shm they would fill the memory."""
    for directory in memory_place().glob(f"{METRICS_PREFIX}*-*"):
        with suppress(FileNotFoundError):  # another service that starts has removed it
            if has_ended(directory.name, METRICS_PREFIX) and directory.lstat().st_uid == os.getuid():
                shutil.rmtree(directory, ignore_errors=True)


def _child_exit(server: Any, worker: Any) -> None:
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
