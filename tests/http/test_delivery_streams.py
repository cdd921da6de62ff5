"""Deliveries that are taken away whole: a row for each attempt, and what happens while they are sent."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.query import CheckPath
from notifhist.serializers.lines import documents_in
from notifhist.store.database import Database
from notifhist.store.deliveries.attempts import read_attempts
from notifhist.store.history.recording import delete_item, replace_item
from notifhist.web.streams import BrokenStream
from tests.conftest import NOW_MS, TENANT
from tests.http.delivery_data import (
    ATTEMPT_MEMBERS,
    DAY,
    DELIVERIES,
    MEMBERS,
    Delivery,
    cells_of,
    check_of,
    listed,
    read_ndjson,
    seed,
    taken,
)
from tests.http.helpers import assert_fault, item_at, post


def test_a_row_for_each_attempt(client: FlaskClient) -> None:
    tried = [{"message": "refused", "from": "ele"}, {"from": "mzlon"}, {"message": "sent"}]
    results: list[Any] = [{"attempts": tried, "success": True}, {"attempts": []}, {"attempts": tried[:1]}, {}]
    post(client, check_of(), item_at(NOW_MS, notification_results=results))
    post(client, check_of(check="chTwo"), item_at(NOW_MS + 1 - 2, status="nobody to tell"))
    deliveries = listed(client)
    expected = []
    for delivery in deliveries:
        attempts = results[delivery["position"]].get("attempts", []) if "position" in delivery else []
        for n, attempt in enumerate(attempts, start=1):
            told = {f"attempt_{name}": value for name, value in attempt.items()}
            expected.append({**delivery, "attempt": n, **told})
        if not attempts:
            expected.append(delivery)
    assert len(expected) == 7
    assert taken(client, "ndjson", "rows=attempts") == expected
    assert taken(client, "csv", "rows=attempts") == [cells_of(each, (*MEMBERS, *ATTEMPT_MEMBERS)) for each in expected]
    assert taken(client, "ndjson", "rows=deliveries") == taken(client, "ndjson") == deliveries
    limited = taken(client, "ndjson", "rows=attempts&limit=2&outcome=sent,unknown")
    assert len({each["id"] for each in limited}) == 2, "the limit is of deliveries"


def test_an_attempt_that_was_added_later_has_its_row(client: FlaskClient) -> None:
    post(client, check_of(), item_at(NOW_MS, notification_results=[{"notification_id": "nt"}]))
    (delivery,) = taken(client, "ndjson", "rows=attempts")
    assert "attempt" not in delivery
    for n in (1, 2):
        url = f"{check_of()}/{delivery['item_id']}/notification_results/nt/attempts"
        post(client, url, {"message": f"try {n}"})
        rows = taken(client, "csv", "rows=attempts")
        assert [(row["attempts"], row["attempt"], row["attempt_message"]) for row in rows] == [
            (str(n), str(each), f"try {each}") for each in range(1, n + 1)
        ]


def test_rows_do_not_matter_to_pages(client: FlaskClient) -> None:
    seed(client)
    for word in ("json", "xml"):
        one, other = (client.get(f"{DELIVERIES}?format={word}&limit=1000{more}") for more in ("", "&rows=attempts"))
        assert one.data == other.data


def test_what_arrives_changes_and_goes_between_two_pieces(client: FlaskClient) -> None:
    results = [{"notification_id": "nt", "attempts": [{"message": "first"}]}]
    items = [item_at(NOW_MS - DAY + n, n, notification_results=results) for n in range(250)]
    post(client, check_of(), {"values": items})
    before = listed(client)
    response: Any = client.get(f"{DELIVERIES}?format=ndjson&rows=attempts", buffered=False)
    pieces = iter(response.response)
    first = read_ndjson(next(pieces))
    seen = len({each["id"] for each in first})
    gone, changed, last = items[seen + 3]["id"], items[seen + 5]["id"], items[-1]["timestamp"]
    assert client.delete(f"{check_of()}/{gone}").status_code == 204
    post(client, f"{check_of()}/{changed}/notification_results/nt/attempts", {"message": "second"})
    post(client, check_of(), item_at(last + 1, 999, status="new"))
    post(client, check_of(), item_at(items[0]["timestamp"] - 1, 999, status="behind"))
    found = [*first, *(each for piece in pieces for each in read_ndjson(piece))]
    assert [each["id"] for each in found if each["attempts"] < 2 and each.get("status") != "new"] == [
        each["id"] for each in before if each["item_id"] not in (gone, changed)
    ]
    assert [each["attempt_message"] for each in found if each["item_id"] == changed] == ["first", "second"]
    assert found[-1]["status"] == "new"


def test_what_fails_midway_breaks_the_stream_off(client: FlaskClient, app: Flask, db: Database) -> None:
    post(client, check_of(), {"values": [item_at(NOW_MS - n, n) for n in range(1200)]})
    for query in ("format=csv", "format=ndjson", "format=csv&rows=attempts"):
        response: Any = client.get(f"{DELIVERIES}?{query}", buffered=False)
        assert response.status_code == 200
        pieces = iter(response.response)
        next(pieces)
        db.execute_sql("ALTER TABLE delivery RENAME TO delivery_gone")
        try:
            with pytest.raises(BrokenStream):
                list(pieces)
            assert_fault(client.get(f"{DELIVERIES}?{query}"), 503, "systemFailureError")
        finally:
            db.execute_sql("ALTER TABLE delivery_gone RENAME TO delivery")
        response.close()
        assert app.extensions["notifhist"].db.is_closed() or not app.extensions["notifhist"].db.in_transaction()
        assert client.get(f"{DELIVERIES}?{query}").status_code == 200


def test_head_is_get_without_a_body(client: FlaskClient) -> None:
    seed(client)
    for word in ("csv", "ndjson"):
        got, head = (client.open(f"{DELIVERIES}?format={word}", method=method) for method in ("GET", "HEAD"))
        assert (head.status_code, head.data) == (200, b"")
        for name in ("Content-Type", "Content-Disposition", "Vary"):
            assert head.headers[name] == got.headers[name]


CHECK = CheckPath(TENANT, "enOne", "alOne", "chOne")
TRIED = [{"notification_id": "nt", "attempts": [{"message": "first"}, {"message": "second"}]}]


@pytest.mark.parametrize(
    ("results", "attempts"),
    [(None, []), ([], []), ([{}], []), ([{"attempts": [{"message": "x"}]}], ["x"])],
    ids=["deleted", "without results", "without attempts", "with other attempts"],
)
def test_a_delivery_whose_item_changes_before_it_is_read_keeps_its_row(
    client: FlaskClient, db: Database, results: list[Any] | None, attempts: list[str]
) -> None:
    item = item_at(NOW_MS, notification_results=TRIED)
    post(client, check_of(), item)
    (delivery,) = listed(client)
    asked: list[None] = []

    def connected() -> Database:
        asked.append(None)
        if len(asked) == 2:  # the deliveries have been read, their items have not
            if results is None:
                delete_item(db, CHECK, item["id"], None)
            else:
                replace_item(db, CHECK, {**item, "notification_results": results}, 0)
        return db

    found: list[Delivery] = []
    for lines in read_attempts(DeliveriesQuery(TENANT, 0, NOW_MS), None, connected):
        found += documents_in(lines)
    expected = [{**delivery, "attempt": n, "attempt_message": text} for n, text in enumerate(attempts, start=1)]
    assert found == (expected or [delivery])
