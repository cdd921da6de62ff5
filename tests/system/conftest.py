"""Services in processes of their own, and databases that can be taken from them."""

import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from notifhist.store.machine import machine_directory
from tests.system.sending import Sending
from tests.system.service import Service, free_port, running

if TYPE_CHECKING:
    from tests.system.postgres import Postgres


class MakeService(Protocol):
    def __call__(self, database_url: str, *arguments: str, **settings: Any) -> Service: ...


@pytest.fixture
def sigint_is_heard() -> Iterator[None]:
    """A test run in the background may ignore SIGINT, and what it starts would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[MakeService]:
    """Makes services, not started yet; settings are named in capitals, options of Service are not."""
    services: list[Service] = []

    def make(database_url: str, *arguments: str, **given: Any) -> Service:
        settings = {name: value for name, value in given.items() if name.isupper()}
        options = {name: value for name, value in given.items() if not name.isupper()}
        directory = tmp_path / f"service{len(services)}"
        directory.mkdir()
        service = Service(directory, {"DATABASE_URL": database_url, **settings}, *arguments, **options)
        services.append(service)
        return service

    yield make
    for service in services:
        service.clean_up()


@pytest.fixture(scope="session")
def own_postgres() -> "Iterator[Postgres]":
    """A PostgreSQL server that may be stopped; the test that stops it starts it again."""
    from tests.system.postgres import Postgres

    server = Postgres()
    yield server
    server.clean_up()


@dataclass(frozen=True)
class FragileDatabase:
    """A database that does not exist or is empty at first, and that can be taken away and brought back."""

    url: str
    take_away: Callable[[], None]
    bring_back: Callable[[], None]
    path: Path | None = None


@pytest.fixture(params=["sqlite", "postgres"])
def fragile_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FragileDatabase]:
    """A database without tables, of each kind."""
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("own_postgres")
        database = FragileDatabase(server.create_database(), lambda: server.stop("fast"), server.start)
    else:
        database = _fragile_file(tmp_path)
    yield database
    shutil.rmtree(machine_directory(database.url), ignore_errors=True)


def _fragile_file(tmp_path: Path) -> FragileDatabase:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()

    def take_away() -> None:
        here.rename(elsewhere)
        here.mkdir()

    def bring_back() -> None:
        here.rmdir()  # fails if anything was made there
        elsewhere.rename(here)

    return FragileDatabase(f"sqlite:///{here}/notifhist.db", take_away, bring_back, here)


@pytest.fixture(scope="module")
def shared_service(sqlite_tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for one test after the other; each has a tenant of its own."""
    folder = tmp_path_factory.mktemp("shared")
    database = shutil.copy(sqlite_tables, folder)
    with running(Service(folder, {"DATABASE_URL": f"sqlite:///{database}"}, workers=1)) as service:
        yield service


@pytest.fixture
def sending(shared_service: Service, tmp_path: Path) -> Sending:
    """A service that runs, and an empty spool."""
    return Sending(tmp_path, shared_service)


@pytest.fixture
def fragile(sqlite_database: str, make_service: MakeService, tmp_path: Path) -> Sending:
    """An empty spool, and a service that the test may stop."""
    return Sending(tmp_path, make_service(sqlite_database, workers=1, bind=f"127.0.0.1:{free_port()}").start())
