"""Two hosts whose clocks differ by a minute: both go by the clock of their database server."""

import re
import time
from collections.abc import Iterator
from itertools import cycle

import pytest
import requests

from notifhist.store.keys import list_keys
from tests.cluster.hosts import Hosts, hosts, output_of, started
from tests.conftest import TENANT, store_key
from tests.http.helpers import ALARM, CHECK, RUNS, item_at, run_of
from tests.system.service import Client, Service, opened, wait_until

AHEAD_S, BEHIND_S = 45, -15
"""By how much one host is ahead of the database server, and the other behind it."""
CLOSE_S = 10
"""Differences that are less than this are of a busy machine."""
SOON_S = 5
DAY_S = 86_400


@pytest.fixture(scope="module")
def skewed() -> Iterator[Hosts]:
    with hosts() as made:
        made.node.initialize()
        made.machines[0].ahead_s, made.machines[1].ahead_s = AHEAD_S, BEHIND_S
        yield made


@pytest.fixture(scope="module")
def pair(skewed: Hosts) -> Iterator[list[Service]]:
    settings = {"DATABASE_URL": skewed.create_database(), "RETENTION_DAYS": "1"}
    with started([machine.service(settings) for machine in skewed.machines]) as services:
        yield services


@pytest.fixture
def clients(pair: list[Service]) -> list[Client]:
    key = pair[0].create_key()
    return [service.client(key) for service in pair]


def dated(answer: requests.Response) -> float:
    return time.mktime(time.strptime(answer.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone


def test_the_clocks_differ_and_each_host_says_so(pair: list[Service], clients: list[Client]) -> None:
    ahead, behind = (dated(client.get("/healthz")) for client in clients)
    assert abs(ahead - behind - 60) < CLOSE_S
    for service, seconds in zip(pair, (AHEAD_S, BEHIND_S), strict=True):
        assert service.ask(CHECK, service.create_key()).status_code == 200
        (told, *_) = re.findall(r"the database server's clock is ([+-][0-9.]+) s off", service.output())
        assert abs(float(told) + seconds) < CLOSE_S


def test_what_one_host_records_the_other_shows_at_once_and_in_order(clients: list[Client]) -> None:
    url, posted, begun = f"{ALARM}/inTurns", list[str](), time.time()
    for number, (client, other) in zip(range(8), cycle([clients, clients[::-1]]), strict=False):
        answer = client.post(url, {"state": "OK" if number % 2 else "CRITICAL", "notification_results": []})
        assert answer.status_code == 201
        posted.append(answer.json()["id"])
        for each in (other, client):
            wait_until(lambda: [item["id"] for item in each.get_json(url)["values"]] == posted, SOON_S)  # noqa: B023
            (entity,) = each.get_json("/v1.0/123456/views/latest_alarm_states")["values"]
            (state,) = [found for found in entity["latest_alarm_states"] if found["check_id"] == "inTurns"]
            assert state["state"] == answer.json()["state"]
        time.sleep(0.1)  # the server's time is known up to half of the time that its answer takes
    times = [item["timestamp"] / 1000 for item in clients[0].get_json(url)["values"]]
    assert all(begun - SOON_S < each < time.time() + SOON_S for each in times)
    for client in clients * 2:
        created = client.post(RUNS, run_of()).json()["id"]
        for each in clients:
            assert each.get_json(RUNS)["runs"][0]["id"] == created


def test_items_expire_on_both_hosts_at_once_and_no_purge_deletes_one_that_is_shown(
    skewed: Hosts, pair: list[Service], clients: list[Client]
) -> None:
    now_ms = time.time_ns() // 1_000_000
    ages_s = (DAY_S + 90, DAY_S + 30, DAY_S - 30, DAY_S - 90)
    url, items = f"{ALARM}/old", [item_at(now_ms - age_s * 1000) for age_s in ages_s]
    for item in items:
        assert clients[0].post(url, item).status_code == 201
    for commands in ([], [machine.begin(pair[0].settings, "purge") for machine in skewed.machines]):
        if commands:
            output_of(commands)
        for client in clients:
            assert client.get_json(f"{url}?from=0")["values"] == items[2:]
    with opened(pair[0].settings["DATABASE_URL"]) as db:
        query = "SELECT count(*) FROM history_item JOIN series ON series.id = series_id WHERE check_id = 'old'"
        assert db.execute_sql(query).fetchone() == (2,)


def test_keys_and_links_expire_on_both_hosts_at_once(skewed: Hosts, pair: list[Service], clients: list[Client]) -> None:
    settings, begun = pair[0].settings, time.time()
    key_id = pair[0].create_key().split("_")[1]
    create = ("keys", "create", "--tenant", TENANT, "--role", "monitoring:observer", "--expires", "1h")
    make_link = ("login-link", "--key-id", key_id)
    printed = output_of([m.begin(settings, *command) for command in (create, make_link) for m in skewed.machines])
    ended = time.time()
    created, links = [each.strip().split("_")[1] for each in printed[:2]], printed[2:]
    with opened(settings["DATABASE_URL"]) as db:
        expiries = [key.expires for key in list_keys(db) if key.id in created]
        assert all(begun - SOON_S < each / 1000 - 3600 < ended + SOON_S for each in expiries if each)
        lasting, gone = (store_key(db, expires=round((time.time() + left_s) * 1000)) for left_s in (25, -7))
    for service in pair:
        assert [service.ask(CHECK, key).status_code for key in (lasting, gone)] == [200, 401]
    for link, client in zip(links, clients[::-1], strict=True):
        signed_in = client.request("POST", "/ui/login", data={"once": link.strip().partition("once=")[2]})
        assert signed_in.status_code == 303
        for each in clients:
            assert each.get("/ui/", Cookie=signed_in.headers["Set-Cookie"].partition(";")[0]).status_code == 200
