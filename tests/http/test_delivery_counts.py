"""How many deliveries there are of each name, in each bucket of time."""

from collections import Counter
from typing import Any

import pytest
from flask.testing import FlaskClient

from notifhist.schemas.delivery_queries import INTERVALS_MS
from tests.conftest import NOW_MS, MakeApp, authorized
from tests.http.delivery_data import DAY, DELIVERIES, HOUR, MINUTE, check_of, listed, results_of, seed
from tests.http.helpers import XML, assert_fault, get_json, get_xml, item_at, post

COUNTS = f"{DELIVERIES}/counts"
BY = ("outcome", "state", "notification_type", "notification_id")
INTERVALS = {
    **{"1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "30m": 30 * MINUTE, "1h": HOUR, "3h": 3 * HOUR},
    **{"6h": 6 * HOUR, "12h": 12 * HOUR, "1d": DAY, "2d": 2 * DAY, "7d": 7 * DAY, "30d": 30 * DAY},
    **{"90d": 90 * DAY, "365d": 365 * DAY},
}


def buckets(client: FlaskClient, query: str = "") -> list[dict[str, Any]]:
    """Return the buckets of counts, once they follow each other without gap and have no count of zero."""
    document = get_json(client, f"{COUNTS}?{query}")
    assert list(document) == ["values"]
    values: list[dict[str, Any]] = document["values"]
    for n, bucket in enumerate(values):
        assert list(bucket) == ["from", "to", "counts"]
        assert bucket["from"] <= bucket["to"]
        assert all(count > 0 for count in bucket["counts"].values())
        assert not n or bucket["from"] == values[n - 1]["to"] + 1
    return values


def counted(client: FlaskClient, query: str = "") -> dict[str, int]:
    """Return the sums of all buckets."""
    sums = Counter[str]()
    for bucket in buckets(client, query):
        sums.update(bucket["counts"])
    return dict(sums)


def test_the_intervals_are_those_of_the_contract() -> None:
    assert list(INTERVALS_MS.items()) == list(INTERVALS.items())


def test_outcomes_are_counted_unless_the_query_says_by_what(client: FlaskClient) -> None:
    results: list[Any] = [{"success": True}, {"success": False}, {}, {"in_progress": True}, {"success": False}]
    post(client, check_of(), item_at(NOW_MS - 1, notification_results=results))
    post(client, check_of(), item_at(NOW_MS))
    assert buckets(client, f"interval=1m&from={NOW_MS - MINUTE}") == [
        {"from": NOW_MS - MINUTE, "to": NOW_MS - 1, "counts": {"in_progress": 1, "sent": 1, "failed": 2, "unknown": 1}},
        {"from": NOW_MS, "to": NOW_MS, "counts": {"not_sent": 1}},
    ]


FILTERS = (
    *("", "outcome=failed,sent", "state=OK", "state=OK,CRITICAL&outcome=failed", "notification_type=email"),
    *("notification_id=ntMail&notification_id=ntHook", "notification_plan_id=np1", "entity_id=en0", "check_id=ch1"),
    *("transaction_id=tx1&state=OK", "q=message", "q=at&outcome=failed", "alarm_id=al0", "q=7", "state=none"),
    "outcome=failed&state=OK&notification_type=email&notification_id=ntMail&entity_id=enOne&alarm_id=alOne",
)


@pytest.mark.parametrize("by", BY)
def test_the_counts_are_those_of_the_list(client: FlaskClient, by: str) -> None:
    seed(client)
    interval = "30m" if by == "state" else "3h"
    for filters in FILTERS:
        for window in ("", f"from={NOW_MS - DAY - 7 * MINUTE}&to={NOW_MS - 5 * HOUR}", "to=0"):
            expected = listed(client, f"{filters}&{window}")
            assert counted(client, f"by={by}&{filters}&{window}") == Counter(
                each.get(by, "(none)") for each in expected
            )
        expected = listed(client, filters)
        values = buckets(client, f"by={by}&{filters}&interval={interval}&from={NOW_MS - 2 * DAY - 1}")
        for bucket in values:
            inside = [each for each in expected if bucket["from"] <= each["timestamp"] <= bucket["to"]]
            assert bucket["counts"] == Counter(each.get(by, "(none)") for each in inside)
        assert sum(sum(each["counts"].values()) for each in values) == len(expected)


def test_what_has_no_name_counts_as_none(client: FlaskClient) -> None:
    results: list[Any] = [{"notification_type": "(none)", "notification_id": "x"}, {}, {"notification_id": ""}]
    post(client, check_of(), item_at(NOW_MS, notification_results=results))
    post(client, check_of(), item_at(NOW_MS - 1))
    assert counted(client, "by=notification_type") == {"(none)": 4}
    assert counted(client, "by=notification_id") == {"x": 1, "": 1, "(none)": 2}
    assert counted(client, "by=notification_type&notification_id=x") == {"(none)": 1}


@pytest.mark.parametrize("interval", INTERVALS)
def test_buckets_begin_at_multiples_since_the_epoch_and_are_cut_to_the_window(
    client: FlaskClient, interval: str
) -> None:
    length = INTERVALS[interval]
    for first, last in (
        (length, 4 * length - 1),
        (length - 1, 4 * length),
        (length + 1, 4 * length - 2),
        (length, length),
        (0, length - 1),
        (0, 0),
    ):
        values = buckets(client, f"interval={interval}&from={first}&to={last}")
        assert (values[0]["from"], values[-1]["to"]) == (first, last)
        assert all(each["from"] % length == 0 for each in values[1:])
        assert all((each["to"] + 1) % length == 0 for each in values[:-1])
        assert len(values) == last // length - first // length + 1


@pytest.mark.parametrize(
    ("span", "interval"),
    [
        *((1, "1m"), (60 * MINUTE, "1m"), (60 * MINUTE + 1, "5m"), (300 * MINUTE, "5m"), (300 * MINUTE + 1, "15m")),
        *((60 * HOUR, "1h"), (60 * HOUR + 1, "3h"), (7 * DAY, "3h"), (30 * DAY, "12h"), (30 * DAY + 1, "1d")),
        *((60 * DAY, "1d"), (121 * DAY, "7d"), (420 * DAY, "7d"), (5400 * DAY, "90d"), (5401 * DAY, "365d")),
        (365 * DAY * 200, "365d"),
    ],
)
def test_without_an_interval_the_buckets_are_sixty_at_most(client: FlaskClient, span: int, interval: str) -> None:
    begin = 365 * 180 * 7 * DAY  # a multiple of every interval
    window = f"from={begin}&to={begin + span - 1}"
    assert buckets(client, window) == buckets(client, f"{window}&interval={interval}")
    shorter = [name for name, length in INTERVALS.items() if length < INTERVALS[interval]]
    for name in shorter:
        assert -(-span // INTERVALS[name]) > 60


def test_more_than_two_hundred_buckets_are_refused(client: FlaskClient) -> None:
    for interval, length in INTERVALS.items():
        window = f"from=0&to={200 * length - 1}"
        assert len(buckets(client, f"interval={interval}&{window}")) == 200
        for more in (f"from=0&to={200 * length}", f"from={length - 1}&to={201 * length - 1}", f"from=0&to={10**30}"):
            fault = assert_fault(client.get(f"{COUNTS}?interval={interval}&{more}"), 400, "badRequest")
            assert fault["details"].startswith("interval: There would be ")
    assert_fault(client.get(f"{COUNTS}?from=0&to={10**30}"), 400, "badRequest")


@pytest.mark.parametrize(
    "query", ["from=2&to=1", f"from={10**30}", f"to=-{10**30}", f"from={10**30}&to=-1&interval=1m"]
)
def test_from_after_to_has_no_buckets(client: FlaskClient, query: str) -> None:
    assert buckets(client, query) == []


def test_a_window_is_cut_to_what_ids_can_have(client: FlaskClient) -> None:
    assert buckets(client, f"from=-{10**30}&to={MINUTE}") == [
        {"from": 0, "to": MINUTE - 1, "counts": {}},
        {"from": MINUTE, "to": MINUTE, "counts": {}},
    ]
    (last,) = buckets(client, f"from=103072857660684&to={10**30}")
    assert last == {"from": 103072857660684, "to": 103072857660684, "counts": {}}


def test_the_default_window_is_that_of_lists(client: FlaskClient) -> None:
    values = buckets(client)
    assert (values[0]["from"], values[-1]["to"]) == (NOW_MS - 7 * DAY, NOW_MS)
    values = buckets(client, "from=2011-11-08&to=2011-11-09&interval=1d")
    assert [(each["to"] - each["from"] + 1) for each in values] == [DAY, DAY]


def test_what_has_expired_is_in_no_bucket(make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(RETENTION_DAYS=1), key)
    times = [NOW_MS - DAY - 1, NOW_MS - DAY, NOW_MS]
    post(client, check_of(), {"values": [item_at(ms, notification_results=results_of(0, 2)) for ms in times]})
    values = buckets(client, f"from={NOW_MS - 2 * DAY}&interval=30m")
    assert [sum(each["counts"].values()) for each in values if each["counts"]] == [2, 2]
    assert values[0]["from"] == NOW_MS - 2 * DAY


NAMES = ("OK", "two words", "1st", "a:b", "<&>\"'", "", "\0", "🚨", "xml", "n" * 1001, "counts", "entry")


def test_names_that_are_no_xml_names_are_keys(client: FlaskClient) -> None:
    items = [item_at(NOW_MS, n, state=name) for n, name in enumerate(NAMES)]
    post(client, check_of(), {"values": items})
    assert counted(client, "by=state") == dict.fromkeys(NAMES, 1)
    root = get_xml(client, f"{COUNTS}?by=state&interval=1m&from={NOW_MS - 1}")
    assert [each.tag for each in root] == ["values", "metadata"]
    empty, full = root.iterfind("values/bucket")
    assert [(each.tag, each.text) for each in empty] == [
        *(("from", str(NOW_MS - 1)), ("to", str(NOW_MS - 1)), ("counts", None))
    ]
    counts = full.find("counts")
    assert counts is not None
    plain = ("OK", "xml", "counts", "entry")
    assert {each.tag for each in counts if not each.attrib} == {*plain}
    assert {each.get("key") for each in counts if each.tag == "entry" and each.attrib} == {
        "\ufffd" if name == "\0" else name for name in NAMES if name not in plain
    }
    assert {each.text for each in counts} == {"1"}


def test_xml_says_the_same(client: FlaskClient) -> None:
    seed(client)
    for by in BY:
        expected = buckets(client, f"by={by}")
        root = get_xml(client, f"{COUNTS}?by={by}")
        found = [
            {
                "from": int(each.findtext("from", "")),
                "to": int(each.findtext("to", "")),
                "counts": {count.get("key", count.tag): int(count.text or "") for count in each.iterfind("counts/*")},
            }
            for each in root.iterfind("values/bucket")
        ]
        assert found == expected


@pytest.mark.parametrize(
    "query",
    [
        *("by=", "by=target", "by=Outcome", "by=outcome,state", "by=receiver", "by=entity_id", "interval="),
        *("interval=1", "interval=2m", "interval=60m", "interval=1M", "interval=%00", "interval=1h,1d", "outcome=x"),
        *("from=x", "to=", "q=%00", "state=%00"),
    ],
)
def test_a_bad_parameter_is_a_bad_request(client: FlaskClient, query: str) -> None:
    fault = assert_fault(client.get(f"{COUNTS}?{query}"), 400, "badRequest")
    assert fault["details"].startswith(query.partition("=")[0] + ": ")
    assert client.get(f"{COUNTS}?{query}", headers={"Accept": XML}).mimetype == XML


def test_counts_follow_what_changes(client: FlaskClient) -> None:
    seeded = seed(client)
    target = next(each for each in seeded if each["entity_id"] == "enOne")
    before = counted(client)
    of_item = Counter(each["outcome"] for each in seeded if each["item_id"] == target["item_id"])
    item = item_at(target["timestamp"], 0) | {"id": target["item_id"], "suppressions": ["spOne"]}
    url = f"{check_of()}/{target['item_id']}"
    assert client.put(url, json={**item, "notification_results": [{}, {}]}).status_code == 200
    changed = Counter(before) - of_item + Counter({"not_sent": 2})
    assert counted(client) == changed
    assert client.delete(url).status_code == 204
    assert counted(client) == Counter(before) - of_item


def test_many_names_are_counted(client: FlaskClient) -> None:
    expected: Counter[str] = Counter()
    for n in range(2):
        names = [f"nt{n}-{m}" for m in range(750) for _ in range(m % 3 + 1)]
        post(client, check_of(), item_at(NOW_MS, n, notification_results=[{"notification_id": each} for each in names]))
        expected.update(names)
    assert counted(client, "by=notification_id&interval=1h") == expected
    days = f"from={NOW_MS - 2 * DAY}&to={NOW_MS + 32 * DAY}"  # with whole parts, which are counted
    assert counted(client, f"by=notification_id&interval=1d&{days}") == expected
