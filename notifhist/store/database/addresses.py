"""The addresses of the hosts in a PostgreSQL URL, for which nobody waits longer than a deadline of ours.

The driver has the system resolve names, which waits for each server of names for as long as it likes, 5 s twice. Here a
thread of its own asks for a name, and whoever connects goes on without it. Why: docs/adr/0029-deadlines-of-our-own.md.
"""

import socket
from ipaddress import ip_address
from threading import Lock, Thread
from typing import Any

import psycopg


class _Look:
    """One look for the addresses of a name, for all who wait for them meanwhile."""

    def __init__(self, name: str) -> None:
        self.found: list[str] | None = None
        """The addresses; None while nobody has answered."""
        self.problem = ""
        self._name = name
        self._thread = Thread(target=self._ask, name="resolves a name", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # the system has no thread left
            self.problem = str(error)

    def _ask(self) -> None:
        try:
            answers = socket.getaddrinfo(self._name, None, type=socket.SOCK_STREAM)
            self.found = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        except (OSError, UnicodeError) as error:
            self.problem = str(error)
            if getattr(error, "errno", None) != socket.EAI_AGAIN:
                self.found = []

    def has_ended(self, within_s: float | None = 0) -> bool:
        """Say whether it has an outcome within so many seconds from now (None: wait for it)."""
        if self._thread.ident is not None:
            self._thread.join(within_s)
        return not self._thread.is_alive()


class Addresses:
    """The addresses of names as they were found last."""

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}
        self._known: dict[str, list[str]] = {}
        self._lock = Lock()

    def resolved(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of a connection with the addresses (`hostaddr`) of the hosts that are names.

        It takes as long as `connect_timeout` says at most, for each host (0: as long as it takes). Raises
        psycopg.OperationalError where none of them has an address.
        """
        hosts = str(parameters.get("host", "")).split(",")
        ports = str(parameters.get("port", "")).split(",")  # without one it may be in PGPORT, or in a file of services
        ports = ports * len(hosts) if len(ports) == 1 else ports
        if "hostaddr" in parameters or not any(map(_is_name, hosts)) or len(ports) != len(hosts):
            return parameters
        places, problems = [], []
        for host, port in zip(hosts, ports, strict=True):
            try:
                found = self._addresses_of(host, _timeout_s(parameters)) if _is_name(host) else [""]
            except psycopg.OperationalError as error:
                problems.append(str(error))
            else:
                places += [(host, address, port) for address in found]
        if not places:
            raise psycopg.OperationalError("; ".join(problems))
        lists = (",".join(each) for each in zip(*places, strict=True))
        known = dict(zip(("host", "hostaddr", "port"), lists, strict=True))
        if "port" not in parameters:
            del known["port"]
        return parameters | known

    def _addresses_of(self, name: str, within_s: float | None) -> list[str]:
        """Return the addresses of a name, those that were found last if nobody answers in time."""
        with self._lock:
            look = self._looks.get(name)
            if look is None or look.has_ended():
                look = self._looks[name] = _Look(name)
        if look.has_ended(within_s) and look.found is not None:
            self._known[name] = look.found
        if found := self._known.get(name):
            return found
        raise psycopg.OperationalError(f"no address of {name}: {look.problem or f'no answer within {within_s:g} s'}")


def _timeout_s(parameters: dict[str, Any]) -> float | None:
    """Return `connect_timeout`, in s; None where that is 0, or is no number, which the driver will refuse."""
    text = str(parameters.get("connect_timeout", ""))
    return float(text) or None if text.isdecimal() else None


def _is_name(host: str) -> bool:
    """Say whether a host is one that has to be resolved: no address, no folder of a socket."""
    if not host or host.startswith(("/", "@")):
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False
