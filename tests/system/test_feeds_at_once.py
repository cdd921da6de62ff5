"""Grafana writes each attempt by itself, and those of one notification at once: none may be lost."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cramjam

from tests.conftest import TENANT
from tests.feed_pushes import alert_line, event_line, in_protobuf, push_of
from tests.system.conftest import MakeService
from tests.system.service import Client, create_key

CONNECTIONS, PUSHES = 8, 200
FEED = f"/v1.0/{TENANT}/feeds/grafana/loki/api/v1/push"
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
HISTORY = f"/v1.0/{TENANT}/entities/db3/alarms/DiskWillFill/notification_history"


def body_of(number: int) -> bytes:
    """Return the push of an attempt of one of two integrations, which all are about one notification."""
    kind, uuid = ("slack", "email")[number % 2], f"attempt-{number}"
    event = event_line(uuid=uuid, integration=kind, integrationIdx=number % 2, error="refused" if number % 3 else "")
    return bytes(cramjam.snappy.compress_raw(in_protobuf(push_of(event, alert_line(0, uuid=uuid)))))


def test_no_attempt_is_lost(database_url: str, make_service: MakeService) -> None:
    service = make_service(database_url).start()
    key = create_key(database_url)
    clients = [service.client(key) for _ in range(CONNECTIONS)]

    def push(client: Client, numbers: range) -> list[Any]:
        answers = [client.request("POST", FEED, data=body_of(number), headers=HEADERS) for number in numbers]
        return [(answer.status_code, answer.json()) for answer in answers]

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        shares = [range(first, PUSHES, CONNECTIONS) for first in range(CONNECTIONS)]
        answers = [answer for some in threads.map(push, clients, shares) for answer in some]
    assert {status for status, _ in answers} == {200}
    assert sum(told["created"] for _, told in answers) == 1
    assert sum(told["merged"] for _, told in answers) == PUSHES - 1
    (check,) = clients[0].get_json(HISTORY)["check_ids"]
    (item,) = clients[0].get_json(f"{HISTORY}/{check}?from=0&to=4102444800000")["values"]
    uuids = [attempt["uuid"] for result in item["notification_results"] for attempt in result["attempts"]]
    assert sorted(uuids) == sorted(f"attempt-{number}" for number in range(PUSHES))
