"""The primary is lost, and nobody is promoted yet: what only reads is answered from the standby, and says so."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.cluster.nodes import Cluster
from tests.cluster.test_failover import KINDS
from tests.http.helpers import CHECK, RUNS, item_at
from tests.system.conftest import MakeService
from tests.system.service import Client, wait_until
from tests.system.test_outages import NOW_MS, assert_unavailable

OUTAGE_S = 12.0
FIRST_S = {"killed": 3.0, "cut off": 9.0, "stopped": 9.0}
"""Within which time the first read is answered: once the primary is given up."""
LATER_S = 1.0
"""And within which time 95 % of the later ones are."""
STALL_S = 5.0
"""How much longer a single one may take: the machine has others to serve."""


@dataclass
class Read:
    """A read and its answer."""

    begun: float
    took_s: float
    status: int
    may_lag: bool


def read(client: Client, path: str) -> Read:
    begun = time.monotonic()
    answer = client.get(path)
    return Read(begun, time.monotonic() - begun, answer.status_code, "X-Notifhist-As-Of" in answer.headers)


def read_on(client: Client, path: str, until: float) -> list[Read]:
    answers = []
    while time.monotonic() < until:
        answers.append(read(client, path))
        time.sleep(0.05)
    return answers


@pytest.mark.parametrize("name", FIRST_S)
def test_reads_come_from_the_standby_until_it_is_promoted(
    name: str, own_cluster: Cluster, make_service: MakeService
) -> None:
    if name == "cut off" and own_cluster.bridge is None:
        pytest.skip("This user may make no network namespaces here, so nothing can be cut off.")
    url, standby = own_cluster.create_database(), own_cluster.standby.host
    replica = f"postgresql://postgres@{standby.address}:{standby.port}/{url.rpartition('/')[2].partition('?')[0]}"
    service = make_service(url, REPLICA_URL=replica).start()
    key = service.create_key()
    clients = service.clients_of_each_worker(key, each=3)
    before, after = item_at(NOW_MS, 1), item_at(NOW_MS, 2)
    assert clients[0].post(CHECK, before).status_code == 201
    wait_until(lambda: read(clients[0], CHECK).status == 200)
    try:
        read_without_primary(own_cluster, name, clients)
        for client in clients:
            begun = time.monotonic()
            assert_unavailable(client.post(CHECK, after))
            assert time.monotonic() - begun < STALL_S
            assert client.get_json(CHECK)["values"] == [before]
    finally:
        own_cluster.promote()
    try:
        wait_until(lambda: clients[0].post(CHECK, after).status_code == 201)
        for client in clients:
            answer = client.get(CHECK)
            assert "X-Notifhist-As-Of" in answer.headers or len(answer.json()["values"]) == 2
            wait_until(lambda: read(client, CHECK).may_lag is False)  # noqa: B023 - it is called at once
            assert client.get_json(CHECK)["values"] == [before, after]
    finally:
        own_cluster.repair()


def read_without_primary(own_cluster: Cluster, name: str, clients: list[Client]) -> None:
    """Lose the primary while clients read on; each read is answered, and all but the first few soon."""
    lost = time.monotonic()
    KINDS[name].lose(own_cluster)
    paths = (CHECK, RUNS, "/readyz")
    with ThreadPoolExecutor(len(clients)) as pool:
        jobs = [
            pool.submit(read_on, client, paths[n % len(paths)], lost + OUTAGE_S) for n, client in enumerate(clients)
        ]
        answers = [answer for job in jobs for answer in job.result()]
    first = [each for each in answers if each.begun < lost + FIRST_S[name]]
    later = [each for each in answers if each.begun >= lost + FIRST_S[name]]
    slowest = max(each.took_s for each in first)
    times_s = sorted(each.took_s for each in later)
    most, slowest_later = times_s[len(times_s) * 95 // 100], times_s[-1]
    failed = [each.status for each in answers if each.status != 200]
    sys.stdout.write(
        f"{name}: {len(answers)} reads, {len(failed)} failed; {slowest:.2f} s, then 95 % {most:.2f} s, "
        f"all {slowest_later:.2f} s\n"
    )
    assert not failed
    assert all(each.may_lag for each in later)
    assert slowest < FIRST_S[name] + STALL_S
    assert most < LATER_S
    assert slowest_later < STALL_S
