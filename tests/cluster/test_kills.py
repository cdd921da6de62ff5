"""The service is killed, or PostgreSQL, again and again under load: nothing that was answered is lost.

`--kills N`: so many, in turns of PostgreSQL, of the service on SQLite, and of the service on PostgreSQL.
"""

import random
import sys
import time
from collections.abc import Iterator

import pytest

from tests.cluster.changes import CHANGERS, Changes, verify_all
from tests.cluster.network import Host
from tests.cluster.nodes import Node, server_folder
from tests.cluster.traffic import flowing
from tests.system.conftest import MakeService
from tests.system.service import free_port, wait_until
from tests.system.test_kill import UNLIMITED, check_file, writing

VERIFIED_EACH = 25
"""After so many kills all is verified, so that a loss is found near to its cause."""
KINDS = ("PostgreSQL", "sqlite", "postgres")


def kills_of(kind: str, request: pytest.FixtureRequest) -> int:
    """Return how many kills are asked for of a kind."""
    kills = request.config.getoption("--kills", 7)
    return int(kills // len(KINDS) + (KINDS.index(kind) < kills % len(KINDS)))


@pytest.fixture(scope="module")
def lone_server() -> Iterator[Node]:
    """A PostgreSQL without a standby."""
    with server_folder() as folder:
        node = Node(folder, Host("127.0.0.1", free_port()), "alone")
        try:
            node.initialize()
            yield node
        finally:
            node.kill()


def test_nothing_is_lost_when_the_service_is_killed(
    database_url: str, make_service: MakeService, request: pytest.FixtureRequest
) -> None:
    service, changes = make_service(database_url, **UNLIMITED), Changes()
    key = service.create_key()
    kind = database_url.partition(":")[0].removesuffix("ql")
    kills = kills_of(kind, request)
    for n in range(1, kills + 1):
        service.start()
        check_file(database_url)
        with writing(service, key, changes, CHANGERS):
            service.kill()
        if n % VERIFIED_EACH == 0 or n == kills:
            service.start()
            verify_all(service, key, changes)
            service.kill()
            check_file(database_url)
    sys.stdout.write(f"the service on {kind}: {kills} kills, {changes.writes} writes\n")


def test_nothing_is_lost_when_postgresql_is_killed(
    lone_server: Node, make_service: MakeService, request: pytest.FixtureRequest
) -> None:
    url = lone_server.create_database()
    service, changes = make_service(url, **UNLIMITED).start(), Changes()
    key, kills, seconds = service.create_key(), kills_of("PostgreSQL", request), []
    for begin in range(0, kills, VERIFIED_EACH):
        with flowing(service, key, changes, CHANGERS):
            for _ in range(min(VERIFIED_EACH, kills - begin)):
                time.sleep(random.uniform(0.3, 1))
                lone_server.kill()
                time.sleep(random.choice((0, 0.5)))
                lone_server.start()
                seconds.append(changes.seconds_until_all_are_answered())
        verify_all(service, key, changes)
        lone_server.check(url)
        wait_until(service.is_ready)
    assert len(service.workers()) == 2
    assert not any(status != 200 and path == "/healthz" for path, status in changes.statuses)
    slowest = max(seconds, default=0)
    told = (
        f"{changes.writes} writes, {changes.refused} refused; all are answered {slowest:.2f} s after the start at most"
    )
    sys.stdout.write(f"PostgreSQL: {kills} kills, {told}\n")
