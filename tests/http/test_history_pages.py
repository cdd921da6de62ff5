from itertools import pairwise

import pytest
from flask.testing import FlaskClient

from tests.conftest import NOW_MS, MakeApp, authorized
from tests.http.helpers import CHECK, assert_fault, get_json, get_xml, id_at, ids, item_at, post, walk

HOUR = 3_600_000
OLDEST = NOW_MS - 9 * HOUR


@pytest.fixture
def ten(client: FlaskClient) -> list[str]:
    """The ids of ten items, an hour apart; the last is of now. They were recorded in another order."""
    numbers = [3, 7, 0, 9, 1, 8, 5, 2, 6, 4]
    post(client, CHECK, {"values": [item_at(OLDEST + number * HOUR) for number in numbers]})
    return [id_at(OLDEST + number * HOUR) for number in range(10)]


def flat(pages: list[list[str]]) -> list[str]:
    return [each for page in pages for each in page]


def test_the_oldest_comes_first(client: FlaskClient, ten: list[str]) -> None:
    page = get_json(client, CHECK)
    assert ids(page) == ten
    assert list(page["metadata"].items()) == [
        ("count", 10),
        ("limit", 50),
        ("marker", None),
        ("next_marker", None),
        ("next_href", None),
    ]


@pytest.mark.parametrize("reverse", ["true", "True", "1", "yes"])
def test_reverse_is_the_mirror(client: FlaskClient, ten: list[str], reverse: str) -> None:
    assert ids(get_json(client, f"{CHECK}?reverse={reverse}")) == ten[::-1]


@pytest.mark.parametrize("reverse", ["false", "False", "0", "no"])
def test_not_reverse_is_as_usual(client: FlaskClient, ten: list[str], reverse: str) -> None:
    assert ids(get_json(client, f"{CHECK}?reverse={reverse}")) == ten


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limit", [1, 3, 5, 9, 10, 11, 1000])
def test_pages_follow_each_other_without_gap_or_repetition(
    client: FlaskClient, ten: list[str], limit: int, reverse: bool
) -> None:
    pages = walk(client, f"{CHECK}?limit={limit}&reverse={reverse}")
    expected = ten[::-1] if reverse else ten
    assert pages == [expected[n : n + limit] for n in range(0, 10, limit)]


def test_the_metadata_say_where_the_next_page_is(client: FlaskClient, ten: list[str]) -> None:
    url = f"{CHECK}?limit=4"
    first = get_json(client, url)["metadata"]
    assert first == {
        "count": 4,
        "limit": 4,
        "marker": None,
        "next_marker": ten[4],
        "next_href": f"http://localhost{url}&marker={ten[4]}",
    }
    second = get_json(client, first["next_href"])
    assert ids(second) == ten[4:8]
    assert (second["metadata"]["marker"], second["metadata"]["next_marker"]) == (ten[4], ten[8])
    last = get_json(client, second["metadata"]["next_href"])["metadata"]
    assert (last["count"], last["marker"], last["next_marker"], last["next_href"]) == (2, ten[8], None, None)


def test_a_page_in_xml_says_the_same(client: FlaskClient, ten: list[str]) -> None:
    page = get_xml(client, f"{CHECK}?limit=2&marker={ten[3]}&reverse=true")
    assert [item.get("id") for item in page.iterfind("values/*")] == [ten[3], ten[2]]
    href = f"http://localhost{CHECK}?limit=2&reverse=true&marker={ten[1]}"
    assert [(each.tag, each.text) for each in page.iterfind("metadata/*")] == [
        ("count", "2"),
        ("limit", "2"),
        ("marker", ten[3]),
        ("next_marker", ten[1]),
        ("next_href", href),
    ]
    assert [item.get("id") for item in get_xml(client, href).iterfind("values/*")] == [ten[1], ten[0]]


def test_a_marker_is_the_first_item_of_the_page_in_any_case(client: FlaskClient, ten: list[str]) -> None:
    page = get_json(client, f"{CHECK}?marker={ten[7].upper()}")
    assert ids(page) == ten[7:]
    assert page["metadata"]["marker"] == ten[7].upper()
    assert ids(get_json(client, f"{CHECK}?marker={ten[2]}&reverse=true")) == ten[2::-1]


@pytest.mark.parametrize(
    ("ms", "forward", "backward"),
    [
        (OLDEST - 1, slice(0, 10), slice(0, 0)),
        (OLDEST + 1, slice(1, 10), slice(0, 1)),
        (NOW_MS + 1, slice(0, 0), slice(0, 10)),
        (0, slice(0, 10), slice(0, 0)),
        (103_072_857_660_684, slice(0, 0), slice(0, 10)),
    ],
)
def test_a_marker_need_not_be_there(
    client: FlaskClient, ten: list[str], ms: int, forward: slice, backward: slice
) -> None:
    assert ids(get_json(client, f"{CHECK}?marker={id_at(ms, 5)}")) == ten[forward]
    assert ids(get_json(client, f"{CHECK}?marker={id_at(ms, 5)}&reverse=true")) == ten[backward][::-1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"from={OLDEST + 3 * HOUR}", slice(3, 10)),
        (f"from={OLDEST + 3 * HOUR + 1}", slice(4, 10)),
        (f"to={OLDEST + 3 * HOUR}", slice(0, 4)),
        (f"to={OLDEST + 3 * HOUR - 1}", slice(0, 3)),
        (f"from={OLDEST + HOUR}&to={OLDEST + HOUR}", slice(1, 2)),
        (f"from={OLDEST + HOUR}&to={OLDEST + 5 * HOUR}", slice(1, 6)),
        (f"from={OLDEST + 2}&to={OLDEST + 1}", slice(0, 0)),
        (f"from={NOW_MS + 1}", slice(0, 0)),
        (f"to={NOW_MS + 10**15}&from=-{10**15}", slice(0, 10)),
        (f"to={10**30}&from=-{10**30}", slice(0, 10)),
        ("to=0", slice(0, 0)),
    ],
)
def test_from_and_to_are_inclusive(client: FlaskClient, ten: list[str], query: str, expected: slice) -> None:
    assert ids(get_json(client, f"{CHECK}?{query}")) == ten[expected]
    assert ids(get_json(client, f"{CHECK}?{query}&reverse=true")) == ten[expected][::-1]


def test_pages_stay_within_from_and_to(client: FlaskClient, ten: list[str]) -> None:
    window = f"from={OLDEST + 2 * HOUR}&to={OLDEST + 7 * HOUR}"
    assert walk(client, f"{CHECK}?{window}&limit=4") == [ten[2:6], ten[6:8]]
    assert walk(client, f"{CHECK}?{window}&limit=4&reverse=1") == [ten[7:3:-1], ten[3:1:-1]]
    assert ids(get_json(client, f"{CHECK}?{window}&marker={ten[0]}")) == ten[2:8]
    assert ids(get_json(client, f"{CHECK}?{window}&marker={ten[9]}")) == []


def test_equal_timestamps_are_ordered_by_ticks_and_then_by_id(client: FlaskClient) -> None:
    lowest, highest = "8000-000000000000", "bfff-ffffffffffff"
    prefixes = [id_at(NOW_MS - 1, ticks=ticks)[:19] for ticks in (0, 1, 9_999)]
    expected = [f"{prefix}{rest}" for prefix in prefixes for rest in (lowest, "9abc-000000000001", highest)]
    items = [{"id": each, "state": "OK", "notification_results": []} for each in expected]
    post(client, CHECK, {"values": items[::-1]})
    page = get_json(client, CHECK)
    assert ids(page) == expected
    assert {item["timestamp"] for item in page["values"]} == {NOW_MS - 1}
    for limit in (1, 2, 4):
        forward = walk(client, f"{CHECK}?limit={limit}")
        backward = walk(client, f"{CHECK}?limit={limit}&reverse=true")
        assert flat(forward) == expected
        assert flat(backward) == expected[::-1]


def test_items_that_arrive_between_two_pages_hide_and_repeat_none(client: FlaskClient, ten: list[str]) -> None:
    first = get_json(client, f"{CHECK}?limit=5")
    post(client, CHECK, item_at(OLDEST + 1))
    post(client, CHECK, item_at(OLDEST + 6 * HOUR + 1))
    rest = walk(client, first["metadata"]["next_href"])
    assert [*ids(first), *flat(rest)] == [*ten[:7], id_at(OLDEST + 6 * HOUR + 1), *ten[7:]]


def test_items_that_are_deleted_between_two_pages_hide_none(client: FlaskClient, ten: list[str]) -> None:
    first = get_json(client, f"{CHECK}?limit=5")
    for gone in (ten[1], ten[5], ten[7]):  # of the page before, the marker's own, one behind it
        assert client.delete(f"{CHECK}/{gone}").status_code == 204
    rest = walk(client, first["metadata"]["next_href"])
    assert flat(rest) == [ten[6], ten[8], ten[9]]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "ten", "1.5", "", "%20", "1e2", "9" * 400])
def test_a_bad_limit_is_an_invalid_limit(client: FlaskClient, limit: str) -> None:
    fault = assert_fault(client.get(f"{CHECK}?limit={limit}"), 400, "invalidLimit")
    assert fault["details"].startswith("limit: ")


@pytest.mark.parametrize(
    "query",
    ["from=x", "to=x", "from=", "marker=x", "marker=", "marker=646ac7b0-0b34-41e1-a0a1-0ff89fa2fa26", "reverse=x"],
)
def test_another_bad_parameter_is_a_bad_request(client: FlaskClient, query: str) -> None:
    fault = assert_fault(client.get(f"{CHECK}?{query}"), 400, "badRequest")
    assert fault["details"].startswith(query.partition("=")[0] + ": ")


def test_the_limits_of_the_limit_are_taken(client: FlaskClient, ten: list[str]) -> None:
    assert ids(get_json(client, f"{CHECK}?limit=1")) == ten[:1]
    assert get_json(client, f"{CHECK}?limit=1000")["metadata"]["limit"] == 1000


def test_the_default_limit_is_a_setting(make_app: MakeApp, key: str, ten: list[str]) -> None:
    client = authorized(make_app(DEFAULT_LIMIT=3), key)
    page = get_json(client, CHECK)
    assert ids(page) == ten[:3]
    assert page["metadata"]["limit"] == 3
    assert walk(client, CHECK) == [ten[0:3], ten[3:6], ten[6:9], ten[9:]]


def test_a_page_of_a_thousand_comes_whole_and_in_order(client: FlaskClient) -> None:
    items = [item_at(NOW_MS - n % 7, n) for n in range(1001)]
    post(client, CHECK, {"values": items})
    page = get_json(client, f"{CHECK}?limit=1000")
    assert page["metadata"]["count"] == 1000
    keys = [(item["timestamp"], item["id"]) for item in page["values"]]
    assert all(one < other for one, other in pairwise(keys))
    assert len(get_json(client, page["metadata"]["next_href"])["values"]) == 1
