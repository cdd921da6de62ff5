"""The wheel: built from a copy of the tree, installed into an environment without the tree, and used."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree

from notifhist.store.request_counts import machine_directory
from tests.conftest import MIGRATIONS
from tests.contract.test_examples import canonical, example
from tests.system.commands import FIXTURES, FIXTURES_COUNTS
from tests.system.service import PATIENCE_S, ROOT, free_port, wait_until

NOT_COPIED = (".*", "__pycache__", "*.egg-info", "build", "dist", "*.db*")


def python(*arguments: str | Path) -> None:
    """Run this Python, and show what it said if it failed."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of a copy: a build leaves folders in its tree."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_COPIED))
    leftover = tree / "fixtures/__pycache__/generate.cpython-311.pyc"
    leftover.parent.mkdir()
    leftover.touch()
    # With the setuptools of this environment, so that no index is needed.
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    python("-m", "pip", "wheel", *options, "--wheel-dir", folder, tree)
    (built,) = folder.glob("*.whl")
    return built


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and an empty folder to work in."""

    programs: Path
    folder: Path

    def environment(self, **settings: str) -> dict[str, str]:
        """Return what a user of it may have: no trace of the tree."""
        given = {f"NOTIFHIST_{name}": value for name, value in settings.items()}
        return {"PATH": f"{self.programs}:{os.defpath}", "HOME": str(self.folder), **given}

    def run(self, *command: str | Path, **settings: str) -> str:
        """Return what a program of the environment says on standard output."""
        done = subprocess.run(
            [self.programs / command[0], *command[1:]],
            cwd=self.folder,
            env=self.environment(**settings),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout or done.stderr


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment with the wheel; other packages are those of this one."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True)
    options = ("--no-deps", "--no-index", "--disable-pip-version-check")
    python("-m", "pip", "--python", environment, "install", *options, wheel)
    (packages,) = environment.glob("lib/python*/site-packages")
    # Behind the environment's own. An editable install there does nothing: its pth file is not read.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


@pytest.fixture
def installed(programs: Path, tmp_path: Path) -> Installed:
    """The wheel, to be used from an empty folder."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return Installed(programs, folder)


def test_the_wheel_holds_what_is_needed_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {
        path.relative_to(ROOT).as_posix()
        for package in ("notifhist", "schemas")
        for path in (ROOT / package).rglob("*.py")
    }
    data = {
        "notifhist/" + path.relative_to(ROOT).as_posix()
        for part in ("lifelike", "published")
        for path in (FIXTURES / part).rglob("*.*")
        if path.is_file()
    }
    assert len(data) > 40
    about = {f"notifhist/fixtures/{name}" for name in ("README.md", "__init__.py", "generate.py")}
    assert names == {"app.py", "wsgi.py", "schemas/notification_history.xsd"} | modules | data | about


def test_it_is_the_wheel_that_is_used(installed: Installed) -> None:
    said = (
        "import app, notifhist, schemas, wsgi; print(*(m.__file__ for m in (app, notifhist, schemas, wsgi)))"
    )
    places = installed.run("python", "-c", said).split()
    assert len(places) == 4
    assert all(place.startswith(str(installed.programs.parent)) for place in places)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert installed.run("notifhist", "--version") == f"notifhist, version {version}\n"


def test_every_command_works_on_either_database(installed: Installed, postgres_database: str) -> None:
    for url in (f"sqlite:///{installed.folder}/other.db", postgres_database):
        settings = {"DATABASE_URL": url, "RETENTION_DAYS": "30", "NOW": "2026-10-07T15:30:00Z"}
        installed.run("notifhist", "migrate", **settings)
        create = ("keys", "create", "--tenant", "T", "--role", "monitoring:admin", "--name", "N")
        assert installed.run("notifhist", *create, **settings).startswith("nh_")
        assert "monitoring:admin" in installed.run("notifhist", "keys", "list", **settings)
        assert installed.run("notifhist", "keys", "revoke", "N", **settings) == "Revoked: 1\n"
        assert installed.run("notifhist", "load", FIXTURES, **settings) == f"{FIXTURES_COUNTS}\n"
        assert len(installed.run("notifhist", "export", **settings).splitlines()) == 954
        assert installed.run("notifhist", "purge", **settings).startswith("Deleted 2 items")


def test_the_default_database_is_made_where_one_is(installed: Installed) -> None:
    assert installed.run("notifhist", "migrate") == f"Applied: {', '.join(MIGRATIONS)}\n"
    assert (installed.folder / "notifhist.db").exists()


@contextmanager
def demo(installed: Installed) -> Iterator[str]:
    """Serve the demo; yields what it prints."""
    address = f"127.0.0.1:{free_port()}"
    output = installed.folder.parent / "output"
    with output.open("wb") as out:
        server = subprocess.Popen(
            [installed.programs / "notifhist", "serve", "--demo", "--bind", address, "--workers", "1"],
            cwd=installed.folder,
            env=installed.environment(),
            stdout=out,
            stderr=out,
        )
    try:
        wait_until(lambda: "Booting worker" in output.read_text() or server.poll() is not None)
        assert server.poll() is None, output.read_text()
        yield output.read_text()
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_S) == 0
        assert "Traceback" not in output.read_text()
    finally:
        server.kill()
        server.wait()
        url = f"sqlite:///{installed.folder}/notifhist-demo.db"
        shutil.rmtree(machine_directory(url), ignore_errors=True)


def ask(url: str, headers: dict[str, str] | None = None) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=30) as answer:
        body: bytes = answer.read()
        return body


def test_the_demo_prints_commands_that_answer_the_published_examples(installed: Installed) -> None:
    with demo(installed) as printed:
        answers = []
        for command in re.findall(r"(?m)^  curl (.+)$", printed):
            *headers, url = (part for part in shlex.split(command) if part != "-H")
            answers.append(ask(url, dict(header.split(": ", 1) for header in headers)))
        host = url.partition("/v1.0/")[0].partition("/api/")[0]
        assert json.loads(ask(f"{host}/openapi.json"))["openapi"].startswith("3.")
        etree.XMLSchema(etree.fromstring(ask(f"{host}/schemas/notification_history.xsd")))
        assert ask(f"{host}/readyz")
    in_json, in_xml, runs = answers
    for answer, name, member in ((in_json, "list.json", "values"), (runs, "runs.json", "runs")):
        assert json.dumps(json.loads(answer)[member]) == json.dumps(json.loads(example(name))[member])
    items = [etree.fromstring(xml).find("values") for xml in (in_xml, example("list.xml"))]
    assert items[0] is not None
    assert items[1] is not None
    assert canonical(etree.tostring(items[0])) == canonical(etree.tostring(items[1]))


def test_gunicorn_finds_the_callable(installed: Installed) -> None:
    installed.run("notifhist", "migrate")
    check = ("-m", "gunicorn", "--check-config", "wsgi:app")
    installed.run("python", *check)
