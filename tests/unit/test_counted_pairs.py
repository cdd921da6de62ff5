"""What a record counts as."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from notifhist.store.counted.table import Codes, Counted, Filter
from notifhist.store.deliveries.table import DELIVERIES


def test_a_record_of_a_table_without_filters_counts_for_the_total_alone() -> None:
    table = Counted("toy", ())
    assert table.pairs_of(()) == [0]
    assert table.split(0) == (0, 0)


def test_a_record_counts_for_the_total_each_value_and_each_two_values() -> None:
    table = Counted("toy", (Filter("a", "", ("x",)), Filter("b", "", ("y", "z"))))
    a, b = table.term(table.filters[0], 1), table.term(table.filters[1], 2)
    assert list(map(table.split, table.pairs_of((1, 2)))) == [(0, 0), (a, 0), (b, 0), (a, b)]


@given(st.lists(st.tuples(*(st.none() | st.integers(1, 3) for _ in DELIVERIES.filters)), unique=True))
def test_many_records_count_as_each_of_them_does(records: list[Codes]) -> None:
    counted = DELIVERIES.count_pairs(records) if records else {}
    assert counted == Counter(pair for codes in records for pair in DELIVERIES.pairs_of(codes))


def test_many_records_of_a_table_without_filters_count_for_the_total_alone() -> None:
    assert Counted("toy", ()).count_pairs([(), ()]) == {0: 2}
