"""Names of hosts in a PostgreSQL URL: the addresses that the driver gets, and how long anybody waits for them."""

import math
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from notifhist.store.database.addresses import Addresses
from notifhist.store.database.postgresql_connection import Connector
from tests.gate import gate
from tests.system.service import ROOT

SERVER = "127.213.53.53"
# Where /etc/hosts and /etc/resolv.conf are files of the test's own.
IN_ITS_OWN = 'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && exec "$3" -c "$4" "$1" "$5"'
ASK = """
import math, sys
from pathlib import Path
import psycopg
from notifhist.store.database.postgresql_connection import Connector

hosts, url = sys.argv[1:]
connector = Connector(url, math.inf)
print(connector.connect().info.hostaddr)
Path(hosts).write_text("")
print(connector.connect().info.hostaddr)
try:
    Connector(url, math.inf).connect()
except psycopg.OperationalError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"host": "127.0.0.1"},
        {"host": "::1,192.0.2.1", "port": "1,2"},
        {"host": "/run/postgresql"},
        {"host": "@abstract"},
        {"host": "db.example.com", "hostaddr": "192.0.2.1"},
        {"host": "localhost,localhost", "port": "1,2,3"},  # the driver refuses it
    ],
)
def test_what_names_no_host_stays_as_it_is(given: dict[str, Any]) -> None:
    assert Addresses().resolved(given) == given


def test_each_address_of_a_name_has_its_host_and_port() -> None:
    found = list(dict.fromkeys(str(each[4][0]) for each in socket.getaddrinfo("localhost", None)))
    n = len(found)
    assert Addresses().resolved({"host": "localhost,192.0.2.1,/run,localhost", "port": "1,2,3,4", "dbname": "x"}) == {
        "host": ",".join([*["localhost"] * n, "192.0.2.1", "/run", *["localhost"] * n]),
        "hostaddr": ",".join([*found, "", "", *found]),
        "port": ",".join([*["1"] * n, "2", "3", *["4"] * n]),
        "dbname": "x",
    }
    assert "port" not in Addresses().resolved({"host": "localhost"})  # the driver takes PGPORT then


def test_where_no_thread_can_be_started_a_name_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses, named = Addresses(), {"host": "localhost", "connect_timeout": "3"}
    monkeypatch.setattr("threading._start_new_thread", refuse_thread)
    with pytest.raises(psycopg.OperationalError, match="no address of localhost: can't start new thread"):
        addresses.resolved(named)
    monkeypatch.undo()
    assert addresses.resolved(named)["hostaddr"]


def refuse_thread(*_: object) -> None:
    """Do as the system does that has no thread left."""
    raise RuntimeError("can't start new thread")


def test_a_name_without_an_address_is_left_out() -> None:
    known = Addresses().resolved({"host": "no..name,192.0.2.1", "connect_timeout": "3"})
    assert (known["host"], known["hostaddr"]) == ("192.0.2.1", "")
    with pytest.raises(psycopg.OperationalError, match=r"no address of no\.\.name: "):
        Addresses().resolved({"host": "no..name", "connect_timeout": "3"})


def test_a_host_is_reached_by_its_name(postgres_database: str) -> None:
    with gate(postgres_database) as way:
        url = way.url.replace("127.0.0.1", "localhost")
        with Connector(url, math.inf).connect() as connection:
            assert (connection.info.host, connection.info.hostaddr) == ("localhost", "127.0.0.1")
        with Connector(f"{url}?target_session_attrs=read-write", math.inf).connect() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server of names that answers nobody."""
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        try:
            server.bind((SERVER, 53))
        except PermissionError:
            pytest.skip("This user may not have a server of names.")
        server.settimeout(0)
        yield server


@pytest.mark.long
def test_a_server_of_names_that_never_answers_is_given_up(
    silent: socket.socket, postgres_database: str, tmp_path: Path
) -> None:
    hosts, resolver = tmp_path / "hosts", tmp_path / "resolv.conf"
    hosts.write_text("127.0.0.1 db.notifhist.test\n")
    resolver.write_text(f"nameserver {SERVER}\noptions timeout:30 attempts:1\n")
    with gate(postgres_database) as way:
        url = f"{way.url.replace('127.0.0.1', 'db.notifhist.test')}?connect_timeout=1"
        asked = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            IN_ITS_OWN,
            "sh",
            str(hosts),
            str(resolver),
            sys.executable,
            ASK,
            url,
        ]
        done = subprocess.run(asked, capture_output=True, text=True, cwd=ROOT, timeout=25, env=dict(os.environ))
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"No mounts of its own are allowed here: {done.stderr}")
    told = ["127.0.0.1", "127.0.0.1", "no address of db.notifhist.test: no answer within 1 s"]
    assert done.stdout.splitlines() == told, done.stderr
    assert b"notifhist" in silent.recv(512)
