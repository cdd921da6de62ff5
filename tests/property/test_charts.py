"""The geometry of the charts: nothing overlaps, everything is counted, the worst is never hidden."""

import re
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from notifhist.schemas.deliveries import OUTCOMES
from notifhist.web.pages.charts import FROM_THE_GROUND, MIN_MARK_DISTANCE, MIN_SEGMENT, timeline, volume

NEARLY = 1e-6
COUNTS = st.dictionaries(st.sampled_from(OUTCOMES), st.integers(1, 10**9))
FROM_MS, TO_MS = 1000, 100_000
DELIVERIES = st.lists(
    st.fixed_dictionaries(
        {
            "timestamp": st.integers(0, TO_MS + 1000),
            "check_id": st.sampled_from(["a", "b"]),
            "item_id": st.text(max_size=3),
            "state": st.sampled_from(["OK", "CRITICAL", "odd"]),
            "outcome": st.sampled_from(OUTCOMES),
        },
        optional={"previous_state": st.sampled_from(["OK", "CRITICAL"])},
    ),
    max_size=60,
)


@given(st.lists(COUNTS, max_size=60))
def test_bars_stand_side_by_side_and_their_segments_one_on_the_other(counts: list[dict[str, int]]) -> None:
    chart = volume([{"from": n * 10, "to": n * 10 + 9, "counts": each} for n, each in enumerate(counts)])
    assert [bar.counts for bar in chart.bars] == [
        {outcome: each[outcome] for outcome in FROM_THE_GROUND if outcome in each} for each in counts
    ]
    assert chart.peak == max((sum(each.values()) for each in counts), default=0)
    assert sum(chart.totals.values()) == sum(bar.total for bar in chart.bars)
    assert {name: path.count("M") for name, path in chart.paths.items()} == {
        name: sum(name in each for each in counts) for name in chart.totals
    }
    for name, path in chart.paths.items():
        drawn = [(int(n), int(top), int(height)) for n, top, height in re.findall(r"M(\d+) (\d+)v(\d+)", path)]
        assert [n for n, _, _ in drawn] == [n for n, each in enumerate(counts) if name in each]
        assert all(height >= 1 and top + height <= 100 for _, top, height in drawn)
    for bar in chart.bars:
        top = 100.0
        for segment in bar.segments:
            assert segment.height >= MIN_SEGMENT - NEARLY
            assert abs(segment.y + segment.height - top) < NEARLY
            top = segment.y
        assert top >= 0
        if bar.total == chart.peak > 0:
            assert top < len(OUTCOMES) * MIN_SEGMENT


@given(DELIVERIES, st.dictionaries(st.sampled_from(["a", "b", "c"]), st.just("OK")))
def test_bands_fill_a_lane_without_overlap(deliveries: list[dict[str, Any]], states: dict[str, str]) -> None:
    lanes = timeline(deliveries, FROM_MS, TO_MS, states)
    within = [each for each in deliveries if FROM_MS <= each["timestamp"] <= TO_MS]
    assert [lane.check_id for lane in lanes] == sorted({each["check_id"] for each in within} | states.keys())
    for lane in lanes:
        assert (lane.bands[0].from_ms, lane.bands[-1].to_ms) == (FROM_MS, TO_MS)
        for band, following in pairwise(lane.bands):
            assert band.to_ms == following.from_ms
            assert abs(band.x + band.width - following.x) < NEARLY
        its = [each for each in within if each["check_id"] == lane.check_id]
        newest = max(its, key=lambda each: (each["timestamp"], each["item_id"]), default=None)
        if newest is not None and newest["timestamp"] < TO_MS:
            its_states = {each["state"] for each in its if each["timestamp"] == newest["timestamp"]}
            assert lane.bands[-1].state in its_states
        elif newest is None:
            assert [band.state for band in lane.bands] == [states[lane.check_id]]


@given(DELIVERIES)
def test_marks_keep_their_distance_and_count_every_delivery(deliveries: list[dict[str, Any]]) -> None:
    within = [each for each in deliveries if FROM_MS <= each["timestamp"] <= TO_MS]
    for lane in timeline(deliveries, FROM_MS, TO_MS):
        its = [each for each in within if each["check_id"] == lane.check_id]
        assert sum(mark.deliveries for mark in lane.marks) == len(its)
        for mark, following in pairwise(lane.marks):
            assert following.x - mark.x >= MIN_MARK_DISTANCE
            assert mark.to_ms < following.from_ms
        for mark in lane.marks:
            outcomes = {each["outcome"] for each in its if mark.from_ms <= each["timestamp"] <= mark.to_ms}
            assert mark.outcome == min(outcomes, key=FROM_THE_GROUND.index)
            assert 0 <= mark.x <= 100
