import json
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import NOW_MS, MakeKey, authorized
from tests.http.helpers import ALARM, CHECK, assert_fault, get_json, get_xml, id_at, item_at, post

BARE = CHECK.removeprefix("/v1.0/123456")
RICH: dict[str, Any] = {
    "id": id_at(NOW_MS),
    "timestamp": NOW_MS,
    "zone": "ord",
    "state": "CRITICAL",
    "notification_results": [
        {
            "message": "m",
            "retries": 3,
            "success": False,
            "notification_details": {"b": [1, 2.5, None, True], "a": {"z": "ü🚦", "y": {}}, "c": []},
            "attempts": [{"from": "ele", "took_ms": 12, "message": ""}],
            "in_progress": True,
        },
        {},
    ],
    "exact": [18_446_744_073_709_551_615, -9_223_372_036_854_775_808, 0.1, 1e-9, 9_007_199_254_740_993],
    "nothing": None,
    "empty": "",
    "nul": "a\0b",
    "nested": [[1, [2]], [], {"": 0, "a b": 1}],
    "metadata": "free",
}


def test_an_item_comes_out_as_it_was_recorded(client: FlaskClient) -> None:
    post(client, CHECK, RICH)
    text = client.get(f"{CHECK}/{RICH['id']}").text
    assert json.dumps(json.loads(text)) == json.dumps(RICH)
    assert json.dumps(get_json(client, CHECK)["values"]) == json.dumps([RICH])


def test_an_item_in_xml_has_all_its_members_in_order(client: FlaskClient) -> None:
    post(client, CHECK, RICH)
    root = get_xml(client, f"{CHECK}/{RICH['id']}")
    assert root.get("id") == RICH["id"]
    assert [child.tag for child in root] == [
        *("timestamp", "zone", "state", "notification_results"),
        *["exact"] * 5,
        *("nothing", "empty", "nul"),
        *["nested"] * 3,
        "metadata",
    ]
    result = root.find("notification_results/notification_result")
    assert result is not None
    assert [child.tag for child in result] == list(RICH["notification_results"][0])
    assert root.findtext("nul") == "a\ufffdb"
    assert root.findtext("exact") == "18446744073709551615"
    assert root.findtext("notification_results/notification_result/notification_details/a/z") == "ü🚦"


def test_with_and_without_the_tenant_the_url_is_the_same_item_s(client: FlaskClient) -> None:
    post(client, BARE, RICH)
    for url in (CHECK, BARE):
        assert get_json(client, f"{url}/{RICH['id']}") == RICH
        assert get_json(client, url)["metadata"]["count"] == 1
    assert get_json(client, BARE.rpartition("/")[0]) == {"check_ids": ["chOne"]}


def test_an_id_is_taken_in_any_case(client: FlaskClient) -> None:
    post(client, CHECK, {**RICH, "id": RICH["id"].upper()})
    assert get_json(client, f"{CHECK}/{RICH['id'].upper()}")["id"] == RICH["id"]


@pytest.mark.parametrize(
    "item_id",
    [
        id_at(NOW_MS, 2),
        id_at(NOW_MS - 1),
        "x",
        id_at(NOW_MS).replace("-", ""),
        "646ac7b0-0b34-41e1-a0a1-0ff89fa2fa26",
        "{" + id_at(NOW_MS) + "}",
        "%00",
        "%F0%9F%9A%A6",
    ],
)
def test_an_item_that_does_not_exist_is_not_found(item_id: str, client: FlaskClient) -> None:
    post(client, CHECK, RICH)
    status, kind = (400, "badRequest") if item_id == "%00" else (404, "notFoundError")
    assert_fault(client.get(f"{CHECK}/{item_id}"), status, kind)
    assert_fault(client.delete(f"{CHECK}/{item_id}"), status, kind)


@pytest.mark.parametrize("place", ["chTwo", "CHONE", "chOne ", "chOn"])
def test_an_item_is_in_its_own_check_only(place: str, client: FlaskClient) -> None:
    post(client, CHECK, RICH)
    url = f"{ALARM}/{quote(place)}"
    assert_fault(client.get(f"{url}/{RICH['id']}"), 404, "notFoundError")
    assert get_json(client, url)["values"] == []


def test_the_same_id_may_stand_in_other_places_with_other_content(
    app: Flask, client: FlaskClient, make_key: MakeKey
) -> None:
    other = authorized(app, make_key(tenant="654321"))
    places = [
        (client, CHECK),
        (client, f"{ALARM}/chTwo"),
        (client, CHECK.replace("alOne", "alTwo")),
        (client, CHECK.replace("enOne", "enTwo")),
        (other, CHECK.replace("123456", "654321")),
    ]
    for number, (who, url) in enumerate(places):
        post(who, url, item_at(NOW_MS, state=str(number)))
    for number, (who, url) in enumerate(places):
        assert get_json(who, f"{url}/{id_at(NOW_MS)}")["state"] == str(number)
        assert get_json(who, url)["metadata"]["count"] == 1


IDS = {
    "a blank": "web server 01",
    "a percent sign": "disk % free",
    "an encoded percent sign": "chLoad%2F1",
    "reserved characters": "a+b&c=d?e#f;g",
    "quotes and brackets": "<'\"{[`\\]}>",
    "other scripts": "خادم東京שרת",
    "an emoji": "🚦",
    "composed": "chCafé",
    "decomposed": "chCafe\u0301",
    "a dot": ".",
    "two dots": "..",
    "the name of a part": "notification_history",
    "a blank at each end": " x ",
    "255 characters": "x" * 255,
    "255 characters of four bytes": "🚦" * 255,
    "one character": "x",
    "a no-break space": "\u00a0",
    "a byte order mark": "\ufeff",
}


@pytest.mark.parametrize("name", IDS.values(), ids=IDS.keys())
def test_an_id_in_a_path_may_be_anything_encoded(name: str, client: FlaskClient) -> None:
    part = quote(name, safe="")
    alarm = f"/v1.0/123456/entities/{part}/alarms/{part}/notification_history"
    response = post(client, f"{alarm}/{part}", item_at(NOW_MS))
    assert response.headers["Location"] == f"http://localhost{alarm}/{part}/{id_at(NOW_MS)}"
    assert get_json(client, alarm) == {"check_ids": [name]}
    assert get_json(client, response.headers["Location"]) == item_at(NOW_MS)
    assert [each.text for each in get_xml(client, alarm).iter("check_id")] == [name]


@pytest.mark.parametrize(
    "part",
    ["x" * 256, "%F0%9F%9A%A6" * 256, "a%00", "%0A", "%1F", "%7F", "%C2%80", "%C2%9F", "%ED%A0%80", "%FF", "%C3"],
    ids=lambda part: part[:12],
)
def test_an_id_that_none_may_be_is_refused(part: str, client: FlaskClient) -> None:
    for url in (
        f"/entities/{part}/alarms/a/notification_history/c",
        f"/entities/e/alarms/{part}/notification_history",
        f"/entities/e/alarms/a/notification_history/{part}",
        f"/entities/e/alarms/a/notification_history/{part}/{id_at(NOW_MS)}",
    ):
        # The client's own way to a path loses what is not UTF-8.
        raw = {"PATH_INFO": unquote_to_bytes(url).decode("latin-1")}
        assert_fault(client.get("/", environ_overrides=raw), 400, "badRequest")


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/v1.0/123456",
        "/v1.0//entities/e/alarms/a/notification_history",
        "/v1.0/123456/entities/e/alarms/a/",
        "/v1.0/123456/entities/e/alarms/a/notification_history/",
        "/v1.0/123456/entities/e/alarms/a/notification_history/c/",
        "/v1.0/123456/entities//alarms/a/notification_history",
        "//entities/e/alarms/a/notification_history",
        "/entities/e/alarms/a//notification_history",
        f"{CHECK}/{id_at(NOW_MS)}/",
        f"{CHECK}/{id_at(NOW_MS)}/notification_results",
        "/v2.0/123456/entities/e/alarms/a/notification_history",
        "/V1.0/123456/entities/e/alarms/a/notification_history",
    ],
)
def test_a_url_that_is_no_route_is_not_found_and_never_redirected(url: str, app: Flask, client: FlaskClient) -> None:
    assert_fault(client.get(url), 404, "notFoundError")
    assert_fault(app.test_client().get(url), 404, "notFoundError")


def test_without_history_there_are_no_checks_and_no_items(client: FlaskClient) -> None:
    assert get_json(client, ALARM) == {"check_ids": []}
    page = get_json(client, CHECK)
    assert list(page) == ["values", "metadata"]
    assert page["values"] == []
    assert len(get_xml(client, ALARM).findall("check_ids/*")) == 0
    assert len(get_xml(client, CHECK).findall("values/*")) == 0


def test_checks_are_sorted_by_code_point(client: FlaskClient) -> None:
    names = ["b", "B", "a", "é", "e\u0301", "Z", "_", "10", "9", "🚦", "\uffe6", "a b", "ab"]
    for name in names:
        post(client, f"{ALARM}/{quote(name)}", item_at(NOW_MS))
    assert get_json(client, ALARM)["check_ids"] == sorted(names)


def test_the_checks_of_other_alarms_are_not_discovered(app: Flask, client: FlaskClient, make_key: MakeKey) -> None:
    post(client, CHECK.replace("alOne", "alTwo"), item_at(NOW_MS))
    post(client, CHECK.replace("enOne", "enTwo"), item_at(NOW_MS))
    post(authorized(app, make_key(tenant="654321")), BARE, item_at(NOW_MS))
    assert get_json(client, ALARM) == {"check_ids": []}


def test_a_check_whose_last_item_is_deleted_is_no_longer_discovered(client: FlaskClient) -> None:
    post(client, CHECK, item_at(NOW_MS))
    assert client.delete(f"{CHECK}/{id_at(NOW_MS)}").status_code == 204
    assert get_json(client, ALARM) == {"check_ids": []}


def test_unknown_parameters_are_ignored(client: FlaskClient) -> None:
    post(client, CHECK, RICH)
    for url in (ALARM, CHECK, f"{CHECK}/{RICH['id']}"):
        assert client.get(f"{url}?a=1&a&%00=%FF&limit.=0&JSONP=f").status_code == 200
    assert client.get(f"{ALARM}?limit=0&from=x").status_code == 200
