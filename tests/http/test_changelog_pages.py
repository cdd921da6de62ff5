"""How one pages through the changes of alarms' states, of all or of one entity."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from notifhist.config import MS_PER_DAY
from notifhist.schemas.item_ids import key_of
from tests.conftest import NOW_MS, TENANT, MakeKey, authorized
from tests.http.helpers import assert_fault, get_json, get_xml, id_at, item_at, post, send
from tests.http.item_logs import CHANGELOGS, Settle, changes, log_id, states, url_of, walk

MS = NOW_MS - 600_000
TIMES = (MS, MS + 1, MS + 2)
CHECK = url_of()


@pytest.fixture
def twelve(client: FlaskClient, settle: Settle) -> list[str]:
    """The ids of twelve changelogs in order: of four alarms at each of three times."""
    ids = []
    for ms in TIMES:
        for entity_id, alarm_id in (("enOne", "alOne"), ("enOne", "alTwo"), ("enTwo", "alOne"), ("enTwo", "alTwo")):
            post(client, url_of(entity_id, alarm_id), item_at(ms, state=f"{ms}", previous_state="before"))
            ids.append(log_id(entity_id, alarm_id, id_at(ms)))
    settle()
    return sorted(ids, key=key_of)


@pytest.mark.parametrize("limit", [1, 3, 4, 11, 12, 1000])
def test_pages_follow_each_other_both_ways(client: FlaskClient, twelve: list[str], limit: int) -> None:
    assert walk(client, f"{CHANGELOGS}?limit={limit}") == twelve
    assert walk(client, f"{CHANGELOGS}?limit={limit}&reverse=True") == twelve[::-1]


def test_metadata_are_those_of_any_page(client: FlaskClient, twelve: list[str]) -> None:
    page = get_json(client, f"{CHANGELOGS}?limit=5&x=y&reverse=true&marker={twelve[9].upper()}")
    assert [each["id"] for each in page["values"]] == twelve[9:4:-1]
    assert page["metadata"] == {
        "count": 5,
        "limit": 5,
        "marker": twelve[9].upper(),
        "next_marker": twelve[4],
        "next_href": f"http://localhost{CHANGELOGS}?limit=5&x=y&reverse=true&marker={twelve[4]}",
    }
    bare = get_json(client, "/changelogs/alarms?limit=5")
    assert bare["metadata"]["next_href"] == f"http://localhost/changelogs/alarms?limit=5&marker={twelve[5]}"
    assert bare["values"] == changes(client, "limit=5")


@pytest.mark.parametrize("reverse", ["", "&reverse=true"])
def test_what_changes_between_two_pages_hides_and_repeats_nothing_else(
    client: FlaskClient, twelve: list[str], settle: Settle, reverse: str
) -> None:
    shown = twelve[::-1] if reverse else twelve
    first = get_json(client, f"{CHANGELOGS}?limit=6{reverse}")
    items = {
        log_id(e, a, id_at(ms)): (e, a, ms) for e in ("enOne", "enTwo") for a in ("alOne", "alTwo") for ms in TIMES
    }
    for gone in (shown[1], shown[6]):  # of the page before, and the marker's own
        entity_id, alarm_id, ms = items[gone]
        assert client.delete(f"{url_of(entity_id, alarm_id)}/{id_at(ms)}").status_code == 204
    entity_id, alarm_id, ms = items[shown[8]]
    same = item_at(ms, state="same", previous_state="same")  # no change any more
    assert send(client, "PUT", f"{url_of(entity_id, alarm_id)}/{id_at(ms)}", same).status_code == 200
    entity_id, alarm_id, ms = items[shown[9]]
    other = item_at(ms, state="other", previous_state="same", notification_results=[{}, {}])
    assert send(client, "PUT", f"{url_of(entity_id, alarm_id)}/{id_at(ms)}", other).status_code == 200
    post(client, url_of(check_id="chNew"), item_at(MS - 1))
    post(client, url_of(check_id="chNew"), item_at(MS + 3))
    settle()
    rest = walk(client, first["metadata"]["next_href"])
    assert rest[:4] == [shown[7], *shown[9:]]
    assert len(rest) == 5  # and the new one on this side
    assert [each["id"] for each in first["values"]] == shown[:6]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x"])
def test_a_bad_limit_is_an_invalid_limit(client: FlaskClient, query: str) -> None:
    assert_fault(client.get(f"{CHANGELOGS}?{query}"), 400, "invalidLimit")


@pytest.mark.parametrize("query", ["from=x", "to=", "marker=x", f"marker={TENANT}", "reverse=maybe"])
def test_other_bad_parameters_are_named(client: FlaskClient, query: str) -> None:
    fault = assert_fault(client.get(f"{CHANGELOGS}?{query}"), 400, "badRequest")
    assert fault["details"].startswith(f"{query.partition('=')[0]}: ")


def test_windows_limits_and_retention_are_those_of_items(at: Callable[..., FlaskClient], settle: Settle) -> None:
    client = at(NOW_MS)
    times = [NOW_MS - 30 * MS_PER_DAY - 1, NOW_MS - 30 * MS_PER_DAY, NOW_MS - 7 * MS_PER_DAY, NOW_MS, NOW_MS + 1]
    post(client, CHECK, {"values": [item_at(ms) for ms in times]})
    settle()

    def shown(query: str = "", client: FlaskClient = client) -> list[int]:
        return [each["timestamp"] for each in changes(client, query)]

    assert shown() == times[2:4]
    assert shown(f"from=0&to={NOW_MS + 1}") == times[1:]
    assert shown(f"from=0&to={10**30}&reverse=1") == times[:0:-1]
    assert shown(f"from={NOW_MS}&to={NOW_MS}") == times[3:4]
    assert shown(f"from={NOW_MS + 1}&to={NOW_MS}") == []
    assert shown(f"from=0&marker={id_at(0)}") == times[1:4]
    assert shown("", at(NOW_MS, DEFAULT_LIMIT=1)) == times[2:3]
    assert shown("", at(NOW_MS, QUERY_WINDOW_DAYS=1)) == times[3:4]
    assert shown("from=0", at(NOW_MS, RETENTION_DAYS=0)) == times[:4]


# --- One entity


def test_an_entity_has_its_own_pages(client: FlaskClient, twelve: list[str]) -> None:
    page = changes(client, "entityId=enTwo")
    assert {each["entity_id"] for each in page} == {"enTwo"}
    assert [each["id"] for each in page] == [each["id"] for each in changes(client) if each["entity_id"] == "enTwo"]
    backwards = [each["id"] for each in page][::-1]
    first = get_json(client, f"{CHANGELOGS}?entityId=enTwo&reverse=True&limit=4")
    assert first["metadata"]["next_href"].partition("?")[2].startswith("entityId=enTwo&reverse=True&limit=4&marker=")
    assert walk(client, f"{CHANGELOGS}?entityId=enTwo&reverse=True&limit=4") == backwards
    marker = first["metadata"]["next_marker"]
    assert walk(client, f"{CHANGELOGS}?entityId=enTwo&reverse=True&limit=4&marker={marker}") == backwards[4:]
    assert get_xml(client, f"{CHANGELOGS}?entityId=enTwo&limit=1").findtext("values/*/entity_id") == "enTwo"


@pytest.mark.parametrize("entity_id", ["enNone", "entwo", "enTwo%20", "e" * 255, "%C3%A9", "*", "%25"])
def test_an_unknown_entity_has_no_changes(client: FlaskClient, twelve: list[str], entity_id: str) -> None:
    page = get_json(client, f"{CHANGELOGS}?entityId={entity_id}")
    assert (page["values"], page["metadata"]["count"], page["metadata"]["next_href"]) == ([], 0, None)


@pytest.mark.parametrize("entity_id", ["", "e" * 256, "en/One", "en%2FOne", "en%00", "en%0A"])
def test_an_entity_id_that_none_can_have_is_refused(client: FlaskClient, entity_id: str) -> None:
    fault = assert_fault(client.get(f"{CHANGELOGS}?entityId={entity_id}"), 400, "badRequest")
    assert fault["details"].startswith("entityId: ")


def test_unusual_ids_are_found(client: FlaskClient, settle: Settle) -> None:
    for entity_id in ("en%20%2B%26", "%C3%A9", "e%CC%81", "%F0%9F%9A%A6", "enOne;%20--", "e" * 255):
        post(client, url_of(entity_id), item_at(MS))
        settle()
        assert len(changes(client, f"entityId={entity_id}")) == 1, entity_id


# --- Tenants


def test_tenants_see_their_own(client: FlaskClient, app: Flask, make_key: MakeKey, settle: Settle) -> None:
    other = authorized(app, make_key(tenant="654321"))
    assert changes(other, url="/changelogs/alarms") == []
    assert changes(other, "entityId=enOne", "/changelogs/alarms") == []
    post(client, CHECK, item_at(MS, state="ours"))
    post(client, CHECK, item_at(MS + 2, state="last"))
    post(other, CHECK, item_at(MS + 1, state="theirs"))
    post(other, url_of("enTheirs"), item_at(MS + 1))
    settle()
    assert states(client) == ["UNKNOWN > ours", "ours > last"]
    assert changes(client, "entityId=enTheirs") == []
    theirs = changes(other, url="/changelogs/alarms")
    assert sorted((each["entity_id"], each["previous_state"]) for each in theirs) == [
        ("enOne", "UNKNOWN"),
        ("enTheirs", "UNKNOWN"),
    ]
    assert_fault(other.get(CHANGELOGS), 403, "forbiddenError")
