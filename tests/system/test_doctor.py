"""`notifhist doctor` as operators run it, beside a service: what it says, and what it knows of the service."""

import json
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from notifhist.operations import machine_checks
from notifhist.operations.database_checks import DISK_WARNING_BYTES
from tests.http.helpers import CHECK
from tests.system.commands import finish, run, start
from tests.system.conftest import MakeService
from tests.system.service import SERVE, create_key, free_port

LITTLE = ("prlimit", "--nofile=600:600")
"""A command that lets another one have few files open."""
RAISABLE = ("prlimit", "--nofile=256:4096")
FORWARDED = {"X-Forwarded-For": "203.0.113.7"}


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has doctor find room and files enough, whatever the machine has."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10 * DISK_WARNING_BYTES))
    monkeypatch.setattr(machine_checks, "most_files", lambda: None)


def test_it_tells_what_is_wrong_and_what_to_do(sqlite_database: str) -> None:
    told = run(sqlite_database, "doctor", NOW="", TRUSTED_PROXY="1", code=1).stdout.splitlines()
    assert told == [
        "warning: names of settings: NOTIFHIST_TRUSTED_PROXY is no setting, so it has no effect. Write "
        "NOTIFHIST_TRUSTED_PROXIES, if that is meant, or remove it. `notifhist --help` lists the settings.",
        "warning: keys: There is no valid key, so nobody can ask or record anything. Create one: notifhist keys create "
        "--tenant TENANT --role monitoring:creator.",
        "not checked, because no service on this database runs here, and only its requests tell: proxies.",
        f"19 checks of {sqlite_database}: 2 found.",
    ]
    create_key(sqlite_database)
    assert run(sqlite_database, "doctor", NOW="").stdout.splitlines()[-1].endswith(": nothing found.")
    document = json.loads(run("mysql://x", "doctor", "--json", NOW="", code=2).stdout)
    assert [each["level"] for each in document["findings"]] == ["fault"]
    assert document["findings"][0].keys() == {"check", "level", "problem", "remedy"}
    assert document["not_made"]["database"] == "the settings are faulty"
    assert set(document["made"]) == {"settings", "names of settings", "shared memory"}


def test_it_finds_too_few_files_for_what_is_started_here(sqlite_database: str) -> None:
    create_key(sqlite_database)
    told = finish(start(sqlite_database, "doctor", wrapper=LITTLE, settings={"NOW": ""}), 1).stdout
    assert "warning: open files: What is started here may have 600 files open" in told


def test_it_finds_a_proxy_that_nobody_trusts(sqlite_database: str, make_service: MakeService) -> None:
    """Before, the service is asked directly, and nothing is found. It raises its own limit of open files."""
    if subprocess.run([*RAISABLE, "true"], capture_output=True).returncode:
        pytest.skip("nobody may have as many files open here as a service needs")
    command, bind = (*RAISABLE, *SERVE), f"127.0.0.1:{free_port()}"
    service = make_service(sqlite_database, command=command, workers=1, bind=bind).start()
    key = service.create_key()
    assert service.ask(CHECK, key).status_code == 200
    examined = json.loads(run(sqlite_database, "doctor", "--json", NOW="").stdout)
    assert examined["findings"] == []
    assert examined["not_made"] == {}
    for _ in range(3):
        assert service.ask(CHECK, key, headers=FORWARDED).status_code == 200
        assert service.ask(CHECK, headers=FORWARDED).status_code == 401  # whoever guesses proves nothing
    for _ in range(9):
        assert service.ask("/none").status_code == 404  # nor does who asks for what is not there
    told = run(sqlite_database, "doctor", NOW="", code=1).stdout
    assert f"warning: proxies: 3 of 4 requests with a key to the service at {service.url[7:]} have come" in told


def test_it_finds_that_a_trusted_proxy_is_not_there(sqlite_database: str, make_service: MakeService) -> None:
    """And that the service has too few files, which it cannot raise."""
    command, bind = (*LITTLE, *SERVE), f"127.0.0.1:{free_port()}"
    service = make_service(sqlite_database, command=command, workers=1, bind=bind, TRUSTED_PROXIES="2").start()
    key = service.create_key()
    assert service.ask(CHECK, key, headers={"X-Forwarded-For": "203.0.113.7, 198.51.100.2"}).status_code == 200
    assert run(sqlite_database, "doctor", NOW="", TRUSTED_PROXIES="2", code=1).stdout.count("warning: ") == 1
    assert service.ask(CHECK, key, headers=FORWARDED).status_code == 200
    assert service.ask(CHECK, key).status_code == 200
    files, proxies = run(sqlite_database, "doctor", NOW="", TRUSTED_PROXIES="2", code=1).stdout.splitlines()[:2]
    pid = service.process.pid if service.process else 0
    assert files.startswith(f"warning: open files: The service (process {pid}, at {service.url[7:]}) may have 600")
    assert "2 of 3 requests" in proxies
    assert "NOTIFHIST_TRUSTED_PROXIES says, 2" in proxies
