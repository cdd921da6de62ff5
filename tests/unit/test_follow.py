"""Following a file of payloads: what the service has not taken is sent again, and nothing is lost."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from notifhist.feeds.feed import Feed
from notifhist.feeds.table import feed_of
from notifhist.run.sending import Answer
from notifhist.transfer.follow import Follower
from tests.feed_items import NOTIFICATION, WEBHOOK, event_of

BODY = NOTIFICATION["data"]["notification"]
EVENTS, WEBHOOKS = feed_of("alertmanager-events"), feed_of("alertmanager")


def event(second: int) -> dict[str, Any]:
    return event_of("notification", BODY, f"2011-11-10T00:59:{second:02}Z")


class Service:
    """The service, which answers something else first."""

    def __init__(self, client: FlaskClient | None = None, instead: Sequence[int] = ()) -> None:
        self.client, self.instead = client, list(instead)
        self.bodies: list[Any] = []

    def put(self, body: bytes) -> Answer:
        self.bodies.append(json.loads(body))
        if self.instead:
            return Answer(self.instead.pop(0), "instead")
        if self.client is None:
            return Answer(200, "ok")
        answer = self.client.put("/feeds/alertmanager-events", data=body, content_type="application/json")
        return Answer(answer.status_code, answer.text)


class Log:
    """A file of payloads, and those who follow it one after the other."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "events.jsonl"
        self.told: list[str] = []
        self.waits: list[float] = []

    def append(self, *payloads: Any) -> None:
        with self.path.open("a") as file:
            file.writelines(each if isinstance(each, str) else f"{json.dumps(each)}\n" for each in payloads)

    def follow(self, service: Service, feed: Feed = EVENTS, pauses: int = 0, once: bool = True) -> Follower:
        """Send what is there; `pauses`: how often one may wait."""

        def pause(seconds: float) -> bool:
            self.waits.append(seconds)
            return len(self.waits) <= pauses

        position = self.path.with_name("position")
        follower = Follower(feed, self.path, position, service.put, pause, self.told.append)
        follower.follow(once=once)
        return follower


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_what_is_appended_becomes_items_once(log: Log, client: FlaskClient) -> None:
    service = Service(client)
    log.append(*(event(n) for n in range(5)))
    assert log.follow(service).sent == 5
    assert log.follow(service).sent == 0
    log.append(event(5))
    log.path.rename(log.path.with_name("events.jsonl.1"))
    log.append(event(6))
    assert log.follow(service).sent == 2
    assert client.get("/deliveries").get_json()["metadata"]["total"] == 7
    assert log.told == []


def test_many_events_are_sent_together_as_far_as_the_feed_takes_lists(log: Log) -> None:
    service = Service()
    log.append(*(event(n % 60) for n in range(150)))
    log.follow(service)
    assert [len(body) for body in service.bodies] == [100, 50]


def test_so_many_bytes_are_sent_together_that_no_item_is_too_many(log: Log, client: FlaskClient) -> None:
    alerts = [
        {"details": {"fingerprint": str(n), "labels": {"alertname": "a", "node": f"n{n}"}}} for n in range(1, 201)
    ]
    for each in alerts:
        each["details"]["startsAt"] = each["details"]["endsAt"] = "2011-11-10T00:59:00.123Z"
    events = [event_of("notification", {**BODY, "alerts": alerts}, f"2011-11-10T00:59:{n:02}Z") for n in range(12)]
    log.append(*events)
    assert log.follow(Service(client)).sent == 12
    assert client.get("/deliveries").get_json()["metadata"]["total"] == 12 * 200


def test_other_payloads_are_sent_one_by_one(log: Log) -> None:
    service = Service()
    log.append(WEBHOOK, WEBHOOK)
    log.follow(service, WEBHOOKS)
    assert service.bodies == [WEBHOOK, WEBHOOK]


def test_it_waits_longer_and_longer_while_the_service_is_away(log: Log, client: FlaskClient) -> None:
    service = Service(client, [0, 503, 429, 401, 404, 500, 0])
    log.append(event(1), event(2))
    assert log.follow(service, pauses=7).sent == 2
    assert log.waits == [1, 2, 4, 8, 16, 30, 30]
    assert client.get("/deliveries").get_json()["metadata"]["total"] == 2


def test_what_was_not_taken_is_sent_by_the_next_process(log: Log) -> None:
    service = Service(instead=[0] * 3)
    log.append(event(1))
    assert log.follow(service, pauses=2).sent == 0
    assert log.follow(service).sent == 1


def test_a_kill_before_the_position_is_kept_doubles_nothing(log: Log, client: FlaskClient) -> None:
    log.append(event(1), event(2))
    log.follow(Service(client))
    log.path.with_name("position").unlink()
    assert log.follow(Service(client)).sent == 2
    assert client.get("/deliveries").get_json()["metadata"]["total"] == 2


def test_what_the_service_never_takes_is_told_and_left_out(log: Log) -> None:
    service = Service(instead=[400, 200, 413])
    log.append(event(1), event(2), event(3))
    assert log.follow(service).sent == 2
    assert [isinstance(body, list) for body in service.bodies] == [True, False, False, False]
    assert len(log.told) == 1
    assert "does not take" in log.told[0]


def test_what_is_no_json_is_told_and_left_out(log: Log) -> None:
    log.append(event(1), "{\n", event(2))
    assert log.follow(Service()).sent == 2
    assert ["is no JSON" in each for each in log.told] == [True]


def test_a_file_that_is_not_there_yet_is_waited_for(log: Log) -> None:
    log.follow(Service(), pauses=2, once=False)
    assert log.waits == [1, 1, 1]


def test_a_position_that_is_none_is_told(log: Log) -> None:
    log.path.with_name("position").write_text("[]")
    with pytest.raises(ValueError, match="holds no position"):
        log.follow(Service())
