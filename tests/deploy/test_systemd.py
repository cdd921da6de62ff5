"""The units: checked by systemd's tools, and installed and run as the documents say by a systemd of their own."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import TENANT
from tests.deploy.documents import blocks
from tests.deploy.machine import NOT_COPIED, Machine, machine
from tests.http.helpers import CHECK
from tests.system.load import ITEM, Load
from tests.system.service import ROOT, Client, free_port, wait_until

UNITS = ROOT / "deploy" / "systemd"
OURS = ("notifhist.service", "notifhist-purge.service")
SOURCE = "/src"
FILE = "a$HOME`id`\\.db"
"""The database of the tests: systemd and the shell of the documented commands read the same name of it."""
MOST_EXPOSED = 15
"""In tenths of what `systemd-analyze security` says: 0 is closed, 100 open."""
BOOT = """
rm -rf /etc/systemd/system/*.wants /lib/systemd/system/*.wants /etc/fstab
for name in basic network-online shutdown sysinit timers; do
    printf '[Unit]\\nDefaultDependencies=no\\n' >/etc/systemd/system/$name.target
done
exec /lib/systemd/systemd --system --unit=basic.target --log-target=console --show-status=no
"""
"""Starts a systemd that starts nothing: what a distribution has it start is left out."""
DROP_IN = """[Service]
ExecStart=
ExecStart=notifhist serve --bind 127.0.0.1:{port} --workers 2
StandardOutput=append:/var/log/notifhist.log
StandardError=inherit
"""


def words(path: Path) -> list[tuple[str, str]]:
    """Return the assignments of a unit, in order."""
    return re.findall(r"^([A-Za-z]+)=(.*)$", path.read_text(), flags=re.MULTILINE)


def analyze(*arguments: str | Path) -> str:
    done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("unit", OURS)
def test_the_units_are_closed(unit: str) -> None:
    analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", UNITS / unit)


def test_the_units_share_their_user_and_what_closes_them() -> None:
    service, purge = (words(UNITS / unit) for unit in OURS)
    hardening = service[
        service.index(("NoNewPrivileges", "yes")) : service.index(("SystemCallErrorNumber", "EPERM")) + 1
    ]
    assert len(hardening) > 20
    assert [each for each in purge if each in hardening] == hardening
    for name in ("User", "Group", "EnvironmentFile", "StateDirectory", "WorkingDirectory", "UMask"):
        assert dict(service)[name] == dict(purge)[name]


@pytest.mark.parametrize("unit", OURS)
def test_the_end_of_a_unit_leaves_the_counts_in_shared_memory(unit: str) -> None:
    assert {"RemoveIPC", "DynamicUser"}.isdisjoint(dict(words(UNITS / unit)))


@dataclass(frozen=True)
class Installed:
    """A machine into which the service was installed, and where it listens."""

    machine: Machine
    url: str
    key: str

    def show(self, name: str, unit: str = "notifhist.service") -> str:
        """Return a property of a unit."""
        return self.machine.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def shared_memory(self) -> set[str]:
        """Return the names of what the service has in /dev/shm."""
        return {path.name for path in (self.machine.root / "dev/shm").iterdir()}

    def workers(self) -> list[str]:
        """Return the processes of the workers that were started, by their numbers there."""
        booted = "Booting worker with pid: "
        return [
            text.removeprefix(booted) for line in self.log() if (text := str(line.get("message"))).startswith(booted)
        ]

    def log(self) -> list[dict[str, object]]:
        """Return the lines of the log."""
        return [json.loads(line) for line in (self.machine.root / "var/log/notifhist.log").read_text().splitlines()]


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    """The service in a machine with a systemd of its own, installed as docs/operating.md says."""
    (install, *others), (create_key,) = blocks("operating.md", "With systemd")
    with machine("/bin/sh", "-c", BOOT, is_up="/run/systemd/private") as made:
        made.copy(ROOT, SOURCE, *NOT_COPIED)
        made.make_python("/opt/notifhist")
        assert install.endswith(" && /opt/notifhist/bin/pip install .")
        pip = ("/opt/notifhist/bin/pip", "install", "--quiet", "--no-index", "--no-build-isolation", ".")
        made.run(*pip, folder=SOURCE)
        drop_in = made.root / "etc/systemd/system/notifhist.service.d/override.conf"
        drop_in.parent.mkdir()
        port = free_port()
        drop_in.write_text(DROP_IN.format(port=port))
        for line in others:
            if line.startswith("systemctl enable"):
                settings = made.root / "etc/notifhist.env"
                settings.write_text(settings.read_text().replace("/notifhist.db", f"/{FILE}"))
                units = [f"deploy/systemd/{path.name}" for path in UNITS.iterdir()]
                made.run("systemd-analyze", "verify", "--man=no", *units, folder=SOURCE)
            made.run("sh", "-c", line + " || { tail -20 /var/log/notifhist.log >&2; exit 1; }", folder=SOURCE)
        key = made.run("sh", "-c", create_key).strip()
        yield Installed(made, f"http://127.0.0.1:{port}", key)


@pytest.fixture
def client(installed: Installed) -> Iterator[Client]:
    """A client with the key that the documents make."""
    client = Client(installed.url, installed.key)
    with client.session:
        yield client


def test_it_serves_as_the_user_of_its_own(installed: Installed, client: Client) -> None:
    assert installed.show("ActiveState") == "active"
    assert client.post(CHECK, ITEM).status_code == 201
    assert len(client.get_json(CHECK)["values"]) == 1
    for path in ("/readyz", "/metrics", "/openapi.json", f"/v1.0/{TENANT}/deliveries?format=csv"):
        assert client.get(path).status_code == 200
    assert installed.machine.run("stat", "-c", "%U %a", f"/var/lib/notifhist/{FILE}") == "notifhist 600\n"
    assert installed.machine.run("ps", "-o", "user=", "-p", installed.show("MainPID")) == "notifhist\n"
    shared = installed.shared_memory()
    assert {name.startswith("notifhist-") for name in shared} == {True}  # nothing else of it either
    assert any(name.startswith("notifhist-metrics-") for name in shared)
    assert len(shared) > 1


def test_the_doctor_finds_nothing(installed: Installed) -> None:
    (_, (create_key,)) = blocks("operating.md", "With systemd")
    doctor = create_key.partition("notifhist keys")[0] + "notifhist doctor'"
    installed.machine.run("sh", "-c", doctor)  # with a warning it would not end with 0


def test_a_reload_loses_no_request(installed: Installed) -> None:
    pid, old = installed.show("MainPID"), installed.workers()
    load = Load(installed.url, installed.key)
    with load.applied():
        installed.machine.run("systemctl", "reload", "notifhist.service")
        wait_until(lambda: len(installed.workers()) == 4)
        wait_until(lambda: not any((installed.machine.root / f"proc/{each}").exists() for each in old))
        wait_until(lambda: installed.show("ActiveState") == "active")
        load.wait_for_more(30)
    assert installed.show("MainPID") == pid


def test_purging_leaves_the_counts_alone(installed: Installed, client: Client) -> None:
    before = installed.shared_memory()
    used = int(client.get(CHECK).headers["X-RateLimit-Used"])
    installed.machine.run("systemctl", "start", "notifhist-purge.service")
    assert installed.show("Result", "notifhist-purge.service") == "success"
    assert installed.shared_memory() == before
    assert int(client.get(CHECK).headers["X-RateLimit-Used"]) == used + 1
    assert installed.show("ActiveState", "notifhist-purge.timer") == "active"


def test_what_root_revokes_is_refused_at_once(installed: Installed) -> None:
    (_, (create_key,)) = blocks("operating.md", "With systemd")
    key = installed.machine.run("sh", "-c", f"{create_key[:-1]} --name short-lived'").strip()
    client = Client(installed.url, key)
    with client.session:
        assert client.get(CHECK).status_code == 200
        installed.machine.run("sh", "-ac", ". /etc/notifhist.env; notifhist keys revoke short-lived")
        assert client.get(CHECK).status_code == 401


def test_it_stops_and_leaves_the_counts(installed: Installed) -> None:
    before = installed.shared_memory()
    installed.machine.run("systemctl", "stop", "notifhist.service")
    assert (installed.show("ActiveState"), installed.show("Result")) == ("inactive", "success")
    assert installed.shared_memory() == {name for name in before if not name.startswith("notifhist-metrics-")}
    assert [line for line in installed.log() if line.get("level") not in (None, "INFO")] == []
    installed.machine.run("systemctl", "start", "notifhist.service")
    assert installed.show("ActiveState") == "active"


def test_another_version_takes_its_place_and_the_settings_stay(installed: Installed) -> None:
    (install, *_), _ = blocks("operating.md", "With systemd")
    ((stop, upgrade, migrate, start),) = blocks("operating.md", "Another version")
    assert install.endswith(upgrade)
    (keeps,) = (line for line in blocks("operating.md", "With systemd")[0] if "/etc/notifhist.env" in line)
    installed.machine.run("sh", "-c", "echo '# ours' >>/etc/notifhist.env")
    installed.machine.run("sh", "-c", keeps, folder=SOURCE)
    assert "# ours" in installed.machine.run("cat", "/etc/notifhist.env")
    installed.machine.run("sh", "-c", stop)
    assert installed.show("ActiveState") == "inactive"
    assert "up to date" in installed.machine.run("sh", "-c", migrate)
    installed.machine.run("sh", "-c", start)
    assert installed.show("ActiveState") == installed.show("ActiveState", "notifhist-purge.timer") == "active"
