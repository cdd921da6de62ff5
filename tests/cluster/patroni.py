"""A cluster that Patroni manages: etcd, members on loopback, each a Patroni with its PostgreSQL, HAProxy before them.

Patroni, etcd and HAProxy are Debian's, PostgreSQL is that of the other tests.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.cluster.network import Host
from tests.cluster.nodes import PROGRAMS, USER, Node, server_folder
from tests.system.service import ROOT, free_port, wait_until

PACKAGES = {"patroni": "patroni", "patronictl": "patroni", "etcd": "etcd-server", "haproxy": "haproxy"}
"""The programs that are started, and the packages that have them."""
_HERE = "127.0.0.1"
_SCOPE = "notifhist"
_DYNAMIC = {
    "ttl": 8,
    "loop_wait": 1,
    "retry_timeout": 3,
    "synchronous_mode": True,
    "postgresql": {
        "use_pg_rewind": True,
        "parameters": {
            "max_connections": 60,
            "shared_buffers": "32MB",
            "fsync": "off",  # what a killed server has written is there without it
            "wal_retrieve_retry_interval": "200ms",
        },
    },
}
"""What all members share; times in s: less than Patroni's manual has, since the test waits for them."""
_EXAMPLE = ROOT / "deploy/haproxy/postgresql.cfg"
_NAMES = ("one", "two", "three")
"""What the example calls the members."""


def _start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a program, as the user of the servers if root asks."""
    as_user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups") if os.geteuid() == 0 else ()
    with log.open("ab") as output:
        return subprocess.Popen(
            [*as_user, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=log.parent,
            env={"PATH": os.environ["PATH"], "HOME": str(log.parent)},
        )


class Member:
    """A Patroni, and the PostgreSQL that it manages."""

    def __init__(self, folder: Path, name: str, etcd: str) -> None:
        self.name = name
        self.node = Node(folder, Host(_HERE, free_port()), name)
        self.api = f"{_HERE}:{free_port()}"
        self.configuration, self._log = folder / f"{name}.yml", folder / f"{name}-patroni.log"
        self.configuration.write_text(json.dumps(self._settings(folder, etcd)))
        self._patroni: subprocess.Popen[bytes] | None = None

    def _settings(self, folder: Path, etcd: str) -> dict[str, Any]:
        place = f"{self.node.host.address}:{self.node.host.port}"
        return {
            "scope": _SCOPE,
            "name": self.name,
            "etcd3": {"host": etcd},
            "restapi": {"listen": self.api, "connect_address": self.api},
            "bootstrap": {"dcs": _DYNAMIC, "initdb": [{"encoding": "UTF8"}, "data-checksums"]},
            "postgresql": {
                "listen": place,
                "connect_address": place,
                "data_dir": str(self.node.data),
                "bin_dir": str(PROGRAMS),
                "pgpass": str(folder / f"{self.name}.pgpass"),
                "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "postgres"}},
                "basebackup": {"checkpoint": "fast"},
                "parameters": {"unix_socket_directories": ""},
                "pg_hba": ["host all all all trust", "host replication all all trust"],
            },
        }

    def start(self) -> None:
        """Start its Patroni, which starts PostgreSQL."""
        self._patroni = _start(("patroni", str(self.configuration)), self._log)

    def kill(self) -> None:
        """End Patroni and all processes of PostgreSQL at once."""
        if self._patroni is not None:
            with suppress(psutil.NoSuchProcess):
                started = psutil.Process(self._patroni.pid).children(recursive=True)  # those that repair what it had
                for process in started:
                    process.kill()
            self._patroni.kill()
            self._patroni.wait()
        self.node.kill()

    def is_primary(self) -> bool:
        """Say whether Patroni does, which is what HAProxy asks: up to a second after PostgreSQL is."""
        with suppress(requests.RequestException):
            return requests.get(f"http://{self.api}/primary", timeout=3).status_code == 200
        return False


class Patroni:
    """The cluster."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._etcd = f"{_HERE}:{free_port()}"
        self.members = [Member(folder, name, self._etcd) for name in _NAMES]
        self.haproxy = f"{_HERE}:{free_port()}"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start all of it."""
        peer = f"http://{_HERE}:{free_port()}"
        client = f"http://{self._etcd}"
        addresses = ("--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer)
        first = ("--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}")
        self._run("etcd", "--data-dir", str(self._folder / "etcd"), *addresses, *first)
        for member in self.members:
            member.start()
        configuration = self._folder / "haproxy.cfg"
        configuration.write_text(self._haproxy_configuration())
        self._run("haproxy", "-db", "-f", str(configuration))

    def _haproxy_configuration(self) -> str:
        """Return the example for operators with the addresses of here, and for a user without rights."""
        text = _EXAMPLE.read_text()
        changes = {"    user haproxy\n    group haproxy\n": "", "bind 127.0.0.1:5432": f"bind {self.haproxy}"}
        for n, each in enumerate(self.members, start=1):
            place = f"{each.node.host.address}:{each.node.host.port} port {each.api.rpartition(':')[2]}"
            changes[f"server {each.name} 10.0.0.{n}:5432"] = f"server {each.name} {place}"
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        return text

    def _run(self, program: str, *arguments: str) -> None:
        self._processes.append(_start((program, *arguments), self._folder / f"{program}.log"))

    def _roles(self) -> dict[str, Member]:
        """Return who is in which role, by what a Patroni says; nobody, if none says anything."""
        by_name = {each.name: each for each in self.members}
        for member in self.members:
            with suppress(requests.RequestException, KeyError):
                told = requests.get(f"http://{member.api}/cluster", timeout=3).json()["members"]
                running = [each for each in told if each["state"] in ("running", "streaming")]
                return {each["role"]: by_name[each["name"]] for each in running}
        return {}

    @property
    def primary(self) -> Member:
        """The member that takes writes."""
        return wait_until(lambda: next((each for each in self.members if each.is_primary()), None))

    def standby(self) -> Member:
        """Return the synchronous standby, once there is one."""
        return wait_until(lambda: self._roles().get("sync_standby"))

    def wait_for_standby(self) -> None:
        """Wait until a standby confirms each commit."""
        sync = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        wait_until(lambda: self._roles().get("sync_standby") and self.primary.node.execute(sync) == [(1,)])

    def switch_over(self) -> Callable[[], None]:
        """Have the synchronous standby take over, as people ask for it; return what waits until Patroni says it has."""
        names = ("--leader", self.primary.name, "--candidate", self.standby().name)
        command = ("patronictl", "-c", str(self.members[0].configuration), "switchover", _SCOPE, *names, "--force")
        asked = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

        def wait() -> None:
            output, _ = asked.communicate()
            assert asked.returncode == 0, output.decode()

        return wait

    def kill_primary(self) -> Callable[[], None]:
        """Kill the primary and its Patroni; return what starts it again."""
        lost = self.primary
        lost.kill()
        return lost.start

    def wait_for_promotion(self, former: Member) -> None:
        """Wait until Patroni says of another one than the former primary that it is the primary."""
        wait_until(lambda: any(each.is_primary() for each in self.members if each is not former))

    @property
    def addresses(self) -> str:
        """The members, as the address of a database names them."""
        return ",".join(f"{each.node.host.address}:{each.node.host.port}" for each in self.members)

    def create_database(self) -> str:
        """Return the name of a new, empty database."""
        return self.primary.node.create_database().rpartition("/")[2].partition("?")[0]

    def clean_up(self) -> None:
        """End all of it."""
        for member in self.members:
            member.kill()
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
            process.wait()


@contextmanager
def patroni() -> Iterator[Patroni]:
    """Set up a cluster, and remove it."""
    with server_folder() as folder:
        made = Patroni(folder)
        for path in folder.iterdir():
            if os.geteuid() == 0:
                shutil.chown(path, USER)
        try:
            made.start()
            yield made
        finally:
            made.clean_up()
