"""Machines that run the service: each has an address, a /dev/shm and perhaps a clock of its own."""

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.cluster.network import Bridge, Host
from tests.cluster.nodes import Node, server_folder
from tests.system.service import PATIENCE_S, Service, environment
from tests.system.test_outages import AT_THE_BARRIER

_FIRST_PORT = 8000
_MEMORY = "mount -t tmpfs -o size=32m none /dev/shm && echo ready && exec sleep infinity"


# libfaketime 0.9.10 cannot do it: with it, `time.sleep` of Python 3.11 fails with EINVAL.
_SET_CLOCK = """import time; own, own_ns = time.time, time.time_ns
time.time, time.time_ns = lambda: own() + {ahead_s}, lambda: own_ns() + {ahead_s} * 10**9
"""
_MAIN = "import sys; sys.argv[0] = 'notifhist'; from notifhist.cli import main; main()"


class Machine:
    """A host of the service; what it starts shares its memory."""

    def __init__(self, host: Host, folder: Path, name: str) -> None:
        self.address, self._folder, self._name = host.address, folder, name
        self._ports = count(_FIRST_PORT)
        self._keeper = subprocess.Popen(
            [*host.prefix, "sh", "-c", _MEMORY], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        self.ahead_s = 0
        """By how much the clock of the programs that it starts from now on is ahead."""
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == b"ready\n"

    def _python(self, program: str) -> tuple[str, ...]:
        """Return the command that runs a program of Python on this host."""
        enter = ("nsenter", f"--target={self._keeper.pid}", "--net", "--mount", "--wd=.")
        return (*enter, sys.executable, "-c", _SET_CLOCK.format(ahead_s=self.ahead_s) + program)

    def service(self, settings: Mapping[str, str]) -> Service:
        """Return a service on this host, not started yet."""
        directory = Path(tempfile.mkdtemp(dir=self._folder, prefix=self._name))
        return Service(
            directory, settings, command=(*self._python(_MAIN), "serve"), bind=f"{self.address}:{next(self._ports)}"
        )

    def begin(self, settings: Mapping[str, str], *arguments: str) -> "subprocess.Popen[str]":
        """Start a command of `notifhist` on this host, which waits for `output_of`."""
        return subprocess.Popen(
            [*self._python(AT_THE_BARRIER), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(settings),
            cwd=self._folder,
        )

    def run(self, settings: Mapping[str, str], *arguments: str) -> str:
        """Return what a command of `notifhist` on this host prints."""
        return output_of([self.begin(settings, *arguments)])[0]

    def clean_up(self) -> None:
        """End what keeps its memory."""
        self._keeper.kill()
        with self._keeper:
            pass


def output_of(commands: "list[subprocess.Popen[str]]") -> list[str]:
    """Let commands go on, at the same moment; return what each of them prints, once all have succeeded."""
    for command in commands:
        assert command.stdout is not None
        assert command.stdout.readline() == "\n"  # all it needs is imported
    with ThreadPoolExecutor(len(commands)) as pool:
        outcomes = list(pool.map(lambda command: command.communicate("go on\n", timeout=PATIENCE_S), commands))
    assert [command.returncode for command in commands] == [0] * len(commands), outcomes
    return [printed for printed, _ in outcomes]


class Hosts:
    """A database server and machines for the service, on a bridge."""

    def __init__(self, folder: Path, bridge: Bridge) -> None:
        self.folder, self.bridge = folder, bridge
        self.database, *others = bridge.hosts
        self.node = Node(folder, self.database, "postgres")
        self.machines = [Machine(host, folder, f"host{n}-") for n, host in enumerate(others)]

    def create_database(self) -> str:
        """Return the address of a new, empty database."""
        name = f"test_{uuid.uuid4().hex}"
        self.node.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@{self.database.address}:{self.database.port}/{name}"

    def clean_up(self) -> None:
        """End all of it."""
        self.node.kill()
        for machine in self.machines:
            machine.clean_up()


@contextmanager
def hosts(number: int = 2) -> Iterator[Hosts]:
    """Set up a server and machines, and remove them; skip the test where this machine allows no namespaces."""
    if shutil.which("ip") is None or shutil.which("nsenter") is None or os.geteuid() != 0:
        pytest.skip("Only root may make hosts with addresses of their own, by `ip` and `nsenter`.")
    with ExitStack() as stack:
        try:
            bridge = Bridge(number + 1, letter="h", net=214)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"No network namespaces can be made here: {error.stderr}")
        stack.callback(bridge.clean_up)
        made = Hosts(stack.enter_context(server_folder()), bridge)
        stack.callback(made.clean_up)
        yield made


@contextmanager
def started(services: list[Service]) -> Iterator[list[Service]]:
    """Start services at the same moment, and clean up after them."""
    try:
        with ThreadPoolExecutor(len(services)) as pool:
            yield list(pool.map(Service.start, services))
    finally:
        for service in services:
            service.clean_up()
