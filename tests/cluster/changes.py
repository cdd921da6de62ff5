"""A writer that records, replaces and deletes items, and what of that must be there afterwards, in every index."""

import random
from dataclasses import dataclass, field

from tests.cluster.traffic import WRITERS, Traffic
from tests.conftest import TENANT
from tests.delivery_rows import assert_every_delivery_is_right
from tests.http.helpers import ALARM, RUNS, item_at
from tests.records import all_items
from tests.recount import assert_counts_are_true
from tests.system.service import Client, Service, opened
from tests.system.test_kill import NOW_MS, Writer, pages, run_pages, text, verify

CHANGED = f"{ALARM}/chTwo"
"""Where items are changed: those of the other writers, in another check, stay as they are recorded."""
_DELETED = ""
_CHANGED_AGAIN = 0.7
"""The share of changes that concern an item that was changed before."""


@dataclass
class Changes(Traffic):
    """Traffic in which items are replaced and deleted, too."""

    states: dict[str, set[str]] = field(default_factory=dict)
    """As what each changed item may be there: what was answered last, and what was sent since without an answer."""


def change_item(changes: Changes, client: Client) -> None:
    """Record, replace or delete an item. Only one writer may do so: of two, nobody could say who was the last."""
    number = next(changes.number)
    known = list(changes.states)
    item_id = random.choice(known) if known and random.random() < _CHANGED_AGAIN else item_at(NOW_MS, number)["id"]
    before = changes.states.get(item_id, {_DELETED})
    if before != {_DELETED} and random.random() < 0.3:
        method, document, state, statuses = "DELETE", None, _DELETED, (204, 404)
    else:
        document = item_at(NOW_MS, number, notification_results=_results(number)) | {"id": item_id}
        method, state, statuses = "PUT", text(document), (200, 201)
    changes.states[item_id] = before | {state}
    response = changes.send(client, method, f"{CHANGED}/{item_id}", document, statuses)
    if response is not None:
        assert response.status_code in (200, 204) or _DELETED in before, response.text
        assert response.status_code != 201 or response.json() == document
        changes.states[item_id] = {state}


def _results(number: int) -> list[dict[str, object]]:
    attempts = [{"message": f"attempt {n} of {number}"} for n in range(random.randrange(3))]
    return [
        {"notification_id": f"nt{random.randrange(50)}", "success": random.random() < 0.7, "attempts": attempts}
        for _ in range(random.randrange(4))
    ]


CHANGERS: tuple[Writer, ...] = (change_item, *WRITERS)


def verify_all(service: Service, key: str, changes: Changes) -> None:
    """Assert that all that was answered is there, and nothing else, and that totals and deliveries are exact."""
    verify(service, key, changes)
    client = service.client(key)
    stored = {item["id"]: text(item) for item in pages(client, CHANGED)}
    assert stored.keys() <= changes.states.keys()
    lost = {item_id for item_id, states in changes.states.items() if stored.get(item_id, _DELETED) not in states}
    assert not lost
    assert client.get_json(f"{RUNS}?pageSize=1")["total"] == sum(1 for _ in run_pages(client))
    with opened(service.settings["DATABASE_URL"]) as db:
        assert_every_delivery_is_right(db, TENANT, all_items(db))
        assert_counts_are_true(db, TENANT)
