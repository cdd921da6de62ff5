"""A primary and a synchronous standby for one test after the other; each leaves two such servers behind."""

from collections.abc import Iterator

import pytest

from tests.cluster.network import bridge
from tests.cluster.nodes import Cluster, cluster
from tests.system.conftest import make_service

__all__ = ["make_service"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--failovers", type=int, default=4, help="how many failovers, in turns of each kind")
    parser.addoption("--kills", type=int, default=7, help="how many kills, in turns of PostgreSQL and of the service")


@pytest.fixture(scope="session")
def own_cluster() -> Iterator[Cluster]:
    """The cluster."""
    made = bridge()
    try:
        with cluster(made) as servers:
            yield servers
    finally:
        if made is not None:
            made.clean_up()
