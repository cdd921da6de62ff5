"""Hosts in network namespaces on a bridge, whose cables a test may pull; or loopback, where that is not allowed."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from tests.system.service import free_port

_PORT = 5432


def ip(*arguments: str) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Host:
    """A place for a server: its address, and the command before each of its programs."""

    def __init__(self, address: str, port: int, prefix: Sequence[str] = ()) -> None:
        self.address, self.port, self.prefix = address, port, tuple(prefix)


class Bridge:
    """Hosts on a bridge of this machine; `letter` and `net` tell it from another one of this process."""

    def __init__(self, number: int = 2, letter: str = "", net: int = 213) -> None:
        self.name, self._net = f"nh{os.getpid()}{letter}", f"10.{net}.{os.getpid() % 250}"
        self._spaces: list[str] = []
        try:
            ip("link", "add", self.name, "type", "bridge")
            ip("address", "add", f"{self._net}.1/24", "dev", self.name)
            ip("link", "set", self.name, "up")
            self.hosts = [self._add(n) for n in range(number)]
        except BaseException:  # a machine may allow the bridge, but no namespaces
            self.clean_up()
            raise

    def _add(self, n: int) -> Host:
        space, address = f"{self.name}-{n}", f"{self._net}.{n + 2}"
        ip("netns", "add", space)
        self._spaces.append(space)
        ip("link", "add", self._cable(n), "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("-n", space, "address", "add", f"{address}/24", "dev", "eth0")
        for link in ("eth0", "lo"):
            ip("-n", space, "link", "set", link, "up")
        self.plug(n)
        return Host(address, _PORT, ("ip", "netns", "exec", space))

    def _cable(self, n: int) -> str:
        return f"{self.name}v{n}"

    def plug(self, n: int) -> None:
        """Put the cable of a host in."""
        ip("link", "set", self._cable(n), "master", self.name, "up")

    def pull(self, n: int) -> None:
        """Pull the cable of a host: what is sent to it is lost, without a word."""
        ip("link", "set", self._cable(n), "nomaster")

    def clean_up(self) -> None:
        """Remove all of it."""
        for space in self._spaces:
            with suppress(subprocess.CalledProcessError):
                ip("netns", "delete", space)
        with suppress(subprocess.CalledProcessError):
            ip("link", "delete", self.name)


def bridge() -> Bridge | None:
    """Return a bridge with two hosts; None where this user or this machine allows no namespaces."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        return None
    with suppress(subprocess.CalledProcessError):
        return Bridge()
    return None


def loopback() -> list[Host]:
    """Return two places on this host."""
    return [Host("127.0.0.1", free_port()) for _ in range(2)]
