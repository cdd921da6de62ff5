"""What pages say in words: kinds of states, times of feeds, free maps; and how large their assets may be."""

import pytest

from notifhist.web.pages.assets import assets
from notifhist.web.pages.formatting import MOST_PAIRS, may_be_linked, moment, pairs, short
from notifhist.web.pages.states import WORST_FIRST, Kind, state_kind


@pytest.mark.parametrize(
    ("kind", "states"),
    [
        ("fine", ["OK", "ok", "Up", "resolved", "SUCCESS", "info", " OK "]),
        ("warning", ["WARNING", "warn", "Minor"]),
        ("unknown", ["UNKNOWN", "unknown", ""]),
        ("bad", ["CRITICAL", "firing", "ALERT", "page me", "OK?", "مشكلة"]),
    ],
)
def test_a_state_is_of_a_kind_whatever_its_case(kind: Kind, states: list[str]) -> None:
    assert {state_kind(each) for each in states} == {kind}
    assert kind in WORST_FIRST


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1320885672211, "2011-11-10 00:41:12 UTC"),
        ("2011-11-10T00:41:12Z", "2011-11-10T00:41:12Z"),
        (-1, "-1"),
        (10**30, str(10**30)),
        (True, "True"),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_a_time_of_a_feed_is_said_as_far_as_it_is_one(value: object, said: str) -> None:
    assert moment(value) == said


def test_of_a_free_map_the_first_members_are_shown_and_of_anything_else_none() -> None:
    assert pairs({"a": "text", "b": [1, None], "c": {"é": True}}) == [
        *(("a", "text"), ("b", "[1, null]"), ("c", '{"é": true}'))
    ]
    assert len(pairs({str(n): n for n in range(1000)})) == MOST_PAIRS
    assert pairs("text") == pairs(None) == pairs([1]) == []


def test_a_short_text_is_as_long_as_it_may_be() -> None:
    assert [short(each, 5) for each in ("", "12345", "123456", 1234567)] == ["", "12345", "1234…", "1234…"]


def test_a_long_text_is_no_part_of_a_link() -> None:
    assert all(map(may_be_linked, ("", "x" * 2000, "é" * 333)))
    assert not any(map(may_be_linked, ("x" * 2001, "é" * 334)))


def test_the_assets_are_small() -> None:
    sizes = {name: len(asset.content) for name, asset in assets().items()}
    assert sizes["pages.js"] < 8000
    assert sizes["pages.css"] < 30_000
