"""What has history within the retention exists: entities, their alarms and checks, in pages by id."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from notifhist.store.history import listing, register
from tests.conftest import NOW_MS, MakeApp, authorized
from tests.http.helpers import JSON, XML, assert_fault, get_json, get_xml, id_at, ids, item_at, post, read_xml, walk

MINUTE = 60_000
RETENTION = 30 * 24 * 60 * MINUTE
TENANT_URL = "/v1.0/123456"
ENTITIES = f"{TENANT_URL}/entities"
NO_MORE = {"marker": None, "next_marker": None, "next_href": None}
IN_ORDER = ("%", "0", "10", "9", "Z", "a", "a b", "aa", "b", "é", "\ue000", "ｆ", "🚨", "\U0010ffff")
"""Ids by code point: PostgreSQL's locales and UTF-16 would sort some of them otherwise."""
At = Callable[..., FlaskClient]


def series(entity: str, alarm: str = "al", check: str = "ch") -> str:
    """Return the URL of a check's history."""
    ids = (quote(each, safe="") for each in (entity, alarm, check))
    return "{}/{}/alarms/{}/notification_history/{}".format(ENTITIES, *ids)


@pytest.fixture
def at(make_app: MakeApp, key: str) -> At:
    """Makes clients of a service whose clock stands at a given time, over the same database."""
    return lambda now_ms, **settings: authorized(make_app(NOW=now_ms, **settings), key)


ENTITY: dict[str, Any] = {
    "id": "en <é>",
    "label": "en <é>",
    "metadata": None,
    "ip_addresses": None,
    "scheduled_suppressions": [],
    "active_suppressions": [],
}
ALARM = {"id": "al", "check_id": "ch", "criteria": None, "notification_plan_id": "np<"}
CHECK = {"id": "ch", "type": None, "timeout": None, "period": None, "monitoring_zones_poll": None}
ENTITY_XML = (
    '<entity id="en &lt;é&gt;"><label>en &lt;é&gt;</label><metadata/><ip_addresses/><scheduled_suppressions/>'
    "<active_suppressions/></entity>"
)
ALARM_XML = (
    '<alarm id="al"><check_id>ch</check_id><criteria/><notification_plan_id>np&lt;</notification_plan_id></alarm>'
)
CHECK_XML = '<check id="ch"><type/><timeout/><period/><monitoring_zones_poll/></check>'
DOCUMENTS = [
    ("", "/en%20%3C%C3%A9%3E", ENTITY, ENTITY_XML),
    ("/en%20%3C%C3%A9%3E/alarms", "/al", ALARM, ALARM_XML),
    ("/en%20%3C%C3%A9%3E/checks", "/ch", CHECK, CHECK_XML),
]


@pytest.mark.parametrize(("path", "id_path", "document", "xml"), DOCUMENTS, ids=["entity", "alarm", "check"])
def test_each_has_its_published_shape_alone_and_in_a_list(
    client: FlaskClient, path: str, id_path: str, document: dict[str, Any], xml: str
) -> None:
    post(client, series("en <é>"), item_at(NOW_MS, notification_plan_id="np<"))
    metadata = {"count": 1, "limit": 50, **NO_MORE}
    in_xml = f"<container><values>{xml}</values><metadata><count>1</count><limit>50</limit><marker/><next_marker/>"
    for base in (ENTITIES, "/entities"):
        one, page = f"{base}{path}{id_path}", f"{base}{path}"
        assert json.dumps(get_json(client, one)) == json.dumps(document)
        assert json.dumps(get_json(client, page)) == json.dumps({"values": [document], "metadata": metadata})
        for url, expected in ((one, xml), (page, f"{in_xml}<next_href/></metadata></container>")):
            response = client.get(url, headers={"Accept": XML})
            read_xml(response)
            assert response.text == f'<?xml version="1.0" encoding="utf-8"?>\n{expected}'


@pytest.mark.parametrize("path", ["/en", "/en/alarms/al", "/en/checks/ch"])
def test_one_has_an_etag_of_each_format_and_a_head(client: FlaskClient, path: str) -> None:
    post(client, series("en"), item_at(NOW_MS))
    tags = set()
    for accept in (JSON, XML):
        response = client.get(ENTITIES + path, headers={"Accept": accept})
        headers = {"Accept": accept, "If-None-Match": response.headers["ETag"]}
        assert client.get(ENTITIES + path, headers=headers).status_code == 304
        head = client.head(ENTITIES + path, headers={"Accept": accept})
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == str(len(response.data))
        tags.add(response.headers["ETag"])
    assert len(tags) == 2


def test_a_tenant_without_history_has_no_entities(client: FlaskClient) -> None:
    assert get_json(client, ENTITIES) == {"values": [], "metadata": {"count": 0, "limit": 50, **NO_MORE}}
    assert len(get_xml(client, ENTITIES).findall("values/*")) == 0


UNKNOWN = ("/none", "/none/alarms", "/none/checks", "/EN", "/en/alarms/none", "/en/checks/none", "/en/checks/al")
OF_ANOTHER = ("/en/alarms/al2", "/en/checks/ch2", "/en2/alarms/al", "/en2/checks/ch")


@pytest.mark.parametrize("path", [*UNKNOWN, *OF_ANOTHER])
def test_what_has_no_history_is_404_in_the_callers_format(client: FlaskClient, path: str) -> None:
    for entity, number in (("en", ""), ("en2", "2")):
        post(client, series(entity, f"al{number}", f"ch{number}"), item_at(NOW_MS))
    assert_fault(client.get(ENTITIES + path), 404, "notFoundError")
    assert get_xml(client, ENTITIES + path, 404).findtext("type") == "notFoundError"


def test_to_the_minute_of_the_retention_it_exists_and_then_no_more(at: At) -> None:
    urls = [ENTITIES + path for path in ("/en", "/en/alarms", "/en/alarms/al", "/en/checks", "/en/checks/ch")]
    recorder = at(NOW_MS)
    post(recorder, series("en"), item_at(NOW_MS))
    post(recorder, series("en2"), item_at(NOW_MS + MINUTE))
    for now, is_there in ((0, True), (MINUTE, False)):
        client = at(NOW_MS + RETENTION + now)
        for url in urls:
            assert client.get(url).status_code == (200 if is_there else 404), url
        assert walk(client, ENTITIES) == [["en", "en2"] if is_there else ["en2"]]
        assert walk(client, f"{ENTITIES}?limit=1&reverse=true") == ([["en2"], ["en"]] if is_there else [["en2"]])
    assert walk(at(NOW_MS + 9 * RETENTION, RETENTION_DAYS=0), ENTITIES) == [["en", "en2"]]


def test_what_has_lost_its_last_item_does_not_exist(client: FlaskClient) -> None:
    items = [item_at(NOW_MS, n) for n in range(2)]
    post(client, series("en"), {"values": items})
    for item, status in zip(items, (200, 404), strict=True):
        assert client.delete(f"{series('en')}/{item['id']}").status_code == 204
        for path in ("/en", "/en/alarms/al", "/en/checks/ch"):
            assert client.get(ENTITIES + path).status_code == status


def test_what_was_recorded_after_it_had_expired_never_exists(client: FlaskClient) -> None:
    post(client, series("en"), item_at(NOW_MS - RETENTION - 1))
    assert walk(client, ENTITIES) == [[]]
    assert_fault(client.get(f"{ENTITIES}/en"), 404, "notFoundError")
    assert_fault(client.get(f"{ENTITIES}/en/alarms"), 404, "notFoundError")


def test_an_alarm_has_the_check_and_the_plan_of_its_newest_item(at: At) -> None:
    client = at(NOW_MS)
    newest = [(-3, "b", "np1"), (-2, "a", None), (-1, "c", "np3"), (-2 * RETENTION, "d", "np4"), (-4, "c", "np5")]
    for time, check, plan in newest:
        plans: dict[str, Any] = {} if plan is None else {"notification_plan_id": plan}
        post(client, series("en", "al", check), item_at(NOW_MS + time, **plans))

    def assert_alarm(client: FlaskClient, check_id: str, plan: str | None) -> None:
        alarm = {"id": "al", "check_id": check_id, "criteria": None, "notification_plan_id": plan}
        assert get_json(client, f"{ENTITIES}/en/alarms/al") == alarm
        assert get_json(client, f"{ENTITIES}/en/alarms")["values"] == [alarm]

    assert_alarm(client, "c", "np3")
    client.delete(f"{series('en', 'al', 'c')}/{id_at(NOW_MS - 1)}")
    assert_alarm(client, "a", None)
    post(client, series("en", "al", "b"), item_at(NOW_MS + 5))  # of the future
    assert_alarm(client, "b", None)
    assert_alarm(at(NOW_MS + RETENTION - 1), "b", None)


def test_a_check_of_several_alarms_is_listed_once(client: FlaskClient) -> None:
    for alarm, check in (("a1", "x"), ("a2", "x"), ("a2", "w"), ("a3", "x"), ("a3", "y")):
        post(client, series("en", alarm, check), item_at(NOW_MS))
    assert walk(client, f"{ENTITIES}/en/checks?limit=1") == [["w"], ["x"], ["y"]]
    assert get_json(client, f"{ENTITIES}/en/checks/x")["id"] == "x"
    assert walk(client, f"{ENTITIES}/en/alarms?limit=2") == [["a1", "a2"], ["a3"]]


LISTS = {
    ENTITIES: lambda each: series(each),
    f"{ENTITIES}/en/alarms": lambda each: series("en", each),
    f"{ENTITIES}/en/checks": lambda each: series("en", "al", each),
}
each_list = pytest.mark.parametrize("url", LISTS, ids=["entities", "alarms", "checks"])


@pytest.fixture
def filled(client: FlaskClient, url: str) -> FlaskClient:
    """A client of a tenant with a list of all ids of IN_ORDER, recorded in another order."""
    for n in range(len(IN_ORDER)):
        post(client, LISTS[url](IN_ORDER[n * 5 % len(IN_ORDER)]), item_at(NOW_MS))
    return client


@each_list
@pytest.mark.parametrize("reverse", [False, True])
def test_pages_follow_each_other_by_code_point(filled: FlaskClient, url: str, reverse: bool) -> None:
    expected = [*IN_ORDER][::-1] if reverse else [*IN_ORDER]
    for limit in (1, 3, len(IN_ORDER) - 1, len(IN_ORDER), 1000):
        pages = walk(filled, f"{url}?limit={limit}&reverse={reverse}")
        assert pages == [expected[n : n + limit] for n in range(0, len(expected), limit)]


@each_list
def test_the_metadata_say_where_the_next_page_is(filled: FlaskClient, url: str) -> None:
    first = get_json(filled, f"{url}?limit=12&x=%20")["metadata"]
    href = f"http://localhost{url}?limit=12&x=%20&marker=%F0%9F%9A%A8"
    assert first == {"count": 12, "limit": 12, "marker": None, "next_marker": "🚨", "next_href": href}
    second = get_json(filled, first["next_href"])["metadata"]
    assert second == {"count": 2, "limit": 12, **NO_MORE, "marker": "🚨"}
    page = get_xml(filled, f"{url}?limit=12&x=%20")
    assert [each.get("id") for each in page.iterfind("values/*")] == [*IN_ORDER[:12]]
    assert {each.tag: each.text for each in page.iterfind("metadata/*")} == {
        name: None if value is None else str(value) for name, value in first.items()
    }


@each_list
def test_a_marker_need_not_exist(filled: FlaskClient, url: str) -> None:
    for marker in ("!", "a", "a ", "ab", "zz", "\U0010ffff" * 255, "10"):
        forward, backward = (
            walk(filled, f"{url}?marker={quote(marker)}&reverse={reverse}") for reverse in ("false", "true")
        )
        assert forward == [[each for each in IN_ORDER if each >= marker]]
        assert backward == [[each for each in IN_ORDER[::-1] if each <= marker]]


@each_list
def test_a_marker_that_can_be_no_id_is_refused(filled: FlaskClient, url: str) -> None:
    for marker in ("", "a/b", "%00", "%0A", "x" * 256):
        fault = assert_fault(filled.get(f"{url}?marker={marker}"), 400, "badRequest")
        assert fault["details"].startswith("marker: "), marker


@each_list
def test_a_limit_out_of_bounds_is_refused(filled: FlaskClient, url: str) -> None:
    for query in ("limit=0", "limit=1001", "limit=x", "limit=0&marker="):
        fault = assert_fault(filled.get(f"{url}?{query}"), 400, "invalidLimit")
        assert "limit: " in fault["details"], query
    assert_fault(filled.get(f"{url}?reverse=maybe"), 400, "badRequest")


@each_list
def test_the_default_limit_is_the_setting(filled: FlaskClient, url: str, make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(DEFAULT_LIMIT=4), key)
    page = get_json(client, url)
    assert (ids(page), page["metadata"]["limit"]) == ([*IN_ORDER[:4]], 4)


def test_the_longest_ids_are_listed_and_found(client: FlaskClient) -> None:
    long = [character * 255 for character in ("a", "\U0010ffff", "🚨")]
    for entity in long:
        for alarm in long:
            post(client, series(entity, alarm, alarm), item_at(NOW_MS))
    assert walk(client, f"{ENTITIES}?limit=1") == [[each] for each in sorted(long)]
    url = f"{ENTITIES}/{quote(long[1])}"
    assert walk(client, f"{url}/alarms?limit=2&reverse=1") == [sorted(long)[:0:-1], sorted(long)[:1]]
    for kind in ("alarms", "checks"):
        assert get_json(client, f"{url}/{kind}/{quote(long[2])}")["id"] == long[2]


@pytest.mark.parametrize("odd", ["alarms", "notification_history", "a:b", "<&>'\"", "\u200f", ".", " ", "entities"])
def test_odd_ids_are_ids_as_any(client: FlaskClient, odd: str) -> None:
    post(client, series(odd, odd, odd), item_at(NOW_MS))
    url = f"{ENTITIES}/{quote(odd, safe='')}"
    assert walk(client, ENTITIES) == [[odd]]
    for path in (url, f"{url}/alarms/{quote(odd, safe='')}", f"{url}/checks/{quote(odd, safe='')}"):
        assert get_json(client, path)["id"] == odd
        assert get_xml(client, path).get("id") == odd
    assert get_json(client, f"{url}/alarms/{quote(odd, safe='')}/notification_history") == {"check_ids": [odd]}


@pytest.mark.parametrize("path", ["/%00", f"/{'x' * 256}", "/en%2Falarms", "/en/alarms/%0A", "/en/checks/%C2%80"])
def test_what_can_be_no_id_is_refused(client: FlaskClient, path: str) -> None:
    assert_fault(client.get(ENTITIES + path), 400, "badRequest")


@pytest.mark.parametrize("path", ["/", "//", "/en/", "/en//", "/en/alarms/", "/en/alarms/al/", "/en/checks/ch/x"])
def test_what_is_no_route_is_404(client: FlaskClient, path: str) -> None:
    post(client, series("en"), item_at(NOW_MS))
    assert_fault(client.get(ENTITIES + path), 404, "notFoundError")


@pytest.mark.parametrize("reverse", ["false", "true"])
def test_a_page_looks_at_so_many_series_and_the_next_goes_on(
    at: At, monkeypatch: pytest.MonkeyPatch, reverse: str
) -> None:
    monkeypatch.setattr(listing, "MAX_SERIES_OF_PAGE", 10)
    client = at(NOW_MS)
    expired = [f"e{n:02}" for n in range(35)]
    there = ["e05x", "e20x", "f"]
    for entity in expired:
        post(client, series(entity), item_at(NOW_MS - RETENTION - 1))
    for entity in there:
        post(client, series(entity), item_at(NOW_MS))
    pages = walk(client, f"{ENTITIES}?reverse={reverse}")
    assert len(pages) == 4
    assert [each for page in pages for each in page] == (there[::-1] if reverse == "true" else there)
    assert walk(client, f"{ENTITIES}?limit=1&marker=e20x") == [["e20x"], ["f"]]


def test_an_entity_of_expired_series_does_not_exist_however_many_it_has(
    at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_SERIES_OF_PAGE", 10)
    client = at(NOW_MS)
    for n in range(25):
        post(client, series("en", f"al{n:02}", "ch"), item_at(NOW_MS - RETENTION - 1))
    for path in ("/en", "/en/alarms", "/en/checks", "/en/checks/ch", "/en/alarms?limit=1&reverse=1"):
        assert_fault(client.get(ENTITIES + path), 404, "notFoundError")
    post(client, series("en", "al24", "ch"), item_at(NOW_MS))
    assert [len(page) for page in walk(client, f"{ENTITIES}/en/alarms")] == [0, 0, 1]
    assert walk(client, f"{ENTITIES}/en/checks") == [["ch"]]


def test_a_page_of_long_texts_ends_early(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "MAX_PAGE_BYTES", 1000)
    for n in range(6):
        post(client, series("en", f"al{n}"), item_at(NOW_MS, notification_plan_id=str(n) * 600))
    assert walk(client, f"{ENTITIES}/en/alarms") == [["al0", "al1"], ["al2", "al3"], ["al4", "al5"]]


@pytest.mark.parametrize("reverse", [False, True])
def test_what_comes_and_goes_between_two_pages_neither_hides_nor_repeats_others(
    client: FlaskClient, reverse: bool
) -> None:
    for entity in "bdfhj":
        post(client, series(entity), item_at(NOW_MS))
    first = get_json(client, f"{ENTITIES}?limit=2&reverse={reverse}")
    for entity in "acegik":
        post(client, series(entity), item_at(NOW_MS))
    client.delete(f"{series('f')}/{id_at(NOW_MS)}")  # where the next page was to begin
    second = get_json(client, first["metadata"]["next_href"])
    assert [ids(first), ids(second)] == ([["j", "h"], ["e", "d"]] if reverse else [["b", "d"], ["g", "h"]])
