import random
from itertools import groupby, pairwise

import orjson
import pytest

from bench.data import BIG_ALARM, HISTORY_DAYS, MS_PER_DAY, PLACES, TENANT, Stored, alarm_uri, item_lines, series_of
from bench.documents import TABLES, WORDS, Items, runs
from notifhist.schemas.history import ITEM
from notifhist.schemas.item_ids import key_of
from notifhist.schemas.query import CheckPath
from notifhist.schemas.runs import FAILED_REASONS, IGNORED_REASONS, MEDIUMS, NOTIFICATION_TYPES, RUN, STATUSES

NOW_MS = 1_320_886_800_000
TICKS = NOW_MS * 10_000


@pytest.mark.parametrize("item_bytes", [300, 2000])
def test_items_are_valid_varied_and_as_long_as_asked_for(item_bytes: int) -> None:
    make = Items(random.Random(1), item_bytes)
    items = [make.at(TICKS + n) for n in range(500)]
    for item in items:
        assert ITEM.load(item) == item
    assert len({item["id"] for item in items}) == 500
    assert len({orjson.dumps(item["notification_results"]) for item in items}) > 50
    mean = sum(len(orjson.dumps(item)) for item in items) / 500
    assert mean == pytest.approx(item_bytes, rel=0.1)


def test_an_items_time_is_the_one_given() -> None:
    assert key_of(Items(random.Random(1), 300).at(TICKS + 7)["id"]).ticks == TICKS + 7


def test_runs_are_valid_and_say_all_that_the_service_would_fill_in() -> None:
    for run in runs(random.Random(1), 300, NOW_MS - 1000, NOW_MS):
        assert RUN.dump(RUN.load(run)) == run
        assert {"id", "dateCreated", "dateUpdated", "deliveredCount", "seqNo"} <= run.keys()


def test_runs_are_spread_over_their_time_and_over_all_values() -> None:
    found = list(runs(random.Random(1), 3000, 0, 3_000_000))
    assert [run["id"] for run in found] == list(range(1, 3001))
    assert found[1500]["dateCreated"] == "1970-01-01T00:25:00.000Z"
    for status in STATUSES:
        wanted = sum(row["share"] for row in TABLES["outcomes"] if row["status"] == status)
        share = sum(run["status"] == status for run in found) / 30
        assert share == pytest.approx(wanted, abs=3)
    values = {value for run in found for value in run.values() if isinstance(value, str)}
    assert values >= {*MEDIUMS, *NOTIFICATION_TYPES, *FAILED_REASONS, *IGNORED_REASONS}


def test_a_word_stands_in_some_per_cent_of_the_runs() -> None:
    found = list(runs(random.Random(1), 5000, 0, NOW_MS))
    for word in WORDS[:8]:
        names = (
            " ".join([run.get("summary", ""), *(each["name"] for each in run.get("notificationObjects", []))])
            for run in found
        )
        assert 0.01 < sum(word in text.lower() for text in names) / 5000 < 0.1


def made(items: int, stored: Stored) -> dict[str, list[str]]:
    """Return the URIs of all items, in the order in which they are stored, by check."""
    found: dict[str, list[str]] = {}
    for text in item_lines(items, 300, NOW_MS - HISTORY_DAYS * MS_PER_DAY, NOW_MS, stored):
        line = orjson.loads(text)
        item = line.pop("item")
        check = CheckPath(**line)
        found.setdefault(check.check_id, []).append(f"{alarm_uri(check)}/{check.check_id}/{item['id']}")
    return found


def test_series_come_out_whole_in_the_order_of_time_and_within_the_days() -> None:
    lengths = {check.check_id: items for check, items in series_of(10_000).items()}
    found = made(10_000, Stored(NOW_MS, {}))
    assert {check: len(uris) for check, uris in found.items()} == lengths
    for uris in found.values():
        keys = [key_of(uri.rpartition("/")[2]) for uri in uris]
        assert all(a < b for a, b in pairwise(keys))
        assert keys[0].timestamp >= NOW_MS - HISTORY_DAYS * MS_PER_DAY
        assert keys[-1].timestamp <= NOW_MS


def test_series_come_in_turns_as_they_would_in_life() -> None:
    lines = map(orjson.loads, item_lines(1000, 300, NOW_MS - MS_PER_DAY, NOW_MS, Stored(NOW_MS, {})))
    order = [check for check, _ in groupby(line["check_id"] for line in lines)]
    assert order == [check.check_id for check in series_of(1000)] * 5


@pytest.mark.parametrize("limit", [1, 100])
def test_places_are_spread_evenly_and_a_full_page_and_more_follows_each(limit: int) -> None:
    stored = Stored(NOW_MS, {limit: []})
    found = made(100_000, stored)
    places = stored.places[limit]
    assert len(set(places)) == PLACES[limit]
    for uri in places:
        uris = found[uri.split("/")[-2]]
        assert uris.index(uri) < len(uris) - limit
    in_big = sum(f"/{BIG_ALARM.alarm_id}/" in uri for uri in places)
    assert in_big == pytest.approx(len(places) / 5, abs=2)  # a fifth, as of all items


def test_places_in_series_that_are_too_short_are_their_beginnings() -> None:
    stored = Stored(NOW_MS, {100: []})
    found = made(100, stored)
    assert set(stored.places[100]) <= {uris[0] for uris in found.values()}
    assert stored.places[100]


@pytest.mark.parametrize("items", [100, 10_000, 123_456])
def test_a_data_set_of_a_size_has_just_that_size_and_its_long_series_grow(items: int) -> None:
    series = series_of(items)
    assert sum(series.values()) == items
    assert list(series.values())[:4] == [items // 20] * 4
    assert max(list(series.values())[4:]) <= 3000
    assert {check.tenant for check in series} == {TENANT}
