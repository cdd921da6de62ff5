"""The wrapper's own ids are those of the feeds, whose modules it does not import since they take too long to load."""

from hypothesis import given
from hypothesis import strategies as st

from notifhist.feeds.item_ids import item_id as feeds_item_id
from notifhist.run.ids import item_id, path_id, time_order
from notifhist.schemas.fields import is_path_id
from notifhist.schemas.item_ids import key_of

_NS = st.integers(0, 2**62)


@given(_NS, st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_ids_of_items_are_those_of_the_feeds(ns: int, parts: list[str]) -> None:
    assert item_id(ns, *parts) == feeds_item_id(ns // 100, *parts)


@given(st.text() | st.text(st.sampled_from("./\x00é"), max_size=300))
def test_ids_in_paths_are_fit_for_paths(name: str) -> None:
    assert is_path_id(path_id(name))


@given(st.lists(_NS))
def test_ids_are_sorted_by_their_time(times: list[int]) -> None:
    ids = sorted((item_id(ns, "x") for ns in times), key=time_order)
    assert [key_of(each).ticks for each in ids] == sorted(ns // 100 for ns in times)
