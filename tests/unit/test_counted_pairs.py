"""What a record counts as."""

from notifhist.store.counted.table import Counted, Filter


def test_a_record_of_a_table_without_filters_counts_for_the_total_alone() -> None:
    table = Counted("toy", ())
    assert table.pairs_of(()) == [0]
    assert table.split(0) == (0, 0)


def test_a_record_counts_for_the_total_each_value_and_each_two_values() -> None:
    table = Counted("toy", (Filter("a", "", ("x",)), Filter("b", "", ("y", "z"))))
    a, b = table.term(table.filters[0], 1), table.term(table.filters[1], 2)
    assert list(map(table.split, table.pairs_of((1, 2)))) == [(0, 0), (a, 0), (b, 0), (a, b)]
