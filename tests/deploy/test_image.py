"""The Dockerfile and compose.yml: checked, and their steps carried out one by one, as far as goes without an engine.

A stage is a machine that is thrown away: this one, with its Python for that of the image, and packages of the tests.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from compose_spec import PyCompose

from notifhist.config import PREFIX, SETTINGS
from notifhist.server.settings import options
from tests.conftest import TENANT
from tests.deploy.documents import blocks
from tests.deploy.machine import Machine, machine
from tests.http.helpers import CHECK
from tests.system.load import ITEM
from tests.system.service import PATIENCE_S, ROOT, Client, free_port, wait_until

DOCKERFILE = ROOT / "Dockerfile"
COMPOSE = ROOT / "compose.yml"
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}  # 0: without isolation, as pip reads it


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, and what each is given."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line and not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in whole.splitlines()]


@dataclass
class Stage:
    """A stage of the image, as far as its instructions were carried out."""

    machine: Machine
    stages: Mapping[str, "Stage"]
    folder: str = "/"
    user: str = "root"
    environ: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    """What only describes the image: the last of each instruction."""

    def carry_out(self, name: str, rest: str) -> None:
        match name:
            case "RUN":
                self.machine.run("sh", "-c", rest, user=self.user, folder=self.folder, environ=OFFLINE | self.environ)
            case "WORKDIR":
                self.folder = rest
                self.machine.run("mkdir", "-p", rest)
            case "COPY":
                self._copy(*rest.split())
            case "ENV":
                self.environ |= {each.partition("=")[0]: each.partition("=")[2] for each in shlex.split(rest)}
            case "USER":
                self.user = rest.partition(":")[0]
            case _:
                assert name in ("VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD")
                self.said[name] = rest

    def _copy(self, *words: str) -> None:
        if words[0].startswith("--from="):
            assert self.user == "root"
            origin = self.stages[words[0].removeprefix("--from=")].machine
            self.machine.copy(origin.root / words[1].lstrip("/"), words[2])
            return
        assert words == (".", ".")
        for path in context():
            self.machine.copy(ROOT / path, f"{self.folder}/{path}", "__pycache__")


def context() -> list[str]:
    """Return what .dockerignore leaves of the tree."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert lines[-1] == "**/__pycache__"
    assert all(line.startswith("!") for line in lines[1:-1])
    return [line.removeprefix("!") for line in lines[1:-1]]


def documented(before: str) -> list[str]:
    """Return what docs/operating.md has a container do to back up and to restore, a copy outside being one in /tmp."""
    lines = [line for block in blocks("operating.md", "In a container") for line in block]
    found = [line.partition(before)[2] for line in lines if before in line]
    return [re.sub(r"(?<=[<>])copy\.db$", "/tmp/outside.db", words) for words in found]


@pytest.fixture(scope="module")
def image() -> Iterator[Stage]:
    """The last stage, after all its instructions."""
    stages: dict[str, Stage] = {}
    with ExitStack() as stack:
        for name, rest in instructions():
            if name == "FROM":
                base, _, called = rest.partition(" AS ")
                assert re.fullmatch(r"python:3\.\d+-slim", base)
                stage = Stage(stack.enter_context(machine()), stages)
                stage.machine.make_python("/usr/local")
                stages[called] = stage
            else:
                stage.carry_out(name, rest)
        yield stage


def test_the_dockerfile_has_nothing_to_complain_of() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--failure-threshold=style", DOCKERFILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_has_the_wheel_and_its_user(image: Stage) -> None:
    assert image.user == "10001"
    assert image.machine.run("id", "-un", user=image.user) == "notifhist\n"
    found = image.machine.run("python", "-c", "import notifhist; print(notifhist.__file__)", user=image.user)
    assert found.startswith("/usr/local/lib/")
    assert image.folder == "/data"
    assert json.loads(image.said["VOLUME"]) == ["/data"]
    assert image.machine.run("stat", "-c", "%u %g %a", "/data") == "10001 10001 750\n"


def test_the_container_serves_is_healthy_and_stops(image: Stage) -> None:
    there, port = image.machine, str(free_port())
    there.run("mount", "-t", "tmpfs", "-o", "uid=10001,gid=10001,mode=750", "tmpfs", "/data")
    there.run("mount", "-o", "remount,ro", "/")  # as compose.yml has it
    entry, command = (json.loads(image.said[name]) for name in ("ENTRYPOINT", "CMD"))
    assert command == ["serve", "--bind", "0.0.0.0:8000"]
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", **image.environ}
    checked = image.said["HEALTHCHECK"].partition("CMD ")[2].replace(":8000/", f":{port}/")

    def as_user(*words: str) -> subprocess.Popen[str]:
        words = there.command(*words, user=image.user, folder=image.folder)
        return subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def health() -> int:
        with as_user(*json.loads(checked)) as process:
            return process.wait(PATIENCE_S)

    assert health() == 1
    with as_user(*entry, "serve", "--bind", f"127.0.0.1:{port}", "--workers", "1") as service:
        try:
            wait_until(lambda: health() == 0)
            create = ("keys", "create", "--tenant", TENANT, "--role", "monitoring:creator")
            with as_user(*entry, *create) as process:
                key = process.communicate(timeout=PATIENCE_S)[0].strip()
            client = Client(f"http://127.0.0.1:{port}", key)
            with client.session:
                assert client.post(CHECK, ITEM).status_code == 201
            for words in documented("exec -T notifhist "):
                there.run("sh", "-c", words, user=image.user, folder=image.folder, environ=environ)
            there.run("kill", there.run("pgrep", "--oldest", "--full", "notifhist serve").strip())
            output, _ = service.communicate(timeout=PATIENCE_S)
        finally:
            service.kill()
    assert service.returncode == 0, output
    assert '"level":"ERROR"' not in output
    (restore,) = documented("run --rm -T --entrypoint sh notifhist ")
    there.run("mv", "/data/notifhist.db", "/data/notifhist.db-wal")  # what it must not leave
    there.run("sh", "-c", f"sh {restore}", user=image.user, folder=image.folder, environ=environ)
    assert there.run("stat", "-c", "%U", "/data/notifhist.db") == "notifhist\n"
    assert "monitoring:creator" in there.run(
        *entry, "keys", "list", user=image.user, folder=image.folder, environ=environ
    )


@pytest.fixture
def compose() -> dict[str, Any]:
    """compose.yml, which is what the Compose specification says one may be."""
    parsed = PyCompose.from_yaml(COMPOSE.read_text())
    parsed.validate()
    parsed.validate_volumes()
    document: dict[str, Any] = parsed.to_dict()
    return document


def test_compose_serves_sqlite_unless_it_is_told_otherwise(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services.keys() == {"notifhist", "postgres"}
    assert "profiles" not in services["notifhist"]
    assert services["postgres"]["profiles"] == ["postgres"]
    assert services["notifhist"]["depends_on"]["postgres"] == {"condition": "service_healthy", "required": False}
    (url,) = (rest for name, rest in instructions() if name == "ENV")
    assert services["notifhist"]["environment"]["NOTIFHIST_DATABASE_URL"] == f"${{{url.replace('=', ':-', 1)}}}"


def test_compose_passes_all_settings_on(compose: dict[str, Any]) -> None:
    environment = dict(compose["services"]["notifhist"]["environment"])
    names = [PREFIX + each.name for each in SETTINGS]
    assert list(environment) == names
    del environment[names[0]]
    assert set(environment.values()) == {None}  # taken from .env; a default here would stand for an empty value too


def test_the_service_has_the_time_that_a_reload_and_its_end_take() -> None:
    seconds = f"{2 * options()['graceful_timeout'] + 15}"
    assert f"\n    stop_grace_period: {seconds}s\n" in COMPOSE.read_text()
    assert f"\nTimeoutStopSec={seconds}\n" in (ROOT / "deploy/systemd/notifhist.service").read_text()
    assert f" --stop-timeout {seconds} " in (ROOT / "docs/operating.md").read_text()


def test_compose_closes_the_service_and_shows_it_to_this_machine_alone(compose: dict[str, Any]) -> None:
    service = compose["services"]["notifhist"]
    (port,) = service["ports"]
    assert "127.0.0.1" in str(port)
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
