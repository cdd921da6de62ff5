"""Somebody else holds a lock in PostgreSQL: writers are refused in time, and who reads does not wait for them."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from lxml import etree

from tests.cluster.nodes import Cluster
from tests.conftest import TENANT
from tests.http.helpers import CHECK, FAULT_MEMBERS, RUN_ERROR_MEMBERS, RUNS, XML, item_at, run_of
from tests.system.conftest import MakeService
from tests.system.service import Client, wait_until
from tests.system.test_operations import samples
from tests.system.test_outages import NOW_MS, assert_unavailable

TIMEOUT_S = 3
REFUSED = ("notifhist_database_given_up_total", "limit")
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type = 'client backend'"
FIRST = item_at(NOW_MS, notification_results=[{"notification_id": "ntOne", "attempts": []}])
ATTEMPTS = f"{CHECK}/{FIRST['id']}/notification_results/ntOne/attempts"

LOCKS: dict[str, tuple[str, str, Callable[[int], dict[str, Any]], list[str]]] = {
    "a table": ("LOCK TABLE history_item IN EXCLUSIVE MODE", CHECK, lambda n: item_at(NOW_MS, n), FAULT_MEMBERS),
    "a row": ("SELECT FROM history_item FOR UPDATE", ATTEMPTS, lambda n: {"message": f"{n}"}, FAULT_MEMBERS),
    "the tenant": (
        f"SELECT pg_advisory_xact_lock(1852798057, hashtext('{TENANT}'))",
        RUNS,
        lambda n: run_of(),
        RUN_ERROR_MEMBERS,
    ),
}
"""What is locked, and how; what then waits, with its n-th document and the members of a refusal."""


@pytest.mark.parametrize(("name", "threads"), [("a table", 2), ("a row", 1), ("the tenant", 2)])
def test_readers_are_answered_while_all_threads_wait_for_a_lock(
    name: str, threads: int, own_cluster: Cluster, make_service: MakeService
) -> None:
    lock, path, document, members = LOCKS[name]
    url = own_cluster.create_database()
    service = make_service(url, "--threads", str(threads), STATEMENT_TIMEOUT_S=str(TIMEOUT_S)).start()
    key = service.create_key()
    assert service.ask(CHECK, key, "POST", json=FIRST).status_code == 201
    writers, readers = (service.clients_of_each_worker(key, each=threads) for _ in range(2))
    for n, client in enumerate(writers, start=1):
        client.session.headers["Accept"] = XML if n % 2 else "application/json"

    def post(client: Client, n: int) -> None:
        refused = assert_unavailable(client.post(path, document(n)))
        is_xml = client.session.headers["Accept"] == XML
        named = [each.tag for each in etree.fromstring(refused.content)] if is_xml else list(refused.json())
        assert named == members

    with psycopg.connect(url) as holder, ThreadPoolExecutor(len(writers)) as pool:
        holder.execute(lock.encode())
        answers = [pool.submit(post, client, n) for n, client in enumerate(writers, start=1)]
        wait_until(lambda: own_cluster.primary.execute(WAITING) == [(len(writers),)])  # so many threads there are
        for client in readers:
            for asked in (CHECK, RUNS, "/healthz", "/readyz", "/metrics"):
                assert client.get(asked).status_code == 200
        assert own_cluster.primary.execute(WAITING) == [(len(writers),)]
        for answer in answers:
            answer.result()
        assert samples(readers[0])[REFUSED] == len(writers)
    assert own_cluster.primary.execute(WAITING) == [(0,)]
    for n, client in enumerate(writers, start=1):
        assert client.post(path, document(n)).status_code == 201
    assert len(readers[0].get_json(CHECK)["values"]) == (len(writers) + 1 if path == CHECK else 1)


def test_readers_are_answered_while_writers_keep_coming(own_cluster: Cluster, make_service: MakeService) -> None:
    url = own_cluster.create_database()
    service = make_service(url, STATEMENT_TIMEOUT_S=str(TIMEOUT_S)).start()
    key, stop = service.create_key(), threading.Event()
    written, read = Counter[int](), Counter[tuple[str, int]]()
    writers, readers = service.clients_of_each_worker(key, each=8), service.clients_of_each_worker(key, each=1)

    def write(client: Client) -> None:
        while not stop.is_set():
            written[client.post(RUNS, run_of()).status_code] += 1

    with psycopg.connect(url) as holder, ThreadPoolExecutor(len(writers)) as pool:
        holder.execute(LOCKS["the tenant"][0].encode())
        jobs = [pool.submit(write, client) for client in writers]
        wait_until(lambda: own_cluster.primary.execute(WAITING) == [(len(writers) // 4,)])  # so many threads there are
        until = time.monotonic() + TIMEOUT_S + 1
        while time.monotonic() < until:
            for client in readers:
                for asked in (CHECK, RUNS, "/healthz", "/readyz"):
                    read[asked, client.get(asked).status_code] += 1
        stop.set()
        for job in jobs:
            job.result()
    assert set(written) == {503}
    assert {status for _, status in read} == {200}
