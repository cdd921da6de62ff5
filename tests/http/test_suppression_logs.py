"""The notifications that were not sent, and what kept them from being sent."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from notifhist.config import MS_PER_DAY
from notifhist.schemas.item_ids import key_of
from notifhist.store.deliveries import logs
from tests.conftest import NOW_MS, TENANT, MakeKey, authorized
from tests.http.helpers import XML, assert_fault, get_json, get_xml, id_at, item_at, post, send
from tests.http.item_logs import Settle, log_id, url_of, walk

LOGS = f"/v1.0/{TENANT}/suppression_logs"
MEMBERS = [
    *("id", "entity_id", "alarm_id", "check_id", "notification_plan_id"),
    *("suppressions", "state", "timestamp", "transaction_id"),
]
MS = NOW_MS - 600_000
CHECK = url_of()


def suppressed(client: FlaskClient, query: str = "", url: str = LOGS) -> list[dict[str, Any]]:
    """Return the suppression logs on a page."""
    values: list[dict[str, Any]] = get_json(client, f"{url}?{query}")["values"]
    return values


def test_a_log_has_all_nine_members(client: FlaskClient, settle: Settle) -> None:
    whole: dict[str, Any] = {
        "notification_plan_id": "np",
        "transaction_id": ".rh-1",
        "status": "s",
        "previous_state": "OK",
    }
    post(client, CHECK, item_at(MS, state="CRITICAL", suppressions=["spOne", "spTwo"], **whole))
    post(client, CHECK, item_at(MS + 1, suppressions=["spOne"], notification_results=[{"success": True}, {}]))
    settle()
    page = get_json(client, LOGS)
    assert [list(each) for each in page["values"]] == [MEMBERS, MEMBERS]
    assert page["values"][0] == {
        "id": log_id("enOne", "alOne", id_at(MS)),
        "entity_id": "enOne",
        "alarm_id": "alOne",
        "check_id": "chOne",
        "notification_plan_id": "np",
        "suppressions": ["spOne", "spTwo"],
        "state": "CRITICAL",
        "timestamp": MS,
        "transaction_id": ".rh-1",
    }
    assert page["values"][1] == {
        **page["values"][0],
        "id": log_id("enOne", "alOne", id_at(MS + 1)),
        "timestamp": MS + 1,
        "state": "OK",
        "suppressions": ["spOne"],
        "notification_plan_id": None,
        "transaction_id": None,
    }
    assert page["metadata"] == {"count": 2, "limit": 50, "marker": None, "next_marker": None, "next_href": None}


def test_a_log_in_xml(client: FlaskClient, settle: Settle) -> None:
    post(client, CHECK, item_at(MS, suppressions=["spOne", "", "\x07 <sp>&"], transaction_id="t"))
    settle()
    (log,) = get_xml(client, LOGS).findall("values/*")
    assert (log.tag, log.items()) == ("suppression_log", [("id", log_id("enOne", "alOne", id_at(MS)))])
    assert [(each.tag, each.text) for each in log] == [
        ("entity_id", "enOne"),
        ("alarm_id", "alOne"),
        ("check_id", "chOne"),
        ("notification_plan_id", None),
        ("suppressions", "spOne"),
        ("suppressions", None),
        ("suppressions", "\ufffd <sp>&"),
        ("state", "OK"),
        ("timestamp", str(MS)),
        ("transaction_id", "t"),
    ]


def test_suppressions_recorded_in_xml_are_a_list(client: FlaskClient, settle: Settle) -> None:
    for n, ids in enumerate((["spOne"], ["spOne", "spTwo"])):
        inner = "".join(f"<suppressions>{each}</suppressions>" for each in ids)
        body = f"<state>OK</state><notification_results/><timestamp>{MS + n}</timestamp>{inner}"
        root = "alarm_notification_history_item"
        assert client.post(CHECK, data=f"<{root}>{body}</{root}>", content_type=XML).status_code == 201
    settle()
    assert [each["suppressions"] for each in suppressed(client)] == [["spOne"], ["spOne", "spTwo"]]


def test_items_without_suppressions_have_none(client: FlaskClient, settle: Settle) -> None:
    post(client, CHECK, item_at(MS))
    post(client, CHECK, item_at(MS + 1, suppressions=[]))
    post(client, CHECK, item_at(MS + 2, suppressions=None))
    settle()
    assert suppressed(client) == []
    # A change or not does not matter.
    post(client, CHECK, item_at(MS + 3, previous_state="OK", suppressions=[""]))
    post(client, CHECK, item_at(MS + 4, previous_state="X", suppressions=["sp"]))
    settle()
    assert [each["suppressions"] for each in suppressed(client)] == [[""], ["sp"]]
    assert len(get_json(client, f"/v1.0/{TENANT}/changelogs/alarms")["values"]) == 4


def test_the_log_and_the_changelog_of_an_item_have_one_id(client: FlaskClient) -> None:
    for check_id in ("chOne", "chTwo"):
        item = {"id": "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26", "state": "OK", "notification_results": []}
        post(client, CHECK.replace("chOne", check_id), {**item, "suppressions": ["sp"]})
    expected = {"646ac7b0-0b34-11e1-8c5f-31a968bcad0e", "646ac7b0-0b34-11e1-ab01-9d10d3e50bbb"}
    assert {each["id"] for each in suppressed(client)} == expected
    assert {each["id"] for each in get_json(client, "/changelogs/alarms")["values"]} == expected


@pytest.fixture
def twelve(client: FlaskClient, settle: Settle) -> list[str]:
    """The ids of twelve logs in order: of four alarms at each of three times; an item at each stands between."""
    ids = []
    for ms in (MS, MS + 1, MS + 2):
        for entity_id, alarm_id in (("enOne", "alOne"), ("enOne", "alTwo"), ("enTwo", "alOne"), ("enTwo", "alTwo")):
            post(client, url_of(entity_id, alarm_id), item_at(ms, suppressions=["sp"], previous_state="OK"))
            post(client, url_of(entity_id, alarm_id), item_at(ms, 1))
            ids.append(log_id(entity_id, alarm_id, id_at(ms)))
    settle()
    return sorted(ids, key=key_of)


@pytest.mark.parametrize("limit", [1, 5, 12, 1000])
def test_pages_follow_each_other_both_ways(client: FlaskClient, twelve: list[str], limit: int) -> None:
    assert walk(client, f"{LOGS}?limit={limit}") == twelve
    assert walk(client, f"{LOGS}?limit={limit}&reverse=True") == twelve[::-1]
    assert walk(client, f"/suppression_logs?limit={limit}&marker={twelve[4]}") == twelve[4:]


def test_an_entity_is_no_parameter(client: FlaskClient, twelve: list[str]) -> None:
    assert walk(client, f"{LOGS}?entityId=enTwo") == walk(client, f"{LOGS}?entityId=") == twelve


@pytest.mark.parametrize("reverse", ["", "&reverse=true"])
def test_what_changes_between_two_pages_hides_and_repeats_nothing_else(
    client: FlaskClient, twelve: list[str], settle: Settle, reverse: str
) -> None:
    first = get_json(client, f"{LOGS}?limit=4{reverse}")
    seen = [each["id"] for each in first["values"]]
    url = f"{url_of('enOne', 'alOne')}/{id_at(MS + 1)}"
    changed = log_id("enOne", "alOne", id_at(MS + 1))
    assert send(client, "PUT", url, item_at(MS + 1, suppressions=[], notification_results=[{}, {}])).status_code == 200
    gone = log_id("enTwo", "alTwo", id_at(MS + 1))
    assert client.delete(f"{url_of('enTwo', 'alTwo')}/{id_at(MS + 1)}").status_code == 204
    plain = f"{url_of('enOne', 'alTwo')}/{id_at(MS + 1, 1)}"
    assert send(client, "PUT", plain, item_at(MS + 1, 1, suppressions=["later"])).status_code == 200
    later = log_id("enOne", "alTwo", id_at(MS + 1, 1))
    settle()
    rest = walk(client, first["metadata"]["next_href"])
    marker = key_of(first["metadata"]["next_marker"])
    left = {*twelve, later} - {changed, gone} - {*seen}
    to_come = [each for each in left if key_of(each) <= marker] if reverse else left  # the later one may stand before
    assert rest == sorted(to_come, key=key_of, reverse=bool(reverse))


def test_an_attempt_changes_nothing(client: FlaskClient, settle: Settle) -> None:
    post(client, CHECK, item_at(MS, suppressions=["sp"], notification_results=[{"notification_id": "nt"}]))
    settle()
    before = suppressed(client)
    post(client, f"{CHECK}/{id_at(MS)}/notification_results/nt/attempts", {"message": "x"})
    assert suppressed(client) == before


def test_logs_expire_by_the_minute(at: Callable[..., FlaskClient], settle: Settle) -> None:
    born = NOW_MS - 30 * MS_PER_DAY
    client = at(NOW_MS)
    post(client, CHECK, {"values": [item_at(ms, suppressions=["sp"]) for ms in (born - 1, born, born + 60_000)]})
    settle()
    for now_ms, expected in (
        (NOW_MS, [born, born + 60_000]),
        (NOW_MS + 1, [born + 60_000]),
        (NOW_MS + 60_000, [born + 60_000]),
        (NOW_MS + 60_001, []),
    ):
        found = suppressed(at(now_ms), "from=0")
        assert [each["timestamp"] for each in found] == expected
    assert suppressed(client) == []  # of the last seven days


def test_tenants_see_their_own(client: FlaskClient, app: Flask, make_key: MakeKey, settle: Settle) -> None:
    other = authorized(app, make_key(tenant="654321"))
    assert suppressed(other, url="/suppression_logs") == []
    post(client, CHECK, item_at(MS, suppressions=["ours"]))
    post(other, CHECK, item_at(MS, suppressions=["theirs"]))
    settle()
    assert [each["suppressions"] for each in suppressed(client)] == [["ours"]]
    assert [each["suppressions"] for each in suppressed(other, url="/suppression_logs")] == [["theirs"]]
    assert_fault(other.get(LOGS), 403, "forbiddenError")


def test_bad_parameters_are_refused(client: FlaskClient) -> None:
    assert_fault(client.get(f"{LOGS}?limit=0"), 400, "invalidLimit")
    assert assert_fault(client.get(f"{LOGS}?marker=x"), 400, "badRequest")["details"].startswith("marker: ")


def test_many_suppressions_come_out_whole(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"sp{n}" for n in range(10_000)]
    post(client, CHECK, {"values": [item_at(MS + n, suppressions=ids) for n in range(2)]})
    assert [each["suppressions"] for each in suppressed(client)] == [ids, ids]
    assert len(get_xml(client, LOGS).findall("values/*/suppressions")) == 20_000
    monkeypatch.setattr(logs, "MAX_PAGE_BYTES", 100_000)
    assert_fault(client.get(LOGS), 503, "systemFailureError")
    assert len(walk(client, f"{LOGS}?limit=1")) == 2
