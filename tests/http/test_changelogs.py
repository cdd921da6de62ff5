"""The changes of alarms' states: which there are, what they say, and how one pages through them."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from flask.testing import FlaskClient

from notifhist.config import MS_PER_DAY
from notifhist.store.deliveries import logs
from tests.conftest import NOW_MS
from tests.http.helpers import assert_fault, get_json, get_xml, id_at, item_at, post, send
from tests.http.item_logs import CHANGELOGS, Settle, changes, log_id, states, url_of, walk

PUBLISHED_ID = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"
MINUTE = 60_000
MS = NOW_MS - 10 * MINUTE
TIMES = (MS, MS + 1, MS + 2)
CHECK = url_of()


def test_the_example_comes_out_exactly(at: Callable[..., FlaskClient], settle: Settle) -> None:
    client = at(1795317124118 + MINUTE)
    item_id = "7ded6032-e622-11f1-a0a1-0ff89fa2fa26"
    members = {"state": "CRITICAL", "previous_state": "OK", "analyzed_by_monitoring_zone_id": "mzord"}
    post(client, url_of("enWeb7", "alHttp", "chGet"), {"id": item_id, **members, "notification_results": []})
    settle()
    assert client.get(CHANGELOGS).text == (
        '{"values":[{"id":"7ded6032-e622-11f1-b5bd-c9827a39f996","timestamp":1795317124118,"entity_id":"enWeb7",'
        '"alarm_id":"alHttp","check_id":"chGet","state":"CRITICAL","previous_state":"OK",'
        '"analyzed_by_monitoring_zone_id":"mzord"}],"metadata":{"count":1,"limit":50,"marker":null,'
        '"next_marker":null,"next_href":null}}'
    )


def test_the_example_in_xml(client: FlaskClient, settle: Settle) -> None:
    odd = "\x07 <&> \u2028"
    item = item_at(MS, state="CRITICAL", previous_state="OK", status=odd, analyzed_by_monitoring_zone_id="mzord")
    post(client, CHECK, item)
    settle()
    page = get_xml(client, CHANGELOGS)
    (log,) = page.findall("values/*")
    assert (log.tag, log.items()) == ("alarm_changelog", [("id", changes(client)[0]["id"])])
    assert [(each.tag, each.text) for each in log] == [
        ("timestamp", str(MS)),
        ("entity_id", "enOne"),
        ("alarm_id", "alOne"),
        ("check_id", "chOne"),
        ("status", odd.replace("\x07", "\ufffd")),
        ("state", "CRITICAL"),
        ("previous_state", "OK"),
        ("analyzed_by_monitoring_zone_id", "mzord"),
    ]
    assert [each.tag for each in page.iterfind("metadata/*")] == [
        *("count", "limit", "marker", "next_marker", "next_href")
    ]


def test_ids_are_unique_in_the_tenant(client: FlaskClient) -> None:
    for check_id in ("chOne", "chTwo"):
        post(client, url_of(check_id=check_id), {"id": PUBLISHED_ID, "state": "OK", "notification_results": []})
    assert {each["check_id"]: (each["id"], each["timestamp"]) for each in changes(client)} == {
        "chOne": ("646ac7b0-0b34-11e1-8c5f-31a968bcad0e", 1320885544875),
        "chTwo": ("646ac7b0-0b34-11e1-ab01-9d10d3e50bbb", 1320885544875),
    }


def test_a_changelog_has_what_its_item_has(client: FlaskClient, settle: Settle) -> None:
    zone = "analyzed_by_monitoring_zone_id"
    post(client, CHECK, item_at(MS, 0, previous_state="X", status="", **{zone: ""}, notification_plan_id="np", more=1))
    post(client, CHECK, item_at(MS, 1, previous_state="X", status=None, **{zone: None}))
    post(client, CHECK, item_at(MS, 2, previous_state="X", **{zone: 5}))
    settle()
    first = ["id", "timestamp", "entity_id", "alarm_id", "check_id"]
    members = {each["id"]: [*each] for each in changes(client)}
    least = [*first, "state", "previous_state"]
    assert members == {
        log_id("enOne", "alOne", id_at(MS, 0)): [*first, "status", "state", "previous_state", zone],
        log_id("enOne", "alOne", id_at(MS, 1)): least,
        log_id("enOne", "alOne", id_at(MS, 2)): least,
    }


def test_changes_are_items_whose_previous_state_is_another_or_absent(client: FlaskClient, settle: Settle) -> None:
    changed = [("OK", "WARNING"), ("WARNING", "WARNING"), ("WARNING", "OK"), ("ok", "OK"), (None, "OK"), ("", "OK")]
    for minute, (previous, state) in enumerate(changed):
        post(client, CHECK, item_at(MS + minute * MINUTE, state=state, previous_state=previous))
    settle()
    assert states(client) == ["OK > WARNING", "WARNING > OK", "ok > OK", "OK > OK", " > OK"]


# --- The previous state of an item that has none


def test_it_is_the_state_of_the_item_before_it_in_its_series(client: FlaskClient, settle: Settle) -> None:
    post(client, url_of(check_id="chTwo"), item_at(MS - 1, state="of another check"))
    post(client, url_of(alarm_id="alTwo"), item_at(MS - 1, state="of another alarm"))
    post(client, url_of(entity_id="enTwo"), item_at(MS - 1, state="of another entity"))
    for number, state in enumerate(["first", "second", "third"]):  # all of one tick
        post(client, CHECK, item_at(MS, number, state=state))
    post(client, CHECK, item_at(MS + 1, state="fourth", previous_state="fourth"))  # no change itself
    post(client, CHECK, item_at(MS + 2, state="last", notification_results=[{}, {}, {}]))
    settle()
    assert sorted(states(client, f"from={MS}")) == [
        *("UNKNOWN > first", "first > second", "fourth > last", "second > third")
    ]


def test_the_item_before_may_come_later_be_replaced_or_deleted(client: FlaskClient, settle: Settle) -> None:
    post(client, CHECK, item_at(MS + 2, state="last"))
    settle()
    assert states(client) == ["UNKNOWN > last"]
    post(client, CHECK, item_at(MS, state="first"))
    settle()
    assert states(client) == ["UNKNOWN > first", "first > last"]
    post(client, CHECK, item_at(MS + 1, state="middle", previous_state="middle"))
    settle()
    assert states(client) == ["UNKNOWN > first", "middle > last"]
    assert send(client, "PUT", f"{CHECK}/{id_at(MS + 1)}", item_at(MS + 1, state="other")).status_code == 200
    settle()
    assert states(client) == ["UNKNOWN > first", "first > other", "other > last"]
    assert states(client, f"from={MS + 2}") == ["other > last"]  # whatever the window is
    for ms in (MS + 1, MS):
        assert client.delete(f"{CHECK}/{id_at(ms)}").status_code == 204
    assert states(client) == ["UNKNOWN > last"]


def test_the_item_before_expires_by_the_minute(at: Callable[..., FlaskClient], settle: Settle) -> None:
    client = at(NOW_MS)
    born = NOW_MS - 30 * MS_PER_DAY
    post(client, CHECK, item_at(born, state="first"))
    post(client, CHECK, item_at(born + MINUTE, state="second"))
    settle()
    everything = f"from=0&to={NOW_MS}"
    assert states(client, everything) == ["UNKNOWN > first", "first > second"]
    assert states(at(NOW_MS + 1), everything) == ["UNKNOWN > second"]
    assert states(at(NOW_MS + MINUTE), everything) == ["UNKNOWN > second"]
    assert states(at(NOW_MS + MINUTE + 1), everything) == []
    assert states(at(NOW_MS + MINUTE, RETENTION_DAYS=31), everything) == ["UNKNOWN > first", "first > second"]
    assert states(at(10 * NOW_MS, RETENTION_DAYS=0), everything) == ["UNKNOWN > first", "first > second"]


def test_a_page_of_a_thousand_looks_up_all_previous_states(client: FlaskClient) -> None:
    items = [item_at(MS + n // 7, n, state=f"state {n}") for n in range(1001)]
    post(client, CHECK, {"values": items})
    page = get_json(client, f"{CHANGELOGS}?limit=1000")
    before = {item["state"]: previous["state"] for previous, item in pairwise(items)}
    assert len(page["values"]) == 1000
    for each in page["values"]:
        assert each["previous_state"] == before.get(each["state"], "UNKNOWN")
    rest = changes(client, f"marker={page['metadata']['next_marker']}")
    assert [before.get(each["state"]) for each in rest] == [each["previous_state"] for each in rest]
    assert len({each["state"] for each in page["values"] + rest}) == 1001


# --- Long ones


def test_long_changelogs_come_out_whole(client: FlaskClient, settle: Settle) -> None:
    status = "<é>\0" * 20_000
    post(client, CHECK, item_at(MS, status=status, analyzed_by_monitoring_zone_id="z" * 40_000))
    post(client, CHECK, item_at(MS + 1, analyzed_by_monitoring_zone_id="mz" * 40_000, previous_state="X"))
    post(client, CHECK, item_at(MS + 2, x="x" * 100_000, status="short"))
    settle()
    found = changes(client)
    assert [len(each.get("analyzed_by_monitoring_zone_id", "")) for each in found] == [40_000, 80_000, 0]
    assert [each.get("status") for each in found] == [status, None, "short"]
    assert [each["previous_state"] for each in found] == ["UNKNOWN", "X", "OK"]
    in_xml = get_xml(client, CHANGELOGS).findtext("values/*/status")
    assert in_xml == status.replace("\0", "\ufffd")


def test_a_page_that_is_too_long_is_refused_and_one_of_one_never_is(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_PAGE_BYTES", 100_000)
    post(client, CHECK, {"values": [item_at(MS + n, status="x" * 60_000) for n in range(2)]})
    fault = assert_fault(client.get(CHANGELOGS), 503, "systemFailureError")
    assert fault["details"]
    assert len(walk(client, f"{CHANGELOGS}?limit=1")) == 2
