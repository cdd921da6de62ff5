"""Who writes with `If-Match` or `If-None-Match` overwrites nothing that he has not seen."""

import json
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from notifhist.store.database import Database
from tests.conftest import NOW_MS, MakeApp, authorized, every_row
from tests.http.helpers import (
    CHECK,
    JSON,
    RUNS,
    XML,
    assert_fault,
    assert_run_error,
    get_json,
    id_at,
    item_at,
    post,
    read_xml,
    run_of,
    send,
)

ITEM = f"{CHECK}/{id_at(NOW_MS)}"
ATTEMPTS = f"{ITEM}/notification_results/nt/attempts"
MONTH_MS = 31 * 24 * 3600 * 1000


class Kind(NamedTuple):
    """A document with a URL of its own: how it is made, and how a refused change of it is told."""

    url: str
    made: Callable[..., dict[str, Any]]
    assert_error: Callable[..., Any]
    error_type: str


def item_with(**members: Any) -> dict[str, Any]:
    return item_at(NOW_MS, notification_results=[{"notification_id": "nt"}], **members)


KINDS = {
    "item": Kind(ITEM, item_with, assert_fault, "preconditionFailed"),
    "run": Kind(f"{RUNS}/7", run_of, assert_run_error, "CONFLICT"),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def tag(client: FlaskClient, url: str, accept: str = JSON) -> str:
    return client.get(url, headers={"Accept": accept}).headers["ETag"]


def put(client: FlaskClient, kind: Kind, value: str = "new", **headers: str) -> TestResponse:
    return send(
        client,
        "PUT",
        kind.url,
        kind.made(summary=value) if kind.url.startswith(RUNS) else kind.made(status=value),
        **headers,
    )


def assert_refused(response: TestResponse, kind: Kind, db: Database, before: dict[str, list[str]]) -> None:
    kind.assert_error(response, 412, kind.error_type)
    assert every_row(db) == before


@pytest.mark.parametrize("accept", [JSON, XML, "text/xml"])
def test_a_change_of_what_was_seen_last_is_made(accept: str, kind: Kind, client: FlaskClient) -> None:
    put(client, kind, "old")
    assert put(client, kind, If_Match=tag(client, kind.url, accept)).status_code == 200
    assert put(client, kind, "newer", If_Match=f'"x", {tag(client, kind.url, accept)}').status_code == 200
    assert b"newer" in client.get(kind.url).data


@pytest.mark.parametrize("accept", [JSON, XML])
def test_a_change_of_what_somebody_has_changed_since_is_refused(
    accept: str, kind: Kind, client: FlaskClient, db: Database
) -> None:
    put(client, kind, "old")
    old = tag(client, kind.url, accept)
    put(client, kind, "somebody else's")
    before = every_row(db)
    for header in (old, f"{old}, {old}", '"old"', "old", "", ",", '"', "W/", '"*"', "*, *"):
        assert_refused(put(client, kind, If_Match=header), kind, db, before)


def test_the_tag_that_a_change_is_answered_with_allows_the_next_change(kind: Kind, client: FlaskClient) -> None:
    answered = put(client, kind, "0")
    for n in range(1, 4):
        answered = put(client, kind, str(n), If_Match=answered.headers["ETag"])
        assert answered.status_code == 200


def test_a_weak_tag_allows_no_change(kind: Kind, client: FlaskClient, db: Database) -> None:
    put(client, kind, "old")
    before = every_row(db)
    current = tag(client, kind.url)
    assert_refused(put(client, kind, If_Match=f"W/{current}"), kind, db, before)
    assert put(client, kind, If_Match=f'W/{current}, {current}, "x"').status_code == 200


def test_a_tag_without_quotes_is_taken(kind: Kind, client: FlaskClient) -> None:
    put(client, kind, "old")
    assert put(client, kind, If_Match=tag(client, kind.url).strip('"')).status_code == 200


def test_any_tag_is_one_of_what_exists_alone(kind: Kind, client: FlaskClient, db: Database) -> None:
    before = every_row(db)
    assert_refused(put(client, kind, If_Match="*"), kind, db, before)
    put(client, kind, "old")
    assert put(client, kind, If_Match=" * ").status_code == 200


def test_what_does_not_exist_has_no_tag(kind: Kind, client: FlaskClient, db: Database) -> None:
    before = every_row(db)
    assert_refused(put(client, kind, If_Match='"old"'), kind, db, before)


def test_what_exists_is_not_created(kind: Kind, client: FlaskClient, db: Database) -> None:
    assert put(client, kind, "old", If_None_Match="*").status_code == 201
    before = every_row(db)
    current, in_xml = tag(client, kind.url), tag(client, kind.url, XML)
    for header in ("*", current, in_xml, f'"x", W/{in_xml}'):
        assert_refused(put(client, kind, If_None_Match=header), kind, db, before)
    assert put(client, kind, If_None_Match='"old"').status_code == 200


def test_both_conditions_must_hold(kind: Kind, client: FlaskClient, db: Database) -> None:
    put(client, kind, "old")
    before = every_row(db)
    current = tag(client, kind.url)
    assert_refused(put(client, kind, If_Match=current, If_None_Match="*"), kind, db, before)
    assert_refused(put(client, kind, If_Match='"x"', If_None_Match='"x"'), kind, db, before)
    assert put(client, kind, If_Match=current, If_None_Match='"x"').status_code == 200


def test_a_refused_change_is_told_in_xml_too(kind: Kind, client: FlaskClient) -> None:
    error = read_xml(put(client, kind, If_Match="*", Accept=XML), 412)
    assert error.findtext("type") == kind.error_type
    assert error.findtext("httpStatus") in (None, "412")


def test_a_body_in_xml_is_refused_too(client: FlaskClient, db: Database) -> None:
    put(client, KINDS["item"], "old")
    before = every_row(db)
    body = "<alarm_notification_history_item><state>OK</state><notification_results/></alarm_notification_history_item>"
    response = client.put(ITEM, data=body, content_type=XML, headers={"If-Match": '"old"'})
    assert_refused(response, KINDS["item"], db, before)


def test_an_item_that_has_changed_is_neither_deleted_nor_added_to(client: FlaskClient, db: Database) -> None:
    item = KINDS["item"]
    put(client, item, "old")
    old = tag(client, ITEM)
    put(client, item)
    before = every_row(db)
    for headers in ({"If-Match": old}, {"If-Match": f"W/{tag(client, ITEM)}"}, {"If-None-Match": "*"}):
        assert_refused(client.delete(ITEM, headers=headers), item, db, before)
        assert_refused(client.post(ATTEMPTS, json={}, headers=headers), item, db, before)
    added = client.post(ATTEMPTS, json={}, headers={"If-Match": tag(client, ITEM, XML)})
    assert added.status_code == 201
    assert client.delete(ITEM, headers={"If-Match": added.headers["ETag"]}).status_code == 204
    assert client.get(ITEM).status_code == 404


def test_what_would_be_404_stays_404(client: FlaskClient) -> None:
    # RFC 9110, 13.2.1: conditions count only where the request would else succeed.
    for headers in ({"If-Match": "*"}, {"If-Match": '"old"'}, {"If-None-Match": "*"}):
        assert_fault(client.delete(ITEM, headers=headers), 404, "notFoundError")
        assert_fault(client.post(ATTEMPTS, json={}, headers=headers), 404, "parentNotFoundError")
    put(client, KINDS["item"])
    other = ATTEMPTS.replace("/nt/", "/other/")
    assert_fault(client.post(other, json={}, headers={"If-Match": '"old"'}), 404, "notFoundError")


def test_what_has_expired_does_not_exist(client: FlaskClient, make_app: MakeApp, key: str, db: Database) -> None:
    item = KINDS["item"]
    put(client, item, "old")
    seen = tag(client, ITEM)
    before = every_row(db)
    later = authorized(make_app(NOW=str(NOW_MS + MONTH_MS)), key)
    for header in ("*", seen):
        assert_refused(put(later, item, If_Match=header), item, db, before)
        assert_fault(later.delete(ITEM, headers={"If-Match": header}), 404, "notFoundError")
        assert_fault(later.post(ATTEMPTS, json={}, headers={"If-Match": header}), 404, "parentNotFoundError")
    assert every_row(db) == before
    assert put(later, item, If_None_Match="*").status_code < 300
    assert get_json(client, ITEM)["status"] == "new"


def test_reading_and_recording_take_no_notice(client: FlaskClient) -> None:
    post(client, CHECK, item_with(), If_None_Match="*", If_Match='"old"')
    post(client, RUNS, run_of(id=7), If_None_Match="*", If_Match='"old"')
    assert client.get(ITEM, headers={"If-Match": '"old"'}).status_code == 200


@pytest.mark.parametrize("header", ["*", '"x", {}', "W/{}", "{}, W/"])
def test_who_has_it_already_is_told_so(header: str, kind: Kind, client: FlaskClient) -> None:
    put(client, kind)
    headers = {"If-None-Match": header.format(tag(client, kind.url))}
    assert client.get(kind.url, headers=headers).status_code == 304
    assert client.get(kind.url, headers={**headers, "Accept": XML}).status_code == (304 if header == "*" else 200)


def test_of_many_who_change_the_same_each_sees_the_last_change(
    kind: Kind, app: Flask, key: str, client: FlaskClient
) -> None:
    put(client, kind, "0")
    member = "summary" if kind.url.startswith(RUNS) else "status"

    def add_five() -> None:
        own, done = authorized(app, key), 0
        while done < 5:
            seen = own.get(kind.url)
            value = str(int(json.loads(seen.data)[member]) + 1)
            done += put(own, kind, value, If_Match=seen.headers["ETag"]).status_code == 200
        app.extensions["notifhist"].db.close()

    in_threads(add_five)
    assert get_json(client, kind.url)[member] == "15"


def test_of_many_who_create_the_same_one_does(kind: Kind, app: Flask, key: str) -> None:
    statuses: list[int] = []

    def create() -> None:
        own = authorized(app, key)
        statuses.append(put(own, kind, If_None_Match="*").status_code)
        app.extensions["notifhist"].db.close()

    in_threads(create)
    assert sorted(statuses) == [201, 412, 412]


def in_threads(target: Callable[[], None]) -> None:
    """Run `target` three times at once."""
    threads = [threading.Thread(target=target) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
