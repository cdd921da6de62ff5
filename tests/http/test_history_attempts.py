import json
import threading
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import NOW_MS, authorized
from tests.http.helpers import CHECK, XML, assert_fault, get_json, id_at, item_at, post, read_xml, send, text

ID = id_at(NOW_MS)
URL = f"{CHECK}/{ID}"


def test_an_attempt_is_added_behind_the_others(client: FlaskClient) -> None:
    results = [{"notification_id": "nt 1", "attempts": [{"from": "a"}]}, {"notification_id": "ntTwo", "z": 1}]
    post(client, CHECK, item_at(NOW_MS, notification_results=results))
    for number, name in enumerate(["nt%201", "ntTwo", "ntTwo"]):
        url = f"{URL}/notification_results/{name}/attempts"
        response = post(client, url, {"message": str(number), "extra": [None], "from": "b"})
        assert text(response) == text(client.get(URL))
    added = [{"message": str(number), "extra": [None], "from": "b"} for number in range(3)]
    assert json.loads(response.data)["notification_results"] == [
        {"notification_id": "nt 1", "attempts": [{"from": "a"}, added[0]]},
        {"notification_id": "ntTwo", "z": 1, "attempts": added[1:]},
    ]


def test_an_attempt_in_xml_is_answered_with_the_item(client: FlaskClient) -> None:
    post(client, CHECK, item_at(NOW_MS, notification_results=[{"notification_id": "ntOne"}]))
    response = client.post(
        f"{URL}/notification_results/ntOne/attempts",
        data="<attempts><message>m</message><took>5</took></attempts>",
        content_type=XML,
        headers={"Accept": XML},
    )
    root = read_xml(response, 201)
    assert root.findtext("notification_results/notification_result/attempts/took") == "5"
    result = get_json(client, URL)["notification_results"][0]
    assert result == {"notification_id": "ntOne", "attempts": [{"message": "m", "took": "5"}]}


def test_an_attempt_goes_to_the_first_result_of_its_notification(client: FlaskClient) -> None:
    post(client, CHECK, item_at(NOW_MS, notification_results=[{}, *[{"notification_id": "n"}] * 2]))
    item = json.loads(post(client, f"{URL}/notification_results/n/attempts", {}).data)
    assert item["notification_results"] == [{}, {"notification_id": "n", "attempts": [{}]}, {"notification_id": "n"}]


@pytest.mark.parametrize(
    ("item_id", "notification_id", "kind"),
    [
        (ID, "ntTwo", "notFoundError"),
        (ID, "NTONE", "notFoundError"),
        (id_at(NOW_MS, 1), "ntOne", "parentNotFoundError"),
        ("x", "ntOne", "parentNotFoundError"),
    ],
)
def test_an_attempt_at_what_is_unknown_is_not_found(
    item_id: str, notification_id: str, kind: str, client: FlaskClient
) -> None:
    item = item_at(NOW_MS, notification_results=[{"notification_id": "ntOne"}])
    post(client, CHECK, item)
    url = f"{CHECK}/{item_id}/notification_results/{notification_id}/attempts"
    assert_fault(send(client, "POST", url, {}), 404, kind)
    assert get_json(client, URL) == item


@pytest.mark.parametrize(
    ("attempt", "path"), [({"message": 1}, "message"), ({"from": 2}, "from"), ([], "the body"), (1, "the body")]
)
def test_an_attempt_that_does_not_fit_is_named(attempt: Any, path: str, client: FlaskClient) -> None:
    item = item_at(NOW_MS, notification_results=[{"notification_id": "ntOne"}])
    post(client, CHECK, item)
    response = send(client, "POST", f"{URL}/notification_results/ntOne/attempts", attempt)
    assert assert_fault(response, 400, "badRequest")["details"].startswith(f"{path}: ")
    assert get_json(client, URL) == item


def test_two_senders_at_once_lose_no_attempt(app: Flask, key: str, client: FlaskClient) -> None:
    post(client, CHECK, item_at(NOW_MS, notification_results=[{"notification_id": "ntOne"}]))
    url = f"{URL}/notification_results/ntOne/attempts"
    statuses: list[int] = []

    def send_ten(sender: str) -> None:
        own = authorized(app, key)
        statuses.extend(send(own, "POST", url, {"message": f"{sender}{n}"}).status_code for n in range(10))
        app.extensions["notifhist"].db.close()

    threads = [threading.Thread(target=send_ten, args=(sender,)) for sender in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [201] * 30
    messages = [each["message"] for each in get_json(client, URL)["notification_results"][0]["attempts"]]
    assert sorted(messages) == sorted(f"{sender}{n}" for sender in "abc" for n in range(10))
    for sender in "abc":
        assert [each for each in messages if each[0] == sender] == [f"{sender}{n}" for n in range(10)]
