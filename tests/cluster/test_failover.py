"""The primary is lost, and its standby promoted: nothing that was answered is lost, and the service goes on."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.cluster.nodes import Cluster
from tests.cluster.traffic import Traffic, flowing
from tests.system.conftest import MakeService
from tests.system.test_kill import UNLIMITED, verify

CLOSED_S, SILENT_S = 5.0, 10.0
"""How long after the promotion all are answered again, where the former primary is closed, and where it is silent."""
RETURNED_S = 2.0
"""How long a former primary that returned is watched."""


@dataclass(frozen=True)
class Kind:
    """A way to lose the primary."""

    lose: Callable[[Cluster], None]
    within_s: float
    returns: Callable[[Cluster], None] | None = None
    """How it comes back as it was, and takes what is written to it."""


def switch_over(cluster: Cluster) -> None:
    cluster.primary.stop()


KINDS = {
    "killed": Kind(lambda cluster: cluster.primary.kill(), CLOSED_S),
    "stopped": Kind(lambda cluster: cluster.primary.freeze(), SILENT_S, lambda cluster: cluster.standby.thaw()),
    "cut off": Kind(
        lambda cluster: cluster.pull(cluster.primary), SILENT_S, lambda cluster: cluster.plug(cluster.standby)
    ),
    "switched over": Kind(switch_over, CLOSED_S),
}


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_lost_with_the_primary_and_the_service_finds_the_next(
    name: str, own_cluster: Cluster, make_service: MakeService, request: pytest.FixtureRequest
) -> None:
    if name == "cut off" and own_cluster.bridge is None:
        pytest.skip("This user may make no network namespaces here, so nothing can be cut off.")
    service = make_service(own_cluster.create_database(), **UNLIMITED).start()
    key, traffic, kind = service.create_key(), Traffic(), KINDS[name]
    failovers = request.config.getoption("--failovers", 4)
    with flowing(service, key, traffic):
        for _ in range(failovers // len(KINDS) + (list(KINDS).index(name) < failovers % len(KINDS))):
            time.sleep(1)
            lose_and_promote(own_cluster, name, kind, traffic)
    assert len(service.workers()) == 2
    assert not any(status >= 500 and path == "/healthz" for path, status in traffic.statuses)
    verify(service, key, traffic)
    sys.stdout.write(f"{name}: {traffic.writes} writes, {traffic.refused} refused; the slowest: {traffic.slowest}\n")


def lose_and_promote(cluster: Cluster, name: str, kind: Kind, traffic: Traffic) -> None:
    """Lose the primary, promote its standby, and assert that all are answered in time; then make both whole again."""
    kind.lose(cluster)
    cluster.promote()
    seconds = traffic.seconds_until_all_are_answered()
    sys.stdout.write(f"{name}: all are answered {seconds:.2f} s after the promotion\n")
    assert seconds < kind.within_s
    if kind.returns is not None:
        kind.returns(cluster)
        assert_nothing_is_written_to(cluster)
    if name == "switched over":
        cluster.standby.follow_as_it_is(cluster.primary)
        cluster.primary.wait_for_standby()
    else:
        cluster.repair()


def assert_nothing_is_written_to(cluster: Cluster) -> None:
    """Assert that no new connection of the service writes to a former primary, where each would wait for its standby.

    What had reached its host before it was stopped is executed now, over connections that it had then.
    """
    ((returned,),) = cluster.standby.execute("SELECT clock_timestamp()")
    time.sleep(RETURNED_S)
    writing = f"backend_type = 'client backend' AND backend_xid IS NOT NULL AND backend_start > '{returned}'"
    assert cluster.standby.execute(f"SELECT query FROM pg_stat_activity WHERE {writing}") == []
