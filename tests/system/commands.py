"""What the tests of the command line have in common: real processes, and an app over what they left."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from notifhist.auth import ADMIN, RUNS_EDIT, ApiKey, new_key
from notifhist.factory import create_app
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.keys import add_key
from tests.conftest import NOW, TENANT, authorized
from tests.system.service import NOTIFHIST, PATIENCE_S, ROOT, environment

FIXTURES = ROOT / "fixtures"
FIXTURES_COUNTS = "Stored 954, there already 3, bad 0."
"""What loading the fixtures says: of the published ones, three show again what others hold."""


def start(
    database_url: str,
    *arguments: str | Path,
    wrapper: Sequence[str] = (),
    settings: Mapping[str, str] = MappingProxyType({}),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.Popen[str]:
    """Start a command with its clock at NOW; its output goes into pipes.

    `wrapper`: a command that runs it; `variables` of the environment that are no settings of ours.
    """
    ours = {"DATABASE_URL": database_url, "NOW": NOW, **settings}
    return subprocess.Popen(
        [*wrapper, *NOTIFHIST, *map(str, arguments)],
        env=environment(ours) | {"COLUMNS": "100"} | dict(variables),  # help does not depend on who runs the tests
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> subprocess.CompletedProcess[str]:
    """Return a command's output once it has ended with the expected exit code, and nothing has crashed."""
    with process:
        try:
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == code, stdout + stderr
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr
    return subprocess.CompletedProcess(process.args, code, stdout, stderr)


def run(database_url: str, *arguments: str | Path, code: int = 0, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command; see `finish`."""
    return finish(start(database_url, *arguments, settings=settings), code)


@contextmanager
def opened(database_url: str, *, create: bool = False) -> Iterator[Database]:
    """Open a database beside the commands; `create` makes a SQLite file that is missing."""
    db = open_database(database_url, create=create)
    ensure_connected(db)
    try:
        yield db
    finally:
        db.close()


@contextmanager
def application(database_url: str, **overrides: object) -> Iterator[Flask]:
    """Make an application over a database, without limits and its clock at NOW."""
    settings = {"NOW": NOW, "HISTORY_RATE_LIMIT": "", "RUNS_RATE_LIMIT": ""}
    app = create_app({"DATABASE_URL": database_url, **settings, **overrides})
    try:
        yield app
    finally:
        app.extensions["notifhist"].db.close()


def client_of(app: Flask, tenant: str = TENANT) -> FlaskClient:
    """Return a client of `app` with a new key of `tenant` and every role."""
    key, key_id, secret_hash = new_key()
    with opened(app.extensions["notifhist"].settings.database_url) as db:
        add_key(db, ApiKey(key_id, "test", tenant, (ADMIN, RUNS_EDIT), secret_hash, 0))
    return authorized(app, key)


def write_lines(path: Path, lines: list[Any]) -> Path:
    """Write NDJSON and return its path."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def item_line(item: Any, check_id: str = "chOne", tenant: str = TENANT) -> dict[str, Any]:
    """Return the line of an export for an item of a check of enOne and alOne."""
    place = {"tenant": tenant, "entity_id": "enOne", "alarm_id": "alOne", "check_id": check_id}
    return {**place, "item": item}
