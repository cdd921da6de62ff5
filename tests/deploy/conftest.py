"""What operators put around the service, from Debian's packages, on loopback."""

import sys
from pathlib import Path

import pytest

from tests.debian import require_programs
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
    require_programs(PACKAGES)
    if not Path(sys.executable).with_name("hadolint").exists():
        raise pytest.UsageError("hadolint is missing: run `make test-deploy`.")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate of 127.0.0.1."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))
