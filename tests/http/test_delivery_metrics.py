"""Deliveries are counted in a metric when their items are recorded for the first time; a body has few results."""

from flask.testing import FlaskClient

from notifhist.metrics import MOST_TYPES
from notifhist.schemas.document import Document
from notifhist.serializers.bodies import LIMITS
from notifhist.store.deliveries.derive import MAX_RESULTS
from tests.conftest import NOW_MS
from tests.http.helpers import CHECK, assert_fault, item_at, post, send

SENT = {"notification_id": "nt", "notification_type": "email", "success": True}
FAILED = {"notification_type": "sms", "success": False}


def counted(client: FlaskClient) -> dict[str, float]:
    """Return the counts of deliveries, by their labels."""
    lines = [
        line for line in client.get("/metrics").text.splitlines() if line.startswith("notifhist_deliveries_total{")
    ]
    return {labels: float(value) for labels, value in (line.rsplit(" ", 1) for line in lines)}


def label(outcome: str, notification_type: str) -> str:
    return f'notifhist_deliveries_total{{outcome="{outcome}",type="{notification_type}"}}'


def test_only_new_items_count(client: FlaskClient) -> None:
    item = item_at(NOW_MS, notification_results=[SENT, FAILED, FAILED, {}])
    post(client, CHECK, item)
    post(client, CHECK, item, 200)
    send(client, "PUT", f"{CHECK}/{item['id']}", {**item, "notification_results": []})
    other = item_at(NOW_MS - 1, notification_results=[])
    send(client, "PUT", f"{CHECK}/{other['id']}", other)
    post(client, CHECK, {"values": [{**item, "notification_results": []}, other]}, 200)
    assert counted(client) == {
        label("sent", "email"): 1,
        label("failed", "sms"): 2,
        label("unknown", "none"): 1,
        label("not_sent", "none"): 1,
    }


def test_types_beyond_the_first_ones_count_together(client: FlaskClient) -> None:
    results = [{"notification_type": f"type-{n}", "success": True} for n in range(MOST_TYPES + 2)]
    post(client, CHECK, item_at(NOW_MS, notification_results=results))
    numbers = counted(client)
    assert len(numbers) == MOST_TYPES + 1
    assert numbers[label("sent", "other")] == 2


def test_a_body_has_so_many_results_at_most(client: FlaskClient) -> None:
    records, whole = int(LIMITS.records), int(LIMITS.records) // MAX_RESULTS
    results: list[Document] = [{} for _ in range(MAX_RESULTS)]
    items = [item_at(NOW_MS - n, notification_results=results) for n in range(whole + 1)]
    fault = assert_fault(client.post(CHECK, json={"values": items}), 400, "badRequest")
    assert str(records) in fault["details"]
    assert client.get(f"{CHECK}?from=0").json == {
        "values": [],
        "metadata": {"count": 0, "limit": 50, "marker": None, "next_marker": None, "next_href": None},
    }
    too_many = item_at(NOW_MS, notification_results=[{}, *results])
    assert_fault(client.put(f"{CHECK}/{too_many['id']}", json=too_many), 400, "badRequest")
    post(client, CHECK, {"values": items[:whole]})
