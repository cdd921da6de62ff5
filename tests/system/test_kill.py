"""What was answered survives: the whole service is killed, or its database, while writers are writing."""

import json
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
import requests

from tests.http.helpers import CHECK, RUNS, item_at, run_of
from tests.system.conftest import MakeService
from tests.system.postgres import Postgres
from tests.system.service import Client, Service, wait_until

pytestmark = pytest.mark.long

ROUNDS = 10
WRITES_OF_A_ROUND = 40
NOW_MS = time.time_ns() // 1_000_000
RESULT = {"notification_id": "ntOne", "attempts": [{"message": "sent"}]}
UNLIMITED = {"HISTORY_RATE_LIMIT": "", "RUNS_RATE_LIMIT": ""}

Document = dict[str, Any]


def text(document: Document) -> str:
    """Return a document such that equal texts are equal documents, the order of members included."""
    return json.dumps(document)


@dataclass
class Ledger:
    """What was sent, and what of it was answered; documents as texts."""

    number: Iterator[int] = field(default_factory=count)
    items: dict[str, str] = field(default_factory=dict)
    answered_items: set[str] = field(default_factory=set)
    containers: list[tuple[str, ...]] = field(default_factory=list)
    attempts: dict[str, list[str]] = field(default_factory=dict)
    answered_attempts: set[str] = field(default_factory=set)
    bundles: list[tuple[str, ...]] = field(default_factory=list)
    answered_runs: dict[str, str] = field(default_factory=dict)
    writes: int = 0
    refused: int = 0
    outage: threading.Event = field(default_factory=threading.Event)
    """Set as long as writers may go without an answer, or be refused."""

    def post(self, client: Client, path: str, document: object) -> Any:
        """Return the answer to what is recorded, None if it is refused. Raises what the connection raises."""
        response = self.send(client, "POST", path, document, (201,))
        return None if response is None else response.json()

    def send(
        self, client: Client, method: str, path: str, document: object, statuses: tuple[int, ...]
    ) -> requests.Response | None:
        """Return the answer to a write, which has one of these statuses; None if it is refused."""
        try:
            response = client.request(method, path, json=document)
        except requests.RequestException:
            assert self.outage.is_set()
            raise
        if response.status_code == 503:
            assert self.outage.is_set()
            self.refused += 1
            time.sleep(0.05)
            return None
        assert response.status_code in statuses, response.text
        self.writes += 1
        return response

    def new_item(self, **members: Any) -> Document:
        """Return an item to send."""
        item = item_at(NOW_MS, next(self.number), **members)
        self.items[item["id"]] = text(item)
        return item


def post_item(ledger: Ledger, client: Client) -> None:
    item = ledger.new_item(status="x" * random.randrange(2000), notification_results=[RESULT])
    if (answer := ledger.post(client, CHECK, item)) is not None:
        assert answer == item
        ledger.answered_items.add(item["id"])


def post_container(ledger: Ledger, client: Client) -> None:
    items = [
        ledger.new_item(status="of a container", notification_results=[RESULT]) for _ in range(random.randrange(2, 30))
    ]
    ids = tuple(item["id"] for item in items)
    ledger.containers.append(ids)
    if (answer := ledger.post(client, CHECK, {"values": items, "metadata": {}})) is not None:
        assert answer["values"] == items
        ledger.answered_items.update(ids)


def post_attempt(ledger: Ledger, client: Client) -> None:
    if not ledger.attempts or random.random() < 0.1:
        item = ledger.new_item(notification_results=[{"notification_id": "ntOne", "attempts": []}])
        if ledger.post(client, CHECK, item) is None:
            return
        ledger.answered_items.add(item["id"])
        ledger.attempts[item["id"]] = []
    item_id = random.choice(list(ledger.attempts))
    message = f"attempt {next(ledger.number)}"
    ledger.attempts[item_id].append(message)
    url = f"{CHECK}/{item_id}/notification_results/ntOne/attempts"
    if (answer := ledger.post(client, url, {"message": message})) is not None:
        assert answer["notification_results"][0]["attempts"][-1] == {"message": message}
        ledger.answered_attempts.add(message)


def post_runs(ledger: Ledger, client: Client) -> None:
    summaries = tuple(f"run {next(ledger.number)}" for _ in range(random.choice((1, 50))))
    ledger.bundles.append(summaries)
    runs = [run_of(summary=summary) for summary in summaries]
    if (answer := ledger.post(client, RUNS, {"runs": runs} if len(runs) > 1 else runs[0])) is not None:
        for run in answer["runs"] if len(runs) > 1 else [answer]:
            ledger.answered_runs[run["summary"]] = text(run)


Writer = Callable[[Any, Client], None]
"""Writes once, and notes it in its ledger, which may be of a kind of its own."""
WRITERS: tuple[Writer, ...] = (post_item, post_container, post_attempt, post_runs)


@contextmanager
def writing(service: Service, key: str, ledger: Ledger, writers: Sequence[Writer] = WRITERS) -> Iterator[None]:
    """Have writers write, each until the connection is gone, from before the block to after it."""
    stop = threading.Event()

    def write(writer: Writer) -> None:
        client = Client(service.url, key)
        with client.session:
            while not stop.is_set():
                try:
                    writer(ledger, client)
                except requests.RequestException:
                    return

    with ThreadPoolExecutor(len(writers)) as pool:
        jobs = [pool.submit(write, writer) for writer in writers]
        try:
            goal = ledger.writes + WRITES_OF_A_ROUND
            wait_until(lambda: ledger.writes >= goal or any(job.done() for job in jobs))
            assert not any(job.done() for job in jobs), [job.exception() for job in jobs if job.done()]
            time.sleep(random.uniform(0, 0.1))  # so that each round ends at another moment
            yield
        finally:
            stop.set()
        for job in jobs:
            job.result()


def verify(service: Service, key: str, ledger: Ledger) -> None:
    """Assert that all that was answered is there, and nothing that was not sent, nor parts of anything."""
    client = service.client(key)
    stored = list(pages(client))
    items = {item["id"]: item for item in stored}
    assert len(items) == len(stored)
    assert not ledger.answered_items - items.keys()
    for ids in ledger.containers:
        assert sum(item_id in items for item_id in ids) in (0, len(ids))
    attempts: Counter[str] = Counter()
    for item_id, item in items.items():
        if item_id in ledger.attempts:
            messages = [attempt["message"] for attempt in item["notification_results"][0].pop("attempts")]
            assert messages == [message for message in ledger.attempts[item_id] if message in messages]
            attempts.update(messages)
            item["notification_results"][0]["attempts"] = []
        assert text(item) == ledger.items[item_id]
    assert not ledger.answered_attempts - attempts.keys()
    assert set(attempts.values()) == {1}
    runs = list(run_pages(client))
    by_summary = {run["summary"]: text(run) for run in runs}
    assert len(by_summary) == len(runs) == len({run["id"] for run in runs})
    assert by_summary.items() >= ledger.answered_runs.items()
    for summaries in ledger.bundles:
        assert sum(summary in by_summary for summary in summaries) in (0, len(summaries))
    assert by_summary.keys() <= {summary for summaries in ledger.bundles for summary in summaries}


def pages(client: Client, check: str = CHECK) -> Iterator[Document]:
    marker = ""
    while marker is not None:
        page = client.get_json(f"{check}?limit=1000{marker and f'&marker={marker}'}")
        yield from page["values"]
        marker = page["metadata"]["next_marker"]


def run_pages(client: Client) -> Iterator[Document]:
    for number in count():
        page = client.get_json(f"{RUNS}?pageSize=1000&orderBy=ASC&page={number}")
        yield from page["runs"]
        if number + 1 >= page["totalPages"]:
            return


def check_file(url: str) -> None:
    """Assert that a SQLite database is sound, the service running on it or not."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_what_was_answered_survives_the_death_of_the_service(database_url: str, make_service: MakeService) -> None:
    service, ledger = make_service(database_url, **UNLIMITED), Ledger()
    key = service.create_key()
    for _ in range(ROUNDS):
        ledger.outage.clear()
        service.start()
        check_file(database_url)
        with writing(service, key, ledger):
            ledger.outage.set()
            service.kill()
    service.start()
    check_file(database_url)
    assert ledger.writes >= ROUNDS * WRITES_OF_A_ROUND
    verify(service, key, ledger)


@pytest.mark.parametrize("service_dies", [False, True], ids=["alone", "with the service"])
def test_what_was_answered_survives_a_crash_of_postgresql(
    own_postgres: Postgres, make_service: MakeService, service_dies: bool
) -> None:
    service, ledger = make_service(own_postgres.create_database(), **UNLIMITED).start(), Ledger()
    key = service.create_key()
    with writing(service, key, ledger):
        ledger.outage.set()
        own_postgres.stop("immediate")
        if service_dies:
            service.kill()
        else:
            wait_until(lambda: ledger.refused >= len(WRITERS))
        own_postgres.start()
        if not service_dies:
            wait_until(service.is_ready)
            goal = ledger.writes + WRITES_OF_A_ROUND
            wait_until(lambda: ledger.writes >= goal)
    if service_dies:
        service.start()
    verify(service, key, ledger)
