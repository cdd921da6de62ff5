"""What the tests of the command line have in common: real processes, and an app over what they left."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient

from notifhist.cli import main
from notifhist.factory import create_app
from tests.conftest import NOW, TENANT, authorized
from tests.system.service import NOTIFHIST, PATIENCE_S, ROOT, create_key, environment

FIXTURES = ROOT / "fixtures"
FIXTURES_RECORDS = 2689
FIXTURES_COUNTS = f"Stored {FIXTURES_RECORDS}, there already 3, bad 0."
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


def run(database_url: str, *arguments: str | Path, code: int = 0, **settings: str) -> Result:
    """Return the outcome of a command that is run in this process, with its clock at NOW.

    A process of its own takes half a second to import all modules; see `start` for where it matters.
    """
    inherited: dict[str, str | None] = {name: None for name in os.environ if name.startswith("NOTIFHIST_")}
    ours = {"DATABASE_URL": database_url, "NOW": NOW, **settings}
    environ = inherited | {f"NOTIFHIST_{name}": text for name, text in ours.items()} | {"COLUMNS": "100"}
    result = CliRunner(env=environ).invoke(main, [str(each) for each in arguments], prog_name="notifhist")
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


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
    return authorized(app, create_key(app.extensions["notifhist"].settings.database_url, tenant=tenant))


def write_lines(path: Path, lines: list[Any]) -> Path:
    """Write NDJSON and return its path."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def item_line(item: Any, check_id: str = "chOne", tenant: str = TENANT) -> dict[str, Any]:
    """Return the line of an export for an item of a check of enOne and alOne."""
    place = {"tenant": tenant, "entity_id": "enOne", "alarm_id": "alOne", "check_id": check_id}
    return {**place, "item": item}
