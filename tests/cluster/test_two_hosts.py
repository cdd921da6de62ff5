"""Two hosts of the service over one database, which share nothing else."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.cluster.hosts import Hosts, hosts, output_of, started
from tests.conftest import MIGRATIONS
from tests.http.helpers import CHECK, RUNS, item_at
from tests.records import count_items
from tests.system.commands import item_line, write_lines
from tests.system.service import Client, Service, opened, wait_until
from tests.system.test_operations import CLIENTS, LIMIT, REQUESTS_OF_EACH, ask_for_all, assert_exact, redis_server

NOW_MS = time.time_ns() // 1_000_000
WEEK_MS = 7 * 86_400_000
WITHIN_S = 1.0
"""Within so long a key is refused that was revoked on another host,"""
SLACK_S = 1.0
"""and so long a request may take on a busy machine."""
UNLIMITED = {"HISTORY_RATE_LIMIT": "", "RUNS_RATE_LIMIT": ""}


@pytest.fixture(scope="module")
def two_hosts() -> Iterator[Hosts]:
    with hosts() as made:
        made.node.initialize()
        yield made


@pytest.fixture(scope="module")
def pair(two_hosts: Hosts) -> Iterator[list[Service]]:
    """A service on each host; they were started at the same moment, over an empty database."""
    settings = {"DATABASE_URL": two_hosts.create_database(), "RETENTION_DAYS": "0", **UNLIMITED}
    with started([machine.service(settings) for machine in two_hosts.machines]) as services:
        yield services


def rows(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(sql.encode()).fetchall()


def test_a_revoked_key_is_refused_at_once_here_and_within_a_second_there(two_hosts: Hosts, pair: list[Service]) -> None:
    key, kept = pair[0].create_key(), pair[0].create_key()
    here, there = (service.clients_of_each_worker(key, each=1) for service in pair)
    others = [service.client(kept) for service in pair]
    for client in (*here, *there, *others):
        assert [client.get(CHECK).status_code for _ in range(3)] == [200] * 3  # each worker remembers it by now
    command = two_hosts.machines[0].begin(pair[0].settings, "keys", "revoke", key.split("_")[1])
    output_of([command])
    revoked = time.monotonic()
    assert [client.get(CHECK).status_code for client in here] == [401, 401]
    assert [client.get(RUNS).status_code for client in here] == [403, 403]
    for client in there:
        wait_until(lambda: client.get(CHECK).status_code == 401)  # noqa: B023 - called at once
    assert time.monotonic() - revoked < WITHIN_S + SLACK_S
    assert [client.get(CHECK).status_code for client in (*there, *others)] == [401, 401, 200, 200]


def test_a_rate_limit_is_exact_over_hosts_that_share_redis(two_hosts: Hosts) -> None:
    with redis_server(two_hosts.folder, two_hosts.database.address, two_hosts.database.prefix) as storage:
        settings = {"DATABASE_URL": two_hosts.create_database(), "RATE_LIMIT_STORAGE": storage}
        limited = [
            machine.service(settings | {"HISTORY_RATE_LIMIT": f"{LIMIT}/hour"}) for machine in two_hosts.machines
        ]
        with started(limited) as services:
            key = services[0].create_key()
            clients = [service.client(key) for service in services for _ in range(CLIENTS // 2)]
            assert_exact(ask_for_all(clients, CHECK, REQUESTS_OF_EACH))


def test_hosts_make_a_partition_at_the_same_moment(pair: list[Service]) -> None:
    key, url = pair[0].create_key(), pair[0].settings["DATABASE_URL"]
    clients = [client for service in pair for client in service.clients_of_each_worker(key, each=1)]
    weeks = [NOW_MS - n * WEEK_MS for n in range(2, 12)]
    made = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^(history_item|delivery)_w[0-9]+$'"
    before = len(rows(url, made))

    def post(client: Client, week_ms: int, number: int) -> int:
        attempts = [{"message": "sent"}]
        results = [{"notification_id": "nt", "success": True, "attempts": attempts}]
        return client.post(CHECK, item_at(week_ms, number, notification_results=results)).status_code

    with ThreadPoolExecutor(len(clients)) as pool:
        for week_ms in weeks:
            numbers = range(len(clients))
            assert list(pool.map(post, clients, [week_ms] * len(clients), numbers)) == [201] * len(clients)
    # On a busy machine a host may not get the locks in time; then the items of the week are in the default partition.
    assert before + len(weeks) <= len(rows(url, made)) <= before + 2 * len(weeks)
    found = [client.get_json(f"{CHECK}?from=0&limit=1000")["values"] for client in clients]
    assert [len(items) for items in found] == [len(weeks) * len(clients)] * len(clients)


def test_hosts_migrate_and_purge_at_the_same_moment(two_hosts: Hosts, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": two_hosts.create_database(), "RETENTION_DAYS": "0"}
    printed = output_of([machine.begin(settings, "migrate") for machine in two_hosts.machines])
    assert sorted(printed) == [f"Applied: {', '.join(MIGRATIONS)}\n", "The tables are up to date.\n"]
    results = [{"notification_id": "nt", "success": True, "attempts": []}]
    times = [NOW_MS - 40 * 86_400_000 - n * WEEK_MS for n in range(4)] + [NOW_MS - 31 * 86_400_000]
    expired = [item_at(ms, number, notification_results=results) for ms in times for number in range(20)]
    kept = [item_at(NOW_MS - n, notification_results=results) for n in range(30)]
    file = write_lines(tmp_path / "items.ndjson", [item_line(item) for item in expired + kept])
    two_hosts.machines[0].run(settings, "load", str(file))
    purging = [machine.begin(settings | {"RETENTION_DAYS": "30"}, "purge") for machine in two_hosts.machines]
    deleted = [re.match(r"Deleted (\d+) items", each) for each in output_of(purging)]
    assert sum(int(each[1]) for each in deleted if each) == len(expired)
    with opened(settings["DATABASE_URL"]) as db:
        assert count_items(db) == len(kept)
    assert rows(settings["DATABASE_URL"], "SELECT count(*) FROM delivery") == [(len(kept),)]
