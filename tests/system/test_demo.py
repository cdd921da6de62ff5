import csv
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import requests
from lxml import etree

from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from tests.conftest import TENANT, every_row
from tests.former_layout import FORMER_MIGRATIONS, make_former_layout
from tests.http.helpers import LOGS, RUNS, item_at
from tests.records import record_items, record_runs
from tests.system.conftest import FragileDatabase
from tests.system.service import PATIENCE_S, Service, free_port, opened, running

EXAMPLES = Path(__file__).parents[1] / "contract" / "examples"
LIFELIKE = f"/v1.0/{TENANT}/entities/enHfYpo8A1/alarms/alRespTime/notification_history/chTnkIQyVB"
RUN: dict[str, Any] = {"notification_type": "WEEKLY_REPORT", "medium": "EMAIL", "status": "CREATED"}


@contextmanager
def demo(directory: Path, settings: dict[str, str]) -> Iterator[Service]:
    """Run the demo in `directory`, as its user would: the address is what it prints commands for."""
    with running(Service(directory, settings, "--demo", bind=f"127.0.0.1:{free_port()}")) as service:
        yield service


def printed(service: Service) -> tuple[str, list[str]]:
    """Return the key and the commands that a start has printed."""
    lines = [line.strip() for line in service.output().splitlines() if line.strip() and line[0] != "{"]
    keys = [line for line in lines if re.fullmatch(r"nh_\w+_[\w-]+", line)]
    commands = [line for line in lines if line.startswith("curl ")]
    assert (len(keys), len(commands)) == (1, 5), lines
    assert all(keys[0] in command for command in commands)
    return keys[0], commands


def run(command: str) -> bytes:
    """Return what a command prints that is pasted into a shell."""
    done = subprocess.run(command, shell=True, capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def canonical(xml: bytes) -> bytes:
    """Return C14N of `xml`, white space between elements left out."""
    return etree.tostring(etree.fromstring(xml, etree.XMLParser(remove_blank_text=True)), method="c14n")


def same_text(one: Any, other: Any) -> bool:
    """Say whether two JSON values are equal, their members in the same order."""
    return json.dumps(one) == json.dumps(other)


def exported(directory: Path, url: str) -> str:
    """Return all that the database holds."""
    done = Service(directory, {"DATABASE_URL": url}).run("export")
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_link_signs_in(service: Service) -> None:
    """Assert that the first line that a start prints is a link, and that it signs in once."""
    first = next(line.strip() for line in service.output().splitlines() if line.startswith("  "))
    url, _, token = first.partition("?once=")
    with requests.Session() as browser:
        assert browser.get(first, timeout=PATIENCE_S).status_code == 200
        page = browser.post(url, data={"once": token}, timeout=PATIENCE_S)
        assert page.url == url.replace("/ui/login", "/ui/")
        assert "<title>" in page.text
        assert browser.post(url, data={"once": token}, timeout=PATIENCE_S).status_code == 403


def assert_published(commands: list[str]) -> None:
    """Assert that the commands answer the published examples."""
    as_json, as_xml, runs, logs, failed = (run(command) for command in commands)
    assert same_text(json.loads(as_json), json.loads((EXAMPLES / "list.json").read_bytes()))
    assert canonical(as_xml) == canonical((EXAMPLES / "list.xml").read_bytes())
    page = json.loads(runs)
    assert same_text(page["runs"], json.loads((EXAMPLES / "runs.json").read_bytes())["runs"])
    assert (page["total"], page["totalPages"]) == (1, 1)
    assert same_text(json.loads(logs), json.loads((EXAMPLES / "logs.json").read_bytes()))
    rows = list(csv.DictReader(StringIO(failed.decode(), newline="")))
    assert {row["outcome"] for row in rows} == {"failed"}
    assert all(row["message"] and row["target"] for row in rows)


@pytest.mark.long
def test_the_demo_shows_the_published_examples_and_a_lifelike_history(
    tmp_path: Path, fragile_database: FragileDatabase
) -> None:
    directory = tmp_path / "empty"
    directory.mkdir()
    # Told of no database, it makes one of its own: a SQLite file in the current directory.
    is_told = fragile_database.path is None
    settings = {"DATABASE_URL": fragile_database.url} if is_told else {}
    url = fragile_database.url if is_told else f"sqlite:///{directory}/notifhist-demo.db"
    with demo(directory, settings) as service:
        key, commands = printed(service)
        assert_link_signs_in(service)
        assert_published(commands)
        assert service.ask(LIFELIKE, key).json()["values"]
        assert service.ask(RUNS, key).json()["total"] > 1
        newest = service.ask(f"{LOGS}?statuses=DELIVERED", key).json()["logs"][0]
        assert newest["dateCreated"] <= newest["dateDelivered"] <= newest["dateUpdated"]
        service.stop()
        made = {path.name for path in directory.iterdir()} - {"stdout", "stderr"}
        assert made == (set() if is_told else {"notifhist-demo.db"})
        before = exported(directory, url)
        service.start()
        new_key, commands = printed(service)
        assert_published(commands)
        assert service.ask(LIFELIKE, key).status_code == 401
        assert service.ask(LIFELIKE, new_key).json()["values"]
        assert exported(directory, url) == before


@pytest.mark.parametrize("held", ["an item", "a run"])
def test_the_demo_leaves_a_database_with_other_data_alone(
    tmp_path: Path, db: Database, database_url: str, held: str
) -> None:
    if held == "an item":
        record_items(db, CheckPath("t", "e", "a", "c"), [item_at(0)])
    else:
        record_runs(db, "t", [RUN])
    before = every_row(db)
    arguments = ("serve", "--demo", "--bind", f"127.0.0.1:{free_port()}")
    refused = Service(tmp_path, {"DATABASE_URL": database_url}).run(*arguments)
    assert (refused.returncode, refused.stdout) == (1, "")
    (message,) = re.findall("^Error: .*$", refused.stderr, re.MULTILINE)
    assert message.startswith("Error: The demo wants a new database, and this one holds ")
    assert "Traceback" not in refused.stderr
    assert every_row(db) == before


def test_the_file_of_a_former_demo_is_refused_and_its_user_told_to_delete_it(tmp_path: Path) -> None:
    file = tmp_path / "notifhist-demo.db"
    with opened(f"sqlite:///{file}", create=True) as db:
        make_former_layout(db, *FORMER_MIGRATIONS)
    before = file.read_bytes()
    arguments = ("serve", "--demo", "--bind", f"127.0.0.1:{free_port()}")
    refused = Service(tmp_path, {}).run(*arguments)
    assert (refused.returncode, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith("Error: This database was made by another version")
    assert line.endswith("A file of the demo (notifhist-demo.db) holds only examples: delete it.")
    assert file.read_bytes() == before
    file.unlink()
    with demo(tmp_path, {}) as service:
        assert_published(printed(service)[1])
