"""The wheel: built from a copy of the tree, installed into an environment without the tree, and used.

It is used in the folder of another project, whose modules and data have the names of ours in a checkout.
"""

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
import urllib.error
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree

from notifhist.store.machine import machine_directory
from tests.conftest import MIGRATIONS
from tests.contract.test_examples import canonical, example
from tests.system.commands import FIXTURES, FIXTURES_COUNTS, FIXTURES_RECORDS
from tests.system.service import PATIENCE_S, ROOT, free_port, wait_until
from tests.testing.running import OTHERS, TESTS, copy_project

pytestmark = pytest.mark.long

NOT_COPIED = (".*", "__pycache__", "*.egg-info", "build", "dist", "*.db*")
FOREIGN = {
    "app.py": "raise RuntimeError('the app of another project')",
    "wsgi.py": "raise RuntimeError('the app of another project')",
    "schemas/__init__.py": "raise RuntimeError('the schemas of another project')",
    "schemas/notification_history.xsd": "no schema",
    "fixtures/__init__.py": "raise RuntimeError('the fixtures of another project')",
    "fixtures/lifelike/123456.ndjson": "no record",
    "fixtures/published/123456/entities/enOne/alarms/alOne/notification_history/chTwo.json": "no document",
}
"""The files of another project by their paths; a module raises when it is imported."""


def python(*arguments: str | Path) -> None:
    """Run this Python, and show what it said if it failed."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, with what lies about in one: a build leaves folders in its tree."""
    tree = tmp_path_factory.mktemp("checkout") / "tree"
    shutil.copytree(ROOT, tree, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    leftover = tree / "fixtures/__pycache__/generate.cpython-311.pyc"
    leftover.parent.mkdir()
    leftover.touch()
    return tree


@pytest.fixture(scope="module")
def wheel(tree: Path) -> Path:
    """The wheel, built with the setuptools of this environment, so that no index is needed."""
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    python("-m", "pip", "wheel", *options, "--wheel-dir", tree.parent, tree)
    (built,) = tree.parent.glob("*.whl")
    return built


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and a folder to work in, which Python searches before the environment."""

    programs: Path
    folder: Path

    def environment(self, **settings: str) -> dict[str, str]:
        """Return what a user of it may have: no trace of the tree."""
        given = {f"NOTIFHIST_{name}": value for name, value in settings.items()}
        places = {"PATH": f"{self.programs}:{os.defpath}", "HOME": str(self.folder)}
        return {**places, "PYTHONPATH": str(self.folder), **given}

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


def install(wheel: Path, environment: Path) -> Path:
    """Return the programs of a new environment with the wheel; other packages are those of this one."""
    venv.create(environment, symlinks=True)
    options = ("--no-deps", "--no-index", "--disable-pip-version-check")
    python("-m", "pip", "--python", environment, "install", *options, wheel)
    (packages,) = environment.glob("lib/python*/site-packages")
    # Behind the environment's own. An editable install there does nothing: its pth file is not read.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel."""
    return install(wheel, tmp_path_factory.mktemp("environment"))


@pytest.fixture
def installed(programs: Path, tmp_path: Path) -> Installed:
    """The wheel, to be used from the folder of another project."""
    folder = tmp_path / "another"
    for name, text in FOREIGN.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Installed(programs, folder)


@pytest.fixture
def installed_beside_nothing(programs: Path, tmp_path: Path) -> Installed:
    """The wheel, to be used from an empty folder."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return Installed(programs, folder)


def test_the_wheel_holds_what_is_needed_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "notifhist").rglob("*.py")}
    schemas = {f"notifhist/schemas/{path.name}" for path in (ROOT / "schemas").glob("*.py")}
    data = {
        "notifhist/" + path.relative_to(ROOT).as_posix()
        for part in ("lifelike", "published")
        for path in (FIXTURES / part).rglob("*.*")
        if path.is_file()
    }
    assert len(data) > 40
    fixtures = {f"notifhist/fixtures/{path.name}" for path in FIXTURES.glob("*.py")} | {"notifhist/fixtures/README.md"}
    pages = {
        path.relative_to(ROOT).as_posix()
        for part in ("static", "templates")
        for path in (ROOT / "notifhist/web/pages" / part).iterdir()
    }
    assert len(pages) > 5
    assert (
        names
        == {"notifhist/py.typed", "notifhist/schemas/notification_history.xsd"}
        | modules
        | schemas
        | data
        | fixtures
        | pages
    )


def test_it_is_the_wheel_that_is_used(installed: Installed) -> None:
    names = ("notifhist", "notifhist.schemas", "notifhist.fixtures")
    said = f"import sys, {', '.join(names)}; print(*(sys.modules[name].__file__ for name in {names}))"
    places = installed.run("python", "-c", said).split()
    assert len(places) == 3
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
        assert len(installed.run("notifhist", "export", **settings).splitlines()) == FIXTURES_RECORDS
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
    in_json, in_xml, runs, logs, failed = answers
    assert failed.startswith(b"id,timestamp,")
    documents = ((in_json, "list.json", "values"), (runs, "runs.json", "runs"), (logs, "logs.json", "logs"))
    for answer, name, member in documents:
        assert json.dumps(json.loads(answer)[member]) == json.dumps(json.loads(example(name))[member])
    items = [etree.fromstring(xml).find("values") for xml in (in_xml, example("list.xml"))]
    assert items[0] is not None
    assert items[1] is not None
    assert canonical(etree.tostring(items[0])) == canonical(etree.tostring(items[1]))


def test_plain_gunicorn_serves_it_from_an_empty_folder(installed_beside_nothing: Installed) -> None:
    installed = installed_beside_nothing
    installed.run("notifhist", "migrate")
    address = f"127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [installed.programs / "python", "-m", "gunicorn", "--bind", address, "notifhist.wsgi:app"],
        cwd=installed.folder,
        env=installed.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as server:

        def answer() -> bytes | None:
            with suppress(urllib.error.URLError):
                return ask(f"http://{address}/readyz")
            return None

        try:
            assert json.loads(wait_until(answer)) == {"status": "ready"}
        finally:
            server.terminate()
        output, _ = server.communicate(timeout=PATIENCE_S)
    assert server.returncode == 0, output
    assert b'"path":"/readyz","status":200' in output


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_contract_tests_of_another_project_pass(workers: tuple[str, ...], installed: Installed) -> None:
    shutil.rmtree(installed.folder / "fixtures")  # they are no records
    copy_project(installed.folder)
    said = installed.run("python", "-m", "pytest", *OTHERS, *workers)
    assert f"{TESTS} passed" in said, said


def test_an_editable_install_holds_every_module_once(tree: Path, tmp_path: Path) -> None:
    # As pip does for `pip install --editable`.
    build = "import os, sys, setuptools.build_meta as b; os.chdir(sys.argv[1]); b.build_editable(sys.argv[2])"
    python("-c", build, tree, tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    programs = install(wheel, tmp_path / "environment")
    said = (
        "import json, sys, notifhist.cli.operations, notifhist.cli.records, notifhist.wsgi\n"
        "files = {name: getattr(module, '__file__', None) for name, module in list(sys.modules.items())}\n"
        "print(json.dumps({name: file for name, file in files.items() if file}))"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder in (tree, elsewhere):
        installed = Installed(programs, folder)
        files = json.loads(installed.run("python", "-c", said))
        ours = [Path(file).resolve() for name, file in files.items() if Path(file).resolve().is_relative_to(tree)]
        assert tree / "schemas/history.py" in ours
        assert len(ours) == len(set(ours))
        assert [name for name in files if name.partition(".")[0] == "schemas"] == []
        xsd = installed.run("python", "-m", "notifhist.schemas.xsd")
        assert xsd == (ROOT / "schemas/notification_history.xsd").read_text()
