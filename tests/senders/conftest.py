"""Real tools from Debian's packages, with configurations of their own on loopback."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    """Say what to install, if something is missing: these tests are asked for by name, so none is skipped."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where users do not look for daemons
    missing = [packages for program, packages in PACKAGES.items() if shutil.which(program) is None]
    if missing:
        command = f"apt-get install --no-install-recommends {' '.join(missing)}"
        raise pytest.UsageError(f"Programs are missing. On Debian or Ubuntu: {command}")
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
