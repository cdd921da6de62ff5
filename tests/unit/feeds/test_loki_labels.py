"""The labels of a stream."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifhist.feeds.loki_labels import parse_labels
from tests.go_quoting import ESCAPES, go_quote, labels_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.from_regex("[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)


@given(st.dictionaries(NAMES, TEXTS, max_size=4))
def test_what_go_writes_is_read(labels: dict[str, str]) -> None:
    assert parse_labels(labels_text(labels)) == labels


@given(st.dictionaries(NAMES, TEXTS, max_size=4), st.data())
def test_each_character_may_be_written_in_any_way(labels: dict[str, str], data: Any) -> None:
    def quote(value: str) -> str:
        return f'"{"".join(data.draw(st.sampled_from(ESCAPES))(each) for each in value)}"'

    assert parse_labels(labels_text(labels, quote)) == labels


@given(st.dictionaries(TEXTS, TEXTS, max_size=4))
def test_names_may_be_quoted(labels: dict[str, str]) -> None:
    assert parse_labels(labels_text({go_quote(name): value for name, value in labels.items()})) == labels


@given(st.text(alphabet='{}=," \\xuU0fn', max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        labels = parse_labels(text)
    except ValueError:
        return
    assert parse_labels(labels_text({go_quote(name): value for name, value in labels.items()})) == labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("{}", {}),
        ("{ }", {}),
        ('{a="b",}', {"a": "b"}),
        ('  { a = "b" , c="d" } ', {"a": "b", "c": "d"}),
        (r'{a="\xff"}', {"a": "\ufffd"}),
        ('{a="1", a="2"}', {"a": "2"}),
    ],
)
def test_other_ways_to_write_them(text: str, labels: dict[str, str]) -> None:
    assert parse_labels(text) == labels


@pytest.mark.parametrize(
    "text",
    ["", "a", '{a="b"', 'a="b"}', "{a=b}", "{a}", '{a="b" c="d"}', r'{a="\q"}', r'{a="\ud800"}', r'{a="\U00ffffff"}',
     r'{a="\Uffffffff"}', r'{a="\400"}', r'{a="\x1"}', '{a="\n"}', '{,}', '{a="b",,}', "{a='b'}"],
)  # fmt: skip
def test_what_is_no_list_of_labels(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_labels(text)
