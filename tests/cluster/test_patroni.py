"""A cluster that Patroni manages loses its primary: the service finds the next, behind HAProxy and without it."""

import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.changes import CHANGERS, Changes, verify_all
from tests.cluster.patroni import PACKAGES, Patroni, patroni
from tests.cluster.traffic import flowing
from tests.debian import missing_programs
from tests.system.conftest import MakeService
from tests.system.test_kill import UNLIMITED

WITHIN_S = 5.0
"""How long after the promotion all are answered again."""
KINDS: dict[str, Callable[[Patroni], Callable[[], None]]] = {
    "switched over": Patroni.switch_over,
    "killed": Patroni.kill_primary,
}
WAYS: dict[str, Callable[[Patroni, str], str]] = {
    "behind HAProxy": lambda cluster, name: f"postgresql://postgres@{cluster.haproxy}/{name}",
    "by all addresses": lambda cluster, name: (
        f"postgresql://postgres@{cluster.addresses}/{name}?target_session_attrs=read-write"
    ),
}


@pytest.fixture(scope="module")
def patroni_cluster() -> Iterator[Patroni]:
    """A primary, a synchronous standby and another one, of which Patroni makes the next primary."""
    if missing := missing_programs(PACKAGES):
        pytest.skip(f"Patroni is not tried. {missing}")
    with patroni() as made:
        yield made


@pytest.mark.parametrize("way", WAYS)
def test_the_service_finds_the_primary_that_patroni_makes(
    way: str, patroni_cluster: Patroni, make_service: MakeService, request: pytest.FixtureRequest
) -> None:
    url = WAYS[way](patroni_cluster, patroni_cluster.create_database())
    service, changes = make_service(url, **UNLIMITED).start(), Changes()
    key = service.create_key()
    with flowing(service, key, changes, CHANGERS):
        for _ in range(max(1, request.config.getoption("--failovers", 4) // 4)):
            for name in KINDS:
                lose(patroni_cluster, f"Patroni, {way}, {name}", KINDS[name], changes)
    assert len(service.workers()) == 2
    assert not any(status != 200 and path == "/healthz" for path, status in changes.statuses)
    verify_all(service, key, changes)
    sys.stdout.write(f"Patroni, {way}: {changes.writes} writes, {changes.refused} refused\n")


def lose(cluster: Patroni, name: str, do: Callable[[Patroni], Callable[[], None]], changes: Changes) -> None:
    """Lose the primary, once a standby has all, and assert that all are answered in time after Patroni has another."""
    cluster.wait_for_standby()
    former = cluster.primary
    begun = time.monotonic()
    repair = do(cluster)
    cluster.wait_for_promotion(former)
    promoted = time.monotonic() - begun
    seconds = changes.seconds_until_all_are_answered()
    sys.stdout.write(f"{name}: promoted after {promoted:.1f} s, all are answered {seconds:.2f} s after that\n")
    assert seconds < WITHIN_S
    repair()
