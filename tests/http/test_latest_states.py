"""The latest states: the newest item of each check within the retention, and its newest change, by entity."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from notifhist.store.history import listing, states
from tests.conftest import NOW_MS, MakeApp, authorized
from tests.contract.test_examples import example
from tests.http.helpers import CHECK, XML, assert_fault, get_json, get_xml, id_at, item_at, pages_from, post, read_xml

DAY = 86_400_000
STATES = "/v1.0/123456/views/latest_alarm_states"
At = Callable[..., FlaskClient]


def series(entity: str = "en", alarm: str = "al", check: str = "ch") -> str:
    return f"/entities/{entity}/alarms/{alarm}/notification_history/{check}"


def change(n: int, state: str = "CRITICAL", **members: Any) -> dict[str, Any]:
    """Return an item `n` ms before now whose state differs from the one before."""
    return item_at(NOW_MS - n, state=state, previous_state="OK", **members)


def repeat(n: int, **members: Any) -> dict[str, Any]:
    """Return an item `n` ms before now that reminds of a state."""
    return item_at(NOW_MS - n, state="CRITICAL", previous_state="CRITICAL", **members)


def states_of(client: FlaskClient, url: str = STATES) -> dict[str, list[dict[str, Any]]]:
    """Return the states of each entity on a page."""
    return {each["entity_id"]: each["latest_alarm_states"] for each in get_json(client, url)["values"]}


def only_state(client: FlaskClient) -> dict[str, Any]:
    """Return the one state that there is."""
    ((state,),) = states_of(client).values()
    return state


def walk(client: FlaskClient, url: str) -> list[list[str]]:
    """Return the ids of the entities on each page from `url` on, following next_href."""
    return [[each["entity_id"] for each in page["values"]] for page in pages_from(client, url)]


@pytest.fixture
def at(make_app: MakeApp, key: str) -> At:
    """Makes clients of a service whose clock stands at a given time, over the same database."""
    return lambda now_ms, **settings: authorized(make_app(NOW=now_ms, **settings), key)


def test_the_published_history_has_the_published_shape(client: FlaskClient) -> None:
    assert client.post(CHECK, data=example("item.json"), content_type="application/json").status_code == 201
    state = {
        "timestamp": 1320885544875,
        "entity_id": "enOne",
        "alarm_id": "alOne",
        "check_id": "chOne",
        "status": "matched return statement on line 6",
        "state": "WARNING",
        "previous_state": "OK",
        "alarm_changelog_id": "646ac7b0-0b34-11e1-8c5f-31a968bcad0e",
        "analyzed_by_monitoring_zone_id": None,
        "alarm_label": None,
    }
    recorded = json.loads(example("item.json"))
    state |= {name: recorded[name] for name in ("status", "state", "previous_state")}
    entity = {"entity_id": "enOne", "entity_uri": None, "entity_label": "enOne", "latest_alarm_states": [state]}
    metadata = {"count": 1, "limit": 50, "marker": None, "next_marker": None, "next_href": None}
    for url in (STATES, "/views/latest_alarm_states"):
        assert json.dumps(get_json(client, url)) == json.dumps({"values": [entity], "metadata": metadata})


def test_in_xml_each_state_is_an_element_of_its_entity(client: FlaskClient) -> None:
    for alarm in ("a1", "a2"):
        post(client, series("en<", alarm), change(0, status="s&"))
    response = client.get(STATES, headers={"Accept": XML})
    root = read_xml(response)
    state = (
        "<latest_alarm_states><timestamp>1320886800000</timestamp><entity_id>en&lt;</entity_id><alarm_id>a1</alarm_id>"
        "<check_id>ch</check_id><status>s&amp;</status><state>CRITICAL</state><previous_state>OK</previous_state>"
    )
    entity = "<entity_id>en&lt;</entity_id><entity_uri/><entity_label>en&lt;</entity_label>"
    assert f"<values><entity_alarm_states>{entity}{state}<alarm_changelog_id>" in response.text
    end = "<analyzed_by_monitoring_zone_id/><alarm_label/></latest_alarm_states>"
    assert f"{end}</entity_alarm_states></values><metadata><count>1</count>" in response.text
    assert [each.text for each in root.iterfind(".//alarm_id")] == ["a1", "a2"]
    assert len({each.text for each in root.iterfind(".//alarm_changelog_id")}) == 2


def test_a_tenant_without_history_has_none(client: FlaskClient) -> None:
    assert get_json(client, STATES)["values"] == []
    assert len(get_xml(client, STATES).findall("values/*")) == 0


def test_what_the_newest_item_does_not_tell_is_null(client: FlaskClient) -> None:
    post(client, series(), {"values": [change(1, status="s"), item_at(NOW_MS)]})
    state = only_state(client)
    assert (state["timestamp"], state["state"]) == (NOW_MS, "OK")
    unknown = ("status", "previous_state", "analyzed_by_monitoring_zone_id", "alarm_label")
    assert [state[name] for name in unknown] == [None] * 4
    assert state["alarm_changelog_id"] is not None


@pytest.mark.parametrize(
    ("given", "shown"), [("mzord", "mzord"), ("", ""), (None, None), (1, None), (["mzord"], None), ({"a": 1}, None)]
)
def test_a_zone_that_is_no_text_is_not_shown(client: FlaskClient, given: Any, shown: str | None) -> None:
    post(client, series(), change(0, analyzed_by_monitoring_zone_id=given))
    assert only_state(client)["analyzed_by_monitoring_zone_id"] == shown
    get_xml(client, STATES)


def test_texts_are_those_of_the_item_and_fit_any_format(client: FlaskClient) -> None:
    odd = 'a\0b <&> "\u2028" 🚨'
    post(client, series(), item_at(NOW_MS, state=odd, previous_state=f"{odd}!", status=odd))
    state = only_state(client)
    assert (state["state"], state["previous_state"], state["status"]) == (odd, f"{odd}!", odd)
    assert get_xml(client, STATES).findtext(".//status") == odd.replace("\0", "\ufffd")


def test_the_newest_item_of_each_check_counts_whatever_its_age(at: At) -> None:
    client = at(NOW_MS)
    post(client, series(check="b"), {"values": [change(20 * DAY), change(29 * DAY, state="WARNING")]})
    post(client, series(check="a"), {"values": [change(2), change(1, state="OK "), change(3)]})
    post(client, series(alarm="AL"), change(30 * DAY))
    post(client, series("gone"), change(30 * DAY + 1))
    found = states_of(client)
    assert list(found) == ["en"]
    assert [(each["alarm_id"], each["check_id"], each["timestamp"]) for each in found["en"]] == [
        ("AL", "ch", NOW_MS - 30 * DAY),
        ("al", "a", NOW_MS - 1),
        ("al", "b", NOW_MS - 20 * DAY),
    ]
    assert [each["state"] for each in found["en"]] == ["CRITICAL", "OK ", "CRITICAL"]
    later = states_of(at(NOW_MS + 60_000))["en"]
    assert [each["alarm_id"] for each in later] == ["al", "al"]
    assert states_of(at(NOW_MS + 31 * DAY)) == {}
    assert list(states_of(at(NOW_MS + 99 * DAY, RETENTION_DAYS=0))) == ["en", "gone"]


def test_of_equal_times_the_greater_id_is_the_newest(client: FlaskClient) -> None:
    items = [item_at(NOW_MS, number, state=str(number)) for number in (1, 3, 2)]
    post(client, series(), {"values": items})
    assert only_state(client)["state"] == "3"
    client.delete(f"{series()}/{id_at(NOW_MS, 3)}")
    assert only_state(client)["state"] == "2"


def changelog_ids(client: FlaskClient, *items: dict[str, Any]) -> list[str]:
    """Return the changelog id of each of these items, each recorded in a service as the only one of its check."""
    found = []
    for item in items:
        post(client, series(), item)
        found.append(only_state(client)["alarm_changelog_id"])
        client.delete(f"{series()}/{item['id']}")
    return found


@pytest.mark.parametrize("between", [0, 1, 9, 10, 11, 29, 30, 31, 250])
def test_the_newest_change_is_found_however_many_reminders_follow_it(client: FlaskClient, between: int) -> None:
    newest, older = change(1000), change(2000)
    (expected,) = changelog_ids(client, newest)
    post(client, series(), {"values": [older, newest, *(repeat(n) for n in range(between))]})
    state = only_state(client)
    assert state["timestamp"] == NOW_MS - (0 if between else 1000)
    assert state["alarm_changelog_id"] == expected


def test_an_item_without_a_previous_state_is_a_change(client: FlaskClient) -> None:
    first = item_at(NOW_MS - 5, state="CRITICAL")
    (expected,) = changelog_ids(client, first)
    post(client, series(), {"values": [first, repeat(2), repeat(1)]})
    assert only_state(client)["alarm_changelog_id"] == expected


def test_without_a_change_within_the_retention_there_is_no_id(at: At) -> None:
    client = at(NOW_MS)
    post(client, series(), {"values": [repeat(1), repeat(2), change(30 * DAY)]})
    assert only_state(client)["alarm_changelog_id"] is not None
    assert only_state(at(NOW_MS + 1))["alarm_changelog_id"] is None


def test_a_change_of_another_check_is_no_change_of_this_one(client: FlaskClient) -> None:
    post(client, series(check="a"), {"values": [repeat(1), repeat(3)]})
    post(client, series(check="b"), {"values": [change(2), repeat(0)]})
    first, second = states_of(client)["en"]
    assert first["alarm_changelog_id"] is None
    assert second["alarm_changelog_id"] is not None


def test_a_change_behind_more_items_than_are_looked_at_is_not_found(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "MAX_ITEMS_OF_CHECK", 12)
    reminders = [repeat(n) for n in range(13)]  # the newest one, and 12 behind it
    post(client, series(), {"values": [*reminders[:12], change(20)]})
    assert only_state(client)["alarm_changelog_id"] is not None
    post(client, series(), reminders[12])
    assert only_state(client)["alarm_changelog_id"] is None


@pytest.mark.parametrize("reverse", [False, True])
def test_pages_are_cut_by_the_entity_and_each_has_all_its_states(client: FlaskClient, reverse: bool) -> None:
    entities = ["Z", "a", "é", "🚨"]
    for entity in entities[::-1]:
        for check in ("b", "a"):
            post(client, series(entity, check=check), change(0))
    ordered = entities[::-1] if reverse else entities
    for limit in (1, 2, 3, 4, 1000):
        expected = [ordered[n : n + limit] for n in range(0, 4, limit)]
        assert walk(client, f"{STATES}?limit={limit}&reverse={reverse}") == expected
    assert walk(client, f"{STATES}?marker=b&reverse={reverse}") == [["a", "Z"] if reverse else ["é", "🚨"]]
    assert all([each["check_id"] for each in found] == ["a", "b"] for found in states_of(client).values())


def test_bad_parameters_are_refused(client: FlaskClient) -> None:
    assert_fault(client.get(f"{STATES}?limit=0"), 400, "invalidLimit")
    assert_fault(client.get(f"{STATES}?marker=a/b"), 400, "badRequest")


@pytest.mark.parametrize("reverse", [False, True])
def test_entities_that_come_and_go_between_two_pages_neither_hide_nor_repeat_others(
    client: FlaskClient, reverse: bool
) -> None:
    for entity in "bdfh":
        post(client, series(entity), change(0))
    first = get_json(client, f"{STATES}?limit=2&reverse={reverse}")
    for entity in "acegi":
        post(client, series(entity), change(0))
    client.delete(f"{series('d' if reverse else 'f')}/{id_at(NOW_MS)}")
    rest = walk(client, first["metadata"]["next_href"])
    assert [each["entity_id"] for each in first["values"]] == (["h", "f"] if reverse else ["b", "d"])
    assert rest == ([["c", "b"], ["a"]] if reverse else [["g", "h"], ["i"]])


LIMITS = {
    "so many items": (states, "MAX_ITEMS_OF_PAGE", 100),
    "so many series": (listing, "MAX_SERIES_OF_PAGE", 2),
    "so many characters": (states, "MAX_PAGE_BYTES", 900),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_page_ends_after_the_entity_at_which_it_has_done_enough(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(*LIMITS[limit])
    for entity in "abcdef":
        reminders = [repeat(n, status="x" * 400) for n in range(31)]
        post(client, series(entity), {"values": [*reminders, change(100)]})
    assert walk(client, STATES) == [["a", "b"], ["c", "d"], ["e", "f"]]


def test_states_of_one_entity_that_are_too_long_together_are_503(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "MAX_PAGE_BYTES", 900)
    post(client, series("a"), change(0, status="x" * 2000))
    assert walk(client, STATES) == [["a"]]
    for check in ("c1", "c2"):
        post(client, series("b", check=check), change(0, status="x" * 500))
    page = get_json(client, f"{STATES}?marker=0")
    assert ([each["entity_id"] for each in page["values"]], page["metadata"]["next_marker"]) == (["a"], "b")
    assert_fault(client.get(f"{STATES}?marker=b"), 503, "systemFailureError")
