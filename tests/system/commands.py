"""What the tests of the command line have in common: real processes, and an application over what they left."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from notifhist.auth import ADMIN, RUNS_EDIT, ApiKey, new_key
from notifhist.database import Database, lease, open_database
from notifhist.factory import create_app
from notifhist.queries.keys import add_key
from tests.conftest import NOW, TENANT, authorized

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
SECONDS = 60
"""How long a process may take before it counts as hanging."""


def environment(database_url: str, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a command: nothing of the outer service's settings, the clock at NOW."""
    ours = {"DATABASE_URL": database_url, "NOW": NOW, **(settings or {})}
    outer = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFHIST_")}
    # COLUMNS: so that help does not depend on who runs the tests.
    outer |= {"PYTHONPATH": str(ROOT), "COLUMNS": "100", "TERM": "xterm"}
    return outer | {f"NOTIFHIST_{name}": value for name, value in ours.items()}


def start(database_url: str, *arguments: str | Path, **settings: str) -> subprocess.Popen[str]:
    """Start a command; its output goes into pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "notifhist.cli", *map(str, arguments)],
        env=environment(database_url, settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(
    database_url: str, *arguments: str | Path, code: int = 0, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command, and return its output once its exit code is the expected one and nothing crashed."""
    with start(database_url, *arguments, **settings) as process:
        try:
            stdout, stderr = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    assert process.returncode == code, stdout + stderr
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr
    return subprocess.CompletedProcess(process.args, code, stdout, stderr)


@contextmanager
def opened(database_url: str) -> Iterator[Database]:
    """Open a database beside the commands."""
    db = open_database(database_url)
    lease(db)
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
    return {
        "tenant": tenant,
        "entity_id": "enOne",
        "alarm_id": "alOne",
        "check_id": check_id,
        "item": item,
    }
