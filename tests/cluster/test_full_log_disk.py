"""The disk of PostgreSQL's log is full, so the server panics: nothing acknowledged is lost, and the service goes on."""

import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.network import loopback
from tests.cluster.nodes import Node, give_away
from tests.cluster.traffic import Traffic, flowing
from tests.full_disk import FullDisk, mounted
from tests.system.conftest import MakeService
from tests.system.service import wait_until
from tests.system.test_kill import UNLIMITED, verify
from tests.system.test_operations import samples
from tests.system.test_outages import refuse

UNREACHABLE = ("notifhist_database_given_up_total", "unreachable")
LOG_MB = 32


@dataclass
class SmallServer:
    """A server whose log has a small disk of its own."""

    node: Node
    disk: FullDisk

    def has_ended(self) -> bool:
        """Say whether it panicked and, because recovery needs space too, ended."""
        log = self.node.log.read_text()
        return "PANIC:" in log and log.rstrip().endswith("database system is shut down")


@pytest.fixture
def small_server() -> Iterator[SmallServer]:
    with tempfile.TemporaryDirectory(prefix="notifhist-full-") as name:
        folder = Path(name)
        give_away(folder)
        (folder / "disk").mkdir()
        with mounted(folder / "disk", LOG_MB) as disk:
            give_away(disk.folder)
            made = SmallServer(Node(folder, loopback()[0], "server"), disk)
            made.node.initialize(f"--waldir={disk.folder / 'wal'}", "--wal-segsize=1")
            try:
                yield made
            finally:
                made.node.kill()


def test_a_full_disk_of_the_log_loses_nothing_and_the_service_goes_on(
    small_server: SmallServer, make_service: MakeService
) -> None:
    node = small_server.node
    service = make_service(node.url, **UNLIMITED).start()
    key, traffic = service.create_key(), Traffic()
    clients = service.clients_of_each_worker(key, each=2)
    with flowing(service, key, traffic):
        wait_until(lambda: traffic.writes > 50)
        small_server.disk.fill()
        wait_until(small_server.has_ended)
        with ThreadPoolExecutor(len(clients)) as pool:
            list(pool.map(refuse, clients))
        assert samples(clients[0])[UNREACHABLE] > 0
        small_server.disk.free()
        node.start()
        seconds = traffic.seconds_until_all_are_answered()
    assert len(service.workers()) == 2
    assert not any(status >= 500 and path == "/healthz" for path, status in traffic.statuses)
    verify(service, key, traffic)
    sys.stdout.write(
        f"full log: {traffic.writes} writes, {traffic.refused} refused; all are answered {seconds:.2f} s after the "
        f"restart; the slowest: {traffic.slowest}\n"
    )
