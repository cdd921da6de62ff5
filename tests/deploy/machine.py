"""A machine that is thrown away: this one's files below a layer of its own. A test may install as the documents say."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.system.service import PATIENCE_S, wait_until

SCRIPT = Path(__file__).with_name("machine.sh")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {
    "PATH": PATH,
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
}
NOT_COPIED = (".*", "__pycache__", "*.egg-info", "build", "dist", "*.db*")
SLEEPS = ("/bin/sh", "-c", "touch /run/is-up; exec sleep infinity")


class Machine:
    """A machine whose first process is given; it ends with the tests."""

    def __init__(self, *command: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="notifhist-machine-"))
        self._log = self._folder.with_suffix(".log")
        ends_with_us = ("setpriv", "--pdeathsig", "KILL")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*ends_with_us, "sh", SCRIPT, self._folder, sys.base_prefix, sysconfig.get_path("purelib"), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": PATH, "container": "notifhist-test"},  # so systemd takes what it finds for a container's
                start_new_session=True,
            )

    @cached_property
    def pid(self) -> int:
        """The first process of the machine, as this one counts."""
        return wait_until(self._first_process)

    @property
    def root(self) -> Path:
        """The machine's files."""
        return Path(f"/proc/{self.pid}/root")

    def wait_for(self, path: str) -> None:
        """Return once the first process has made a file."""

        def is_there() -> bool:
            assert self._process.poll() is None, self.log()
            return (self.root / "opt/packages").exists() and (self.root / path.lstrip("/")).exists()

        wait_until(is_there)

    def _first_process(self) -> int | None:
        assert self._process.poll() is None, self.log()
        for child in Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split():
            with suppress(FileNotFoundError):  # it has ended
                if os.readlink(f"/proc/{child}/ns/pid") != os.readlink("/proc/self/ns/pid"):
                    return int(child)
        return None

    def log(self) -> str:
        """Return what the first process has said."""
        return self._log.read_text()

    def run(
        self,
        *command: str,
        user: str = "root",
        code: int = 0,
        folder: str = "/",
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Return what a command says that is run there; fail if it does not end with `code`."""
        done = subprocess.run(
            self.command(*command, user=user, folder=folder),
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE_S,
            env=ENVIRONMENT | dict(environ),
        )
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.log()}"
        return done.stdout

    def command(self, *command: str, user: str = "root", folder: str = "/") -> tuple[str, ...]:
        """Return the command here that is `command` there; `user` may be a number."""
        enter = ("nsenter", f"--target={self.pid}", "--mount", "--pid", "--uts", "--cgroup", "--root", "--wd")
        become = () if user == "root" else ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
        return (*enter, "sh", "-c", 'cd "$0" && exec "$@"', folder, *become, *command)

    def make_python(self, folder: str) -> None:
        """Make an environment of a folder, with pip; the other packages are those of the tests, except for ours."""
        self.run("/opt/python/bin/python3", "-m", "venv", "--without-pip", folder, folder="/")
        (packages,) = self.root.glob(f"{folder.lstrip('/')}/lib/python3*/site-packages")
        (packages / "others.pth").write_text("/opt/packages\n")
        pip = self.root / folder.lstrip("/") / "bin/pip"
        pip.write_text(f'#!/bin/sh\nexec {folder}/bin/python3 -m pip "$@"\n')
        pip.chmod(0o755)

    def copy(self, here: Path, there: str, *ignored: str) -> None:
        """Copy a file, or what is in a folder, except for what has one of the names; all of it is root's there."""
        goal = self.root / there.lstrip("/")
        if here.is_dir():
            shutil.copytree(here, goal, symlinks=True, ignore=shutil.ignore_patterns(*ignored), dirs_exist_ok=True)
        else:
            shutil.copy(here, goal)
        self.run("chown", "-R", "root:root", there)

    def throw_away(self) -> None:
        """End all its processes, and remove what it was made of."""
        self._process.kill()  # its child, the first process, ends with it, and with that all others
        self._process.wait()
        for place in ("systemd", "unified", "."):
            group = Path("/sys/fs/cgroup", place, self._folder.name)
            if group.is_dir():
                wait_until(lambda: not list(_processes(group)))  # noqa: B023 - called at once
                for folder in sorted([each for each in group.rglob("*") if each.is_dir()], reverse=True):
                    folder.rmdir()
                group.rmdir()
        self._folder.rmdir()
        self._log.unlink()


def _processes(group: Path) -> Iterator[str]:
    for path in group.rglob("cgroup.procs"):
        yield from path.read_text().split()


@contextmanager
def machine(*command: str, is_up: str = "/run/is-up") -> Iterator[Machine]:
    """Make a machine. Its first process sleeps unless another is given, which makes the file `is_up` once it is up."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"]).returncode:
        pytest.skip("a machine to throw away is made by root, of namespaces")
    made = Machine(*(command or SLEEPS))
    try:
        made.wait_for(is_up)
        yield made
    finally:
        made.throw_away()
