"""Which time a list of deliveries is about, and how its pages follow each other."""

from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient

from tests.conftest import NOW_MS, MakeApp, authorized
from tests.http.delivery_data import DAY, DELIVERIES, HOUR, MINUTE, Delivery, check_of, ids, listed, results_of, seed
from tests.http.helpers import assert_fault, get_json, get_xml, id_at, item_at, pages_from, post, send


def place(delivery: Delivery) -> tuple[int, str]:
    return delivery["timestamp"], delivery["id"]


def walk(client: FlaskClient, query: str, between: Any = None) -> list[str]:
    """Return the ids on all pages; `between` is called with the metadata of each page that has a next one."""
    found: list[str] = []
    for page in pages_from(client, f"{DELIVERIES}?{query}"):
        found += ids(page["values"])
        if page["metadata"]["next_href"] and between:
            between(page["metadata"])
    return found


@pytest.mark.parametrize("limit", [1, 7, 50, 99, 1000])
def test_pages_follow_each_other_without_gap_or_repetition(client: FlaskClient, limit: int) -> None:
    seeded = seed(client)
    assert seeded == sorted(seeded, key=place)
    if limit == 1:  # each page is a request
        seeded = [each for each in seeded if each["timestamp"] > NOW_MS - 8 * HOUR]
    window = f"from={seeded[0]['timestamp']}"
    assert listed(client, window, limit) == seeded
    assert listed(client, f"{window}&reverse=true", limit) == seeded[::-1]


def test_the_metadata_say_where_the_next_page_is(client: FlaskClient) -> None:
    expected = [each for each in seed(client) if each["state"] == "OK"]
    first = get_json(client, f"{DELIVERIES}?limit=3&state=OK&reverse=no")["metadata"]
    marker = expected[3]["id"]
    assert first == {
        "count": 3,
        "limit": 3,
        "marker": None,
        "next_marker": marker,
        "next_href": f"http://localhost{DELIVERIES}?limit=3&state=OK&reverse=no&marker={marker}",
        "total": len(expected),
    }
    second = get_json(client, first["next_href"])
    assert second["values"] == expected[3:6]
    assert (second["metadata"]["marker"], second["metadata"]["total"]) == (marker, len(expected))


@pytest.mark.parametrize(
    "query",
    [
        "state=OK&state=WARNING,CRITICAL&outcome=sent,failed&limit=2",
        "q=%C3%9F%20%26%3D%2B+x&limit=1&entity_id=enOne&other=%F0%9F%9A%A8",
        "format=json&rows=attempts&from=2011-11-01&to=2011-11-10T00:59:00%2B00:00&limit=1",
    ],
)
def test_the_next_page_is_asked_for_as_this_one(client: FlaskClient, query: str) -> None:
    seed(client)
    results = [{"success": True, "message": "STRASSE &=+ x SS &=+ X"}] * 3
    post(client, check_of(), item_at(NOW_MS - HOUR, notification_results=results))
    page = get_json(client, f"{DELIVERIES}?{query}")
    href = page["metadata"]["next_href"]
    assert parse_qsl(urlsplit(href).query) == [*parse_qsl(query), ("marker", page["metadata"]["next_marker"])]
    assert len(listed(client, query, 2)) == page["metadata"]["total"] >= 3


@pytest.mark.parametrize("reverse", ["false", "true"])
def test_each_delivery_comes_once_while_others_arrive_change_and_go(client: FlaskClient, reverse: str) -> None:
    seeded = seed(client)
    if reverse == "true":
        seeded.reverse()
    numbers = count(100)
    # What the walk has passed or not, as it comes: new ones between, old ones replaced, and some that go.
    replaced = {each["item_id"] for each in seeded[30::9] if each["entity_id"] == "enOne"}
    gone = {each["item_id"] for each in seeded[20::11] if each["entity_id"] == "enOne"} - replaced
    changes = iter([*(("PUT", each) for each in sorted(replaced)), *(("DELETE", each) for each in sorted(gone))])

    def change(metadata: dict[str, Any]) -> None:
        n = next(numbers)
        post(client, check_of(), item_at(NOW_MS - n * 13 * MINUTE, n, status="arrives", notification_results=[{}]))
        for method, item_id in [each for each in [next(changes, None)] if each]:
            url = f"{check_of()}/{item_id}"
            item = get_json(client, url)
            new = {**item, "state": "WARNING", "status": "replaced"}
            response = client.delete(url) if method == "DELETE" else send(client, "PUT", url, new)
            assert response.status_code in (200, 204)

    found = walk(client, f"limit=4&reverse={reverse}", change)
    assert next(changes, None) is None
    assert len(found) == len(set(found))
    stayed = [each["id"] for each in seeded if each["item_id"] not in gone]
    seen = set(found)
    assert [each for each in found if each in set(stayed)] == stayed
    now = {each["id"]: each for each in listed(client)}
    assert {each for each in seen if each in now} >= set(stayed)
    assert {now[each]["status"] for each in stayed if now[each]["item_id"] in replaced} == {"replaced"}


@pytest.mark.parametrize("reverse", [False, True])
def test_the_marker_of_what_is_gone_still_works(client: FlaskClient, reverse: bool) -> None:
    seeded = seed(client)
    ordered = seeded[::-1] if reverse else seeded
    query = f"reverse={reverse}&marker={ordered[70]['id']}"
    assert get_json(client, f"{DELIVERIES}?limit=1000&{query}")["values"] == ordered[70:]
    gone = ordered[70]["item_id"]
    assert client.delete(f"{check_of()}/{gone}").status_code == 204
    rest = [each for each in ordered[70:] if each["item_id"] != gone]
    page = get_json(client, f"{DELIVERIES}?limit=1000&{query}")
    assert page["values"] == rest
    assert page["metadata"]["total"] == len([each for each in seeded if each["item_id"] != gone])


@pytest.mark.parametrize(("ms", "there"), [(0, slice(0, None)), (103_072_857_660_684, slice(0, 0))])
def test_a_marker_need_not_be_there(client: FlaskClient, ms: int, there: slice) -> None:
    seeded = seed(client)
    assert get_json(client, f"{DELIVERIES}?limit=1000&marker={id_at(ms)}")["values"] == seeded[there]
    page = get_json(client, f"{DELIVERIES}?limit=1000&marker={id_at(ms)}&reverse=true")
    assert page["values"] == ([] if seeded[there] else seeded[::-1])
    assert page["metadata"]["total"] == len(seeded)


def test_pages_in_xml_go_the_same_way(client: FlaskClient) -> None:
    seeded = seed(client)
    found: list[str | None] = []
    url = f"{DELIVERIES}?limit=60&state=OK"
    while url:
        page = get_xml(client, url)
        found += [each.get("id") for each in page.iterfind("values/delivery")]
        assert page.findtext("metadata/total") == str(len([each for each in seeded if each["state"] == "OK"]))
        url = page.findtext("metadata/next_href") or ""
    assert found == [each["id"] for each in seeded if each["state"] == "OK"]


EDGE = NOW_MS - DAY
WINDOWS: tuple[tuple[str, tuple[int, int]], ...] = (
    ("", (NOW_MS - 7 * DAY, NOW_MS)),
    (f"from={EDGE}", (EDGE, NOW_MS)),
    (f"from={EDGE + 1}", (EDGE + 1, NOW_MS)),
    (f"to={EDGE}", (EDGE - 7 * DAY, EDGE)),
    (f"to={EDGE - 1}", (0, EDGE - 1)),
    (f"from={EDGE}&to={EDGE}", (EDGE, EDGE)),
    (f"from={EDGE + 1}&to={EDGE}", (1, 0)),
    ("from=2011-11-09T01:00:00Z&to=2011-11-09T03:30:00%2B02:00", (EDGE, EDGE + 30 * MINUTE)),
    ("from=2011-11-09T00:59:59.999&to=2011-11-09 01:00", (EDGE - 1, EDGE)),
    ("from=2011-11-09&to=2011-11-09", (EDGE - HOUR, EDGE + 23 * HOUR - 1)),
    (f"to={NOW_MS + 10**15}&from=-{10**15}", (0, NOW_MS)),
    (f"to={10**30}&from=-{10**30}", (0, NOW_MS)),
    (f"from={10**30}", (1, 0)),
    (f"to={10**30}", (1, 0)),
    (f"to=-{10**30}", (1, 0)),
    ("from=-5&to=-1", (1, 0)),
    ("from=103072857660684&to=103072857660684", (1, 0)),
    ("to=0", (1, 0)),
)


@pytest.mark.parametrize(("query", "window"), WINDOWS)
def test_from_and_to_are_inclusive_wherever_deliveries_are_asked_for(
    client: FlaskClient, query: str, window: tuple[int, int]
) -> None:
    for ms in (EDGE - 1, EDGE, EDGE + 1):
        post(client, check_of(), item_at(ms, notification_results=results_of(0, 2)))
    expected = [each for each in seed(client) if window[0] <= each["timestamp"] <= window[1]]
    assert listed(client, query) == expected
    assert listed(client, f"{query}&reverse=1") == expected[::-1]
    receivers = get_json(client, f"{DELIVERIES}/receivers?{query}")["values"]
    assert sum(sum(each["counts"].values()) for each in receivers) == len(
        [each for each in expected if {"notification_id", "notification_type", "target"} & each.keys()]
    )


@pytest.mark.parametrize("ms", [0, 1, 103_072_857_660_684])
def test_the_first_and_the_last_moment_of_ids_are_asked_for(make_app: MakeApp, key: str, ms: int) -> None:
    client = authorized(make_app(RETENTION_DAYS=0), key)
    post(client, check_of(), item_at(ms, status="edge"))
    for window in (f"from={ms}&to={ms}", f"from=-{10**30}&to={10**30}"):
        assert [each["status"] for each in listed(client, window)] == ["edge"]
    assert listed(client, f"from={ms + 1}&to={10**30}") == []
    assert listed(client, f"from=-{10**30}&to={ms - 1}") == []
    (bucket,) = get_json(client, f"{DELIVERIES}/counts?from={ms}&to={ms}&by=state")["values"]
    assert bucket == {"from": ms, "to": ms, "counts": {"OK": 1}}


def test_what_expires_is_gone_from_list_counts_and_receivers(make_app: MakeApp, key: str) -> None:
    begin = NOW_MS - 30 * DAY
    times = [begin + n * MINUTE for n in range(5)]
    recorder = authorized(make_app(), key)
    post(recorder, check_of(), {"values": [item_at(ms, notification_results=results_of(0, 1)) for ms in times]})
    (marker, *_) = listed(recorder, "from=0")
    for n in range(7):
        client = authorized(make_app(NOW=NOW_MS + n * MINUTE - 30_000), key)
        left = times[n:]
        assert [each["timestamp"] for each in listed(client, "from=0")] == left
        assert [each["timestamp"] for each in listed(client, f"from=0&marker={marker['id']}")] == left
        counts = get_json(client, f"{DELIVERIES}/counts?from=0&to={NOW_MS}&interval=365d&by=notification_id")
        assert sum(each["counts"].get("ntMail", 0) for each in counts["values"]) == len(left)
        receivers = get_json(client, f"{DELIVERIES}/receivers?from=0")["values"]
        assert [each["counts"] for each in receivers] == ([{"sent": len(left)}] if left else [])
        lines = client.get(f"{DELIVERIES}?from=0&format=ndjson").data.splitlines()
        assert len(lines) == len(left)


def test_the_default_limit_and_the_window_are_settings(make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(DEFAULT_LIMIT=3, QUERY_WINDOW_DAYS=1), key)
    seeded = [each for each in seed(client) if each["timestamp"] >= NOW_MS - DAY]
    page = get_json(client, DELIVERIES)
    assert page["values"] == seeded[:3]
    assert (page["metadata"]["limit"], page["metadata"]["total"]) == (3, len(seeded))


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "ten", "1.5", "", "%20", "1e2", "9" * 400])
def test_a_bad_limit_is_an_invalid_limit(client: FlaskClient, limit: str) -> None:
    for more in ("", "&format=csv", "&format=ndjson&rows=attempts"):
        fault = assert_fault(client.get(f"{DELIVERIES}?limit={limit}{more}"), 400, "invalidLimit")
        assert fault["details"].startswith("limit: ")


@pytest.mark.parametrize(
    "query",
    [
        *("from=x", "to=x", "from=", "marker=x", "marker=", "marker=646ac7b0-0b34-41e1-a0a1-0ff89fa2fa26"),
        *("reverse=x", "rows=", "rows=all", "rows=Attempts", "q=%00", "state=a%00", "notification_type=%00,x"),
        *("notification_id=%00", "entity_id=a&entity_id=%00", "transaction_id=%00", "marker=%00", "outcome=%00"),
    ],
)
def test_another_bad_parameter_is_a_bad_request(client: FlaskClient, query: str) -> None:
    name = query.partition("=")[0]
    for more in ("", "&format=csv", "&format=ndjson&rows=attempts"):
        fault = assert_fault(client.get(f"{DELIVERIES}?{query}{more}"), 400, "badRequest")
        assert fault["details"].startswith(f"{name}: ")
    if name not in ("marker", "reverse", "rows"):
        for below in ("counts", "receivers"):
            fault = assert_fault(client.get(f"{DELIVERIES}/{below}?{query}"), 400, "badRequest")
            assert fault["details"].startswith(f"{name}: ")


def test_a_query_string_that_is_no_utf_8_is_refused(client: FlaskClient) -> None:
    for below in ("", "/counts", "/receivers"):
        response = client.get(f"{DELIVERIES}{below}", environ_overrides={"QUERY_STRING": "q=\xff"})
        assert_fault(response, 400, "badRequest")


def test_unknown_parameters_are_ignored(client: FlaskClient) -> None:
    seeded = seed(client)
    assert listed(client, "position=1&page=3&searchQuery=none&id=x&outcomes=none&%C3%BC=") == seeded
    for below in ("counts", "receivers"):
        plain = get_json(client, f"{DELIVERIES}/{below}")
        ignored = "limit=0&marker=x&reverse=x&format=html&rows=x&page=-1"
        assert get_json(client, f"{DELIVERIES}/{below}?{ignored}") == plain
