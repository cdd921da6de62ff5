import random
from itertools import pairwise

import orjson
import pytest

from bench.data import HISTORY_DAYS, MS_PER_DAY, TENANT, even, grown, item_batches, loaded_run, spread
from bench.documents import STATUS_WEIGHTS, WORDS, Items, runs
from notifhist.schemas.history import ITEM
from notifhist.schemas.item_ids import key_of
from notifhist.schemas.runs import RUN

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


def test_runs_are_valid_and_load_as_their_schema_loads_them() -> None:
    for run in runs(random.Random(1), 300, NOW_MS - 1000, NOW_MS):
        assert loaded_run(run) == RUN.load(run)


def test_runs_are_spread_over_their_time_and_over_all_values() -> None:
    made = list(runs(random.Random(1), 3000, 0, 3_000_000))
    assert [run["id"] for run in made] == list(range(1, 3001))
    assert made[1500]["dateCreated"] == "1970-01-01T00:25:00.000Z"
    for status, weight in STATUS_WEIGHTS.items():
        share = sum(run["status"] == status for run in made) / 30
        assert share == pytest.approx(weight, abs=3)


def test_a_word_stands_in_some_per_cent_of_the_runs() -> None:
    made = list(runs(random.Random(1), 5000, 0, NOW_MS))
    for word in WORDS[:8]:
        names = (
            " ".join([run.get("summary", ""), *(each["name"] for each in run.get("notificationObjects", []))])
            for run in made
        )
        assert 0.01 < sum(word in text.lower() for text in names) / 5000 < 0.1


def test_series_come_out_whole_in_the_order_of_time_and_within_the_days() -> None:
    data_set = even(checks=3, items=2500, runs=0, item_bytes=300)
    ids: dict[int, list[str]] = {n: [] for n in range(3)}
    order = []
    for series, first, documents in item_batches(data_set, NOW_MS):
        assert first == len(ids[series])
        ids[series] += [document["id"] for document in documents]
        order.append(series)
    for some in ids.values():
        keys = [key_of(item_id) for item_id in some]
        assert len(keys) == 2500
        assert all(a < b for a, b in pairwise(keys))
        assert keys[0].timestamp >= NOW_MS - HISTORY_DAYS * MS_PER_DAY
        assert keys[-1].timestamp <= NOW_MS
    assert order[:4] == [0, 1, 2, 0]  # they come in turns, as they would in life


@pytest.mark.parametrize("limit", [1, 100])
def test_places_are_spread_evenly_and_a_full_page_and_more_follows_each(limit: int) -> None:
    data_set = grown(100_000, 0, 300)
    places = spread(data_set, 200, limit)
    assert len(places) == 200
    for series, position in places:
        assert 0 <= position < data_set.series[series].items - limit
    in_big = sum(data_set.series[series].check.alarm_id == "alBig" for series, _ in places)
    assert in_big == 40  # a fifth, as of all items


def test_places_in_series_that_are_too_short_are_their_beginnings() -> None:
    assert spread(even(2, 5, 0), 10, 100) == [(0, 0), (1, 0)]


@pytest.mark.parametrize("items", [100, 10_000, 123_456])
def test_a_data_set_of_a_size_has_just_that_size_and_its_long_series_grow(items: int) -> None:
    data_set = grown(items, 7, 300)
    assert (data_set.items, data_set.runs) == (items, 7)
    assert [series.items for series in data_set.series[:4]] == [items // 20] * 4
    others = [series.items for series in data_set.series[4:]]
    assert max(others) <= 3000
    assert len({series.check for series in data_set.series}) == len(data_set.series)
    assert {series.check.tenant for series in data_set.series} == {TENANT}


def test_every_parameter_of_a_data_set_is_in_its_name() -> None:
    sets = [even(2, 5, 1), even(3, 5, 1), even(2, 6, 1), even(2, 5, 2), even(2, 5, 1, 300)]
    assert len({each.digest() for each in sets}) == 5
    assert even(2, 5, 1).digest() == even(2, 5, 1).digest()
