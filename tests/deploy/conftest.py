"""What operators put around the service, from Debian's packages, on loopback."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.deploy.proxies import Certificate, make_certificate
from tests.system.conftest import MakeService, make_service

__all__ = ["MakeService", "make_service"]

PACKAGES = {
    "caddy": "caddy",
    "haproxy": "haproxy",
    "nginx": "nginx",
    "openssl": "openssl",
    "promtool": "prometheus",
    "systemd-analyze": "systemd",
}
"""The programs that these tests start, and the packages that have them."""


def pytest_sessionstart() -> None:
    """Say what to install, if something is missing: these tests are asked for by name, so none is skipped for it."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where users do not look for daemons
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if missing:
        command = f"apt-get install --no-install-recommends {' '.join(missing)}"
        raise pytest.UsageError(f"Programs are missing. On Debian or Ubuntu: {command}")
    if not Path(sys.executable).with_name("hadolint").exists():
        raise pytest.UsageError("hadolint is missing: run `make test-deploy`.")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate of 127.0.0.1."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))
