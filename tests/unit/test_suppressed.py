"""Which deliveries were held back on purpose, of items stored in any way."""

from collections.abc import Callable

from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.query import CheckPath
from notifhist.serializers.stored import documents_of
from notifhist.store.database import Database
from notifhist.store.deliveries.reading import list_deliveries
from notifhist.store.deliveries.suppressed import find_suppressed
from tests.conftest import NOW_MS, TENANT
from tests.http.helpers import item_at
from tests.records import record_items


def test_the_first_delivery_of_a_suppressed_item_is_found(db: Database, settle: Callable[[], None]) -> None:
    result = {"notification_id": "nt", "success": True}
    items = [
        item_at(NOW_MS - 1000, suppressions=["spOne"], notification_results=[result, result]),
        item_at(NOW_MS - 2000, suppressions=["spOne"]),
        item_at(NOW_MS - 3000),
        item_at(NOW_MS - 4000, notification_results=[result]),
    ]
    record_items(db, CheckPath(TENANT, "en", "al", "ch"), items)
    settle()
    found = list(documents_of(list_deliveries(db, DeliveriesQuery(TENANT, 0, NOW_MS, reverse=True), None).deliveries))
    suppressed = find_suppressed(db, TENANT, [each["id"] for each in found])
    assert [(each.get("position"), each["id"] in suppressed) for each in found] == [
        (1, False),
        (0, True),
        (None, True),
        (None, False),
        (0, False),
    ]
    assert find_suppressed(db, "nobody", [found[0]["id"]]) == set()
