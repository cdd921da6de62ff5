"""Real tools from Debian's packages, with configurations of their own on loopback."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.debian import require_programs
from tests.senders.lab import WRAPPER, Lab
from tests.system.conftest import MakeService, make_service
from tests.system.service import free_port

__all__ = ["make_service"]

PACKAGES = {
    "icinga2": "icinga2-bin icinga2-common",
    "nagios4": "nagios4-core",
    "monit": "monit",
    "prometheus-alertmanager": "prometheus-alertmanager",
}
"""The programs that these tests start, and the packages that have them."""


def pytest_sessionstart() -> None:
    require_programs(PACKAGES)
    if not WRAPPER.exists():
        raise pytest.UsageError(f"{WRAPPER} is missing: run `make install`.")


@pytest.fixture
def lab(sqlite_database: str, make_service: MakeService) -> Iterator[Lab]:
    """A folder to watch, and a service that runs."""
    folder = Path(tempfile.mkdtemp(prefix="nh-", dir="/tmp"))  # sockets have short paths
    service = make_service(sqlite_database, workers=1, bind=f"127.0.0.1:{free_port()}").start()
    lab = Lab(folder, service)
    yield lab
    lab.clean_up()
