from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import NOW_MS, MakeApp, authorized
from tests.http.helpers import (
    ALARM,
    CHECK,
    RUNS,
    XML,
    assert_fault,
    get_json,
    get_xml,
    id_at,
    item_at,
    post,
    run_of,
    send,
)

DAY = 86_400_000
LATER = NOW_MS + 100 * DAY
"""Where the clocks of most tests here stand, unless they move."""


def results() -> list[dict[str, str]]:
    return [{"notification_id": "ntOne"}]


def shown(client: FlaskClient, query: str = "") -> list[int]:
    """Return the timestamps of a list."""
    return [item["timestamp"] for item in get_json(client, f"{CHECK}?{query}")["values"]]


def test_a_query_looks_at_the_last_seven_days(at: Any) -> None:
    times = [NOW_MS - 7 * DAY - 1, NOW_MS - 7 * DAY, NOW_MS - 1, NOW_MS, NOW_MS + 1]
    client = at(NOW_MS)
    post(client, CHECK, {"values": [item_at(time) for time in times]})
    assert shown(client) == times[1:4]
    assert shown(at(NOW_MS + 1)) == times[2:]
    assert shown(client, f"to={NOW_MS + 1}") == times[2:]
    assert shown(client, "from=0") == times[:4]
    assert shown(client, f"from=0&to={NOW_MS - 7 * DAY - 1}") == times[:1]


def test_from_follows_to_and_not_the_clock(at: Any) -> None:
    client = at(NOW_MS)
    times = [NOW_MS - 20 * DAY, NOW_MS - 14 * DAY, NOW_MS - 13 * DAY]
    post(client, CHECK, {"values": [item_at(time) for time in times]})
    assert shown(client, f"to={NOW_MS - 13 * DAY}") == times
    assert shown(client, f"to={NOW_MS - 13 * DAY + 1}") == times[1:]


@pytest.mark.parametrize("days", [1, 3, 60])
def test_the_window_is_a_setting(days: int, at: Any) -> None:
    client = at(NOW_MS, QUERY_WINDOW_DAYS=days, RETENTION_DAYS=0)
    times = [NOW_MS - days * DAY - 1, NOW_MS - days * DAY, NOW_MS]
    post(client, CHECK, {"values": [item_at(time) for time in times]})
    assert shown(client) == times[1:]


@pytest.mark.parametrize(("days", "settings"), [(30, {}), (1, {"RETENTION_DAYS": 1}), (365, {"RETENTION_DAYS": 365})])
def test_an_item_older_than_the_retention_is_not_shown_anywhere(days: int, settings: dict[str, int], at: Any) -> None:
    born = NOW_MS
    recorder = at(born)
    post(recorder, CHECK, item_at(born, notification_results=results()))
    url = f"{CHECK}/{id_at(born)}"
    attempts = f"{url}/notification_results/ntOne/attempts"

    last = at(born + days * DAY, **settings)
    assert shown(last, "from=0") == [born]
    assert get_json(last, url)["timestamp"] == born
    assert get_json(last, ALARM) == {"check_ids": ["chOne"]}
    assert send(last, "POST", attempts, {}).status_code == 201

    gone = at(born + days * DAY + 1, **settings)
    assert shown(gone, "from=0") == []
    assert shown(gone, f"from={born}&to={born}") == []
    assert shown(gone, "from=0&reverse=true") == []
    assert shown(gone, f"from=0&marker={id_at(born)}") == []
    assert_fault(gone.get(url), 404, "notFoundError")
    assert_fault(gone.get(url, headers={"If-None-Match": "*"}), 404, "notFoundError")
    assert_fault(gone.delete(url), 404, "notFoundError")
    assert_fault(send(gone, "POST", attempts, {}), 404, "parentNotFoundError")
    assert get_json(gone, ALARM) == {"check_ids": []}
    assert len(get_xml(gone, f"{CHECK}?from=0").findall("values/*")) == 0

    assert len(get_json(last, url)["notification_results"][0]["attempts"]) == 1  # hidden, and whole


def test_of_a_check_s_items_the_expired_ones_alone_are_hidden(at: Any) -> None:
    times = [NOW_MS + day * DAY for day in range(5)]
    post(at(NOW_MS), CHECK, {"values": [item_at(time) for time in times]})
    client = at(NOW_MS + 32 * DAY)
    assert shown(client, "from=0") == times[2:]
    assert shown(client, "from=0&limit=2") == times[2:4]
    assert shown(client, "from=0&reverse=true") == times[:1:-1]


def test_retention_0_keeps_for_ever(at: Any) -> None:
    post(at(NOW_MS), CHECK, {"values": [item_at(0), item_at(NOW_MS)]})
    client = at(NOW_MS + 100_000 * DAY, RETENTION_DAYS=0)
    assert shown(client, f"from=0&to={NOW_MS}") == [0, NOW_MS]
    assert get_json(client, f"{CHECK}/{id_at(0)}") == item_at(0)
    assert get_json(client, ALARM) == {"check_ids": ["chOne"]}


def test_an_item_that_has_expired_may_be_recorded_and_is_not_shown(at: Any) -> None:
    client = at(NOW_MS)
    old = item_at(NOW_MS - 31 * DAY)
    url = f"{CHECK}/{old['id']}"
    post(client, CHECK, old)
    post(client, CHECK, old, status=200)
    assert_fault(client.get(url), 404, "notFoundError")
    assert get_json(client, ALARM) == {"check_ids": []}
    different = {**old, "state": "CRITICAL"}
    assert_fault(send(client, "POST", CHECK, different), 400, "indexCardinalityConstraintViolation")
    assert send(client, "PUT", url, different).status_code == 200
    assert get_json(at(NOW_MS - DAY), url)["state"] == "CRITICAL"


def test_a_container_may_hold_old_and_new(at: Any) -> None:
    client = at(NOW_MS)
    items = [item_at(0), item_at(NOW_MS - 31 * DAY), item_at(NOW_MS)]
    recorded = post(client, CHECK, {"values": items}).json
    assert recorded is not None
    assert recorded["metadata"]["count"] == 3
    assert shown(client, "from=0") == [NOW_MS]


@pytest.mark.parametrize("deleted", [False, True], ids=["expired", "deleted"])
def test_the_marker_of_an_item_that_is_gone_still_works_both_ways(deleted: bool, at: Any) -> None:
    times = [NOW_MS + hour * 3_600_000 for hour in range(10)]
    now = at(times[-1])
    post(now, CHECK, {"values": [item_at(time) for time in times]})
    forward = get_json(now, f"{CHECK}?limit=3&from=0")["metadata"]
    backward = get_json(now, f"{CHECK}?limit=3&from=0&reverse=true")["metadata"]
    assert (forward["next_marker"], backward["next_marker"]) == (id_at(times[3]), id_at(times[6]))
    if deleted:
        for time in times[:7]:
            assert now.delete(f"{CHECK}/{id_at(time)}").status_code == 204
        later = now
    else:
        later = at(times[6] + 30 * DAY + 1)
    assert shown(later, "from=0") == times[7:]
    rest = get_json(later, forward["next_href"])
    assert [item["timestamp"] for item in rest["values"]] == times[7:]
    assert rest["metadata"]["marker"] == id_at(times[3])
    assert get_json(later, backward["next_href"])["values"] == []


def test_items_that_expire_between_two_pages_neither_hide_nor_repeat_others(at: Any) -> None:
    times = [NOW_MS + hour * 3_600_000 for hour in range(9)]
    post(at(times[-1]), CHECK, {"values": [item_at(time) for time in times]})
    first = get_json(at(times[0] + 30 * DAY), f"{CHECK}?limit=4&from=0")
    assert [item["timestamp"] for item in first["values"]] == times[:4]
    second = get_json(at(times[2] + 30 * DAY), first["metadata"]["next_href"])
    assert [item["timestamp"] for item in second["values"]] == times[4:8]
    third = get_json(at(times[7] + 30 * DAY), second["metadata"]["next_href"])
    assert [item["timestamp"] for item in third["values"]] == times[8:]


@pytest.mark.parametrize("reverse", ["false", "true"])
def test_from_after_to_is_an_empty_page(reverse: str, at: Any) -> None:
    client = at(NOW_MS)
    post(client, CHECK, item_at(NOW_MS))
    for query in (f"from={NOW_MS + 1}&to={NOW_MS - 1}", f"from={NOW_MS + 1}", f"from={NOW_MS}&to=0"):
        page = get_json(client, f"{CHECK}?{query}&reverse={reverse}")
        assert page["values"] == []
        assert page["metadata"]["next_href"] is None


@pytest.mark.parametrize("reverse", [False, True])
def test_equal_timestamps_at_the_edge_of_the_retention_are_all_shown_or_none(reverse: bool, at: Any) -> None:
    born = NOW_MS
    post(at(born), CHECK, {"values": [item_at(born, number) for number in range(5)]})
    query = f"from=0&limit=2&reverse={reverse}"
    assert shown(at(born + 30 * DAY), query) == [born] * 2
    assert shown(at(born + 30 * DAY), f"from=0&reverse={reverse}") == [born] * 5
    assert shown(at(born + 30 * DAY + 1), query) == []


def test_ticks_within_the_last_millisecond_are_shown(at: Any) -> None:
    ids = [id_at(NOW_MS, ticks=ticks) for ticks in (0, 9_999)]
    items = [{"id": each, "state": "OK", "notification_results": []} for each in ids]
    post(at(NOW_MS), CHECK, {"values": items})
    assert shown(at(NOW_MS)) == [NOW_MS, NOW_MS]
    assert shown(at(NOW_MS), f"from={NOW_MS}&to={NOW_MS}") == [NOW_MS, NOW_MS]
    assert shown(at(NOW_MS + 30 * DAY), "from=0") == [NOW_MS, NOW_MS]


def test_an_item_of_the_future_is_shown_once_its_time_has_come(at: Any) -> None:
    post(at(NOW_MS), CHECK, item_at(LATER))
    url = f"{CHECK}/{id_at(LATER)}"
    assert shown(at(NOW_MS)) == []
    assert get_json(at(NOW_MS), url)["timestamp"] == LATER
    assert shown(at(NOW_MS), f"to={LATER}") == [LATER]
    assert shown(at(LATER)) == [LATER]


def test_a_new_item_is_of_the_time_of_the_clock(at: Any) -> None:
    item = post(at(LATER), CHECK, {"state": "OK", "notification_results": []}).json
    assert item is not None
    assert item["timestamp"] == LATER
    assert shown(at(LATER)) == [LATER]


NOTE = "X-Notifhist-Note"
MONTH_AGO = NOW_MS - 30 * 24 * 3600 * 1000


@pytest.mark.parametrize(
    ("ms", "note"), [(MONTH_AGO - 1, "expired"), (MONTH_AGO, None), (0, "expired"), (NOW_MS, None)]
)
def test_recording_what_has_expired_is_told(ms: int, note: str | None, client: FlaskClient) -> None:
    item = item_at(ms)
    url = f"{CHECK}/{item['id']}"
    assert post(client, CHECK, item).headers.get(NOTE) == note
    assert post(client, CHECK, item, status=200).headers.get(NOTE) == note
    for status in ("one", "another"):
        assert send(client, "PUT", url, {**item, "status": status}).headers.get(NOTE) == note
    root = "alarm_notification_history_item"
    xml = f"<{root}><state>OK</state><notification_results/></{root}>"
    answered = client.put(url, data=xml, content_type=XML, headers={"Accept": XML})
    assert answered.headers.get(NOTE) == note


def test_a_container_tells_if_any_of_its_items_has_expired(client: FlaskClient) -> None:
    current, expired = item_at(NOW_MS), item_at(MONTH_AGO - 1)
    assert NOTE not in post(client, CHECK, {"values": [current]}).headers
    assert NOTE not in post(client, CHECK, {"values": []}).headers
    assert post(client, CHECK, {"values": [current, expired]}).headers[NOTE] == "expired"


def test_nothing_is_told_where_nothing_expires(make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(RETENTION_DAYS=0), key)
    assert NOTE not in post(client, CHECK, item_at(0)).headers
    assert NOTE not in post(client, RUNS, run_of(dateCreated="1970-01-01")).headers
