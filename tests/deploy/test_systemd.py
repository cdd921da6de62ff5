"""The units of systemd: checked by its own tools, and installed and run as the documents say, by a systemd of their own."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import TENANT
from tests.deploy.documents import blocks
from tests.deploy.machine import Machine, machine
from tests.http.helpers import CHECK, item_at
from tests.system.service import ROOT, Client, free_port, wait_until

UNITS = ROOT / "deploy" / "systemd"
OURS = ("notifhist.service", "notifhist-purge.service")
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
LOG = "var/log/notifhist.log"


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


def test_root_may_log_in_by_no_password_of_it() -> None:
    (line,) = re.findall(r"^u .*$", (ROOT / "deploy/sysusers.d/notifhist.conf").read_text(), flags=re.MULTILINE)
    assert line.split()[:3] == ["u", "notifhist", "-"]  # a system user, with no shell


@pytest.fixture(scope="module")
def booted() -> Iterator[Machine]:
    """A machine with a systemd of its own, into which the service was installed as docs/operating.md says."""
    with machine("/bin/sh", "-c", BOOT, is_up="/run/systemd/private") as booted:
        booted.make_python("/opt/notifhist")
        install, *others = blocks("operating.md", "With systemd")[0]
        assert install.endswith(" && /opt/notifhist/bin/pip install .")
        pip = ("/opt/notifhist/bin/pip", "install", "--quiet", "--no-index", "--no-build-isolation", ".")
        booted.run(*pip, environ={"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"})
        drop_in = booted.root / "etc/systemd/system/notifhist.service.d/override.conf"
        drop_in.parent.mkdir()
        drop_in.write_text(DROP_IN.format(port=free_port()))
        for line in others:
            if line.startswith("systemctl enable"):
                booted.run(
                    "systemd-analyze",
                    "verify",
                    "--man=no",
                    *(f"deploy/systemd/{path.name}" for path in UNITS.iterdir()),
                )
            booted.run("sh", "-c", line + " || { tail -20 /var/log/notifhist.log >&2; exit 1; }")
        yield booted


def test_it_is_there(booted: Machine) -> None:
    print(booted.run("systemctl", "status", "--no-pager", "notifhist.service", "notifhist-purge.timer"))
