"""A service with history, and a browser that has signed in to it."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notifhist.store.migrating import migrate
from tests.pages.browser import CHROMIUM, DRIVER, MISSING, Browser
from tests.pages.history import record_history
from tests.system.service import Client, Service, create_key, opened


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service in processes of its own, whose tenant has history of all kinds."""
    if not (shutil.which(CHROMIUM) and shutil.which(DRIVER)):
        pytest.fail(MISSING, pytrace=False)
    directory = tmp_path_factory.mktemp("service")
    url = f"sqlite:///{directory}/notifhist.db"
    with opened(url, create=True) as db:
        migrate(db)
    limits = dict.fromkeys(("HISTORY_RATE_LIMIT", "RUNS_RATE_LIMIT", "PAGES_RATE_LIMIT"), "")
    running = Service(directory, {"DATABASE_URL": url, **limits}, workers=1)
    running.start()
    record_history(Client(running.url, create_key(url)))
    yield running
    running.clean_up()


@pytest.fixture(scope="session")
def key(service: Service) -> str:
    """A key of the tenant with every role."""
    return create_key(service.settings["DATABASE_URL"])


@pytest.fixture
def client(service: Service, key: str) -> Client:
    """A client of the APIs."""
    return Client(service.url, key)


@pytest.fixture(scope="session")
def signed_in(service: Service, key: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The browser of all tests that need no other; see `browser`."""
    chromium = Browser(service.url, tmp_path_factory.mktemp("profile"))
    chromium.sign_in(key)
    yield chromium
    chromium.close()


@pytest.fixture
def browser(signed_in: Browser, service: Service) -> Iterator[Browser]:
    """A browser that has signed in. No page may make its console complain, or ask another host."""
    signed_in.complaints(), signed_in.hosts()
    yield signed_in
    signed_in.run_scripts(True)
    signed_in.show()
    signed_in.be_in("")
    assert signed_in.complaints() == []
    assert signed_in.hosts() <= {service.url.removeprefix("http://")}


@pytest.fixture
def second_browser(service: Service, tmp_path: Path) -> Iterator[Browser]:
    """A browser of somebody else, who has not signed in."""
    chromium = Browser(service.url, tmp_path / "profile")
    yield chromium
    assert chromium.complaints() == []
    chromium.close()


def now_ms() -> int:
    """Return the time of the service, in ms since the epoch."""
    return time.time_ns() // 1_000_000


Json = dict[str, Any]
