from typing import Any

import pytest
from lxml import etree

from notifhist.testing.differences import json_difference, xml_difference

JSON: list[tuple[Any, Any, str | None]] = [
    ({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}, None),
    ({"a": 9007199254740993}, {"a": 9007199254740992}, "a: expected 9007199254740993, got 9007199254740992"),
    ({"a": True}, {"a": 1}, "a: expected true, got 1"),
    ({"a": 1}, {"a": "1"}, 'a: expected 1, got "1"'),
    ({"a": None}, {}, "a: expected null, but there is no such member"),
    ({}, {"a": None}, "a: expected no such member, got null"),
    ({}, dict.fromkeys("zyxwvu"), "z: expected no such member, got null"),
    ([{"s": "x"}, {"s": "y"}], [{"s": "x"}, {"s": "z"}], '[1].s: expected "y", got "z"'),
    ({"v": [1, 2]}, {"v": [1]}, "v: expected 2 elements, got 1; missing is [1], 2"),
    ({"v": []}, {"v": [{}]}, "v: expected 0 elements, got 1; too many is [0], {}"),
    ([], {}, "the document: expected [], got {}"),
    ({"v": ["é" * 200]}, {"v": []}, f'v: expected 1 element, got 0; missing is [0], "{"é" * 119}…'),
]


@pytest.mark.parametrize(("expected", "actual", "message"), JSON)
def test_the_first_difference_in_json_is_told_by_its_path(expected: Any, actual: Any, message: str | None) -> None:
    assert json_difference(expected, actual) == message


XML = [
    ("<a><b x='1' y='2'/></a>", "<a>\n  <b y='2' x='1'></b>\n</a>", None),
    ("<a><b/><b>1</b></a>", "<a><b/><b>2</b></a>", '/a/b[2]: expected the text "1", got "2"'),
    ("<a><b>1</b></a>", "<a><c>1</c></a>", "/a/b: expected <b>, got <c>"),
    ("<a id='1'/>", "<a/>", '/a/@id: expected "1", got no such attribute'),
    ("<a/>", "<a id='1'/>", '/a/@id: expected no such attribute, got "1"'),
    ("<a><b/><c/></a>", "<a><b/></a>", "/a: expected <c> as element 2, but there is none"),
    ("<a/>", "<a><b/></a>", "/a: expected 0 elements, got <b> too"),
    ("<a> </a>", "<a/>", '/a: expected the text " ", got ""'),
]


@pytest.mark.parametrize(("expected", "actual", "message"), XML)
def test_the_first_difference_in_xml_is_told_by_its_path(expected: str, actual: str, message: str | None) -> None:
    assert xml_difference(etree.fromstring(expected), etree.fromstring(actual)) == message
