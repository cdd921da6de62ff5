from typing import Any

import pytest
from lxml import etree

from notifhist.schemas.document import DocumentSchema
from notifhist.schemas.error import FAULT, RUN_ERROR
from notifhist.schemas.history import ATTEMPT, DISCOVERY, HISTORY_PAGE, ITEM
from notifhist.schemas.runs import RUN, RUNS_PAGE
from notifhist.serializers import as_json, as_xml

DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
NOTHING = {"count": 0, "limit": 50, "marker": None, "next_marker": None, "next_href": None}


def rendered(document: dict[str, Any], schema: DocumentSchema) -> str:
    text = as_xml.render(document, schema).decode("utf-8")
    assert text.startswith(DECLARATION)
    return text.removeprefix(DECLARATION)


def inner(document: dict[str, Any]) -> str:
    """Return what stands in the element of an attempt, the shortest document with unnamed members."""
    xml = rendered(document, ATTEMPT)
    return xml.removeprefix("<attempts>").removesuffix("</attempts>").replace("<attempts/>", "")


def details(value: Any) -> str:
    """Return what stands in a free map."""
    xml = rendered({"notification_results": [{"notification_details": value}]}, ITEM)
    return xml.partition("<notification_details>")[2].rpartition("</notification_details>")[0]


@pytest.mark.parametrize(
    ("schema", "document", "expected"),
    [
        (
            DISCOVERY,
            {"check_ids": ["a", "b"]},
            "<alarm_checks_map><check_ids><check_id>a</check_id><check_id>b</check_id></check_ids></alarm_checks_map>",
        ),
        (DISCOVERY, {"check_ids": []}, "<alarm_checks_map><check_ids/></alarm_checks_map>"),
        (
            HISTORY_PAGE,
            {"values": [], "metadata": NOTHING},
            "<container><values/><metadata><count>0</count><limit>50</limit><marker/><next_marker/><next_href/>"
            "</metadata></container>",
        ),
        (
            ITEM,
            {"timestamp": 1, "id": "i", "notification_results": []},
            '<alarm_notification_history_item id="i"><timestamp>1</timestamp><notification_results/>'
            "</alarm_notification_history_item>",
        ),
        (
            ITEM,
            {"id": "i", "notification_results": [{"attempts": [{"from": "a"}, {}]}, {"attempts": []}, {}]},
            '<alarm_notification_history_item id="i"><notification_results>'
            "<notification_result><attempts><from>a</from></attempts><attempts/></notification_result>"
            "<notification_result><attempts/></notification_result><notification_result/>"
            "</notification_results></alarm_notification_history_item>",
        ),
        (
            ITEM,
            {"id": "a\0", "state": "a\x1b<", "notification_results": [{"success": True, "in_progress": False}]},
            '<alarm_notification_history_item id="a\ufffd"><state>a\ufffd&lt;</state><notification_results>'
            "<notification_result><success>true</success><in_progress>false</in_progress></notification_result>"
            "</notification_results></alarm_notification_history_item>",
        ),
        (
            RUNS_PAGE,
            {"page": 2, "runs": [{"dateCreated": "d", "id": 7}], "total": 3, "totalPages": 4},
            '<container><values><notification_run id="7"><dateCreated>d</dateCreated></notification_run></values>'
            "<metadata><page>2</page><total>3</total><totalPages>4</totalPages></metadata></container>",
        ),
        (
            RUN,
            {"id": 1, "notificationObjects": [{"id": 5}, {"id": 6}], "status": "CREATED"},
            '<notification_run id="1"><notificationObjects><id>5</id></notificationObjects>'
            "<notificationObjects><id>6</id></notificationObjects><status>CREATED</status></notification_run>",
        ),
        (FAULT, {"type": "t", "code": "404"}, "<fault><type>t</type><code>404</code></fault>"),
        (RUN_ERROR, {"details": "", "httpStatus": 403}, "<error><details/><httpStatus>403</httpStatus></error>"),
    ],
)
def test_each_document_has_its_own_elements(schema: DocumentSchema, document: dict[str, Any], expected: str) -> None:
    assert rendered(document, schema) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "<a>true</a>"),
        (False, "<a>false</a>"),
        (None, "<a/>"),
        ("", "<a/>"),
        ([], "<a/>"),
        ({}, "<a/>"),
        (0, "<a>0</a>"),
        (-(2**63), "<a>-9223372036854775808</a>"),
        (2**64 - 1, "<a>18446744073709551615</a>"),
        (1.5, "<a>1.5</a>"),
        (-0.0, "<a>-0.0</a>"),
        (1e21, "<a>1000000000000000000000</a>"),
        (1e-7, "<a>0.0000001</a>"),
        (" x ", "<a> x </a>"),
        ("<&>", "<a>&lt;&amp;&gt;</a>"),
        ("]]>", "<a>]]&gt;</a>"),
        ("a\r\nb\tc", "<a>a&#13;\nb\tc</a>"),
        ("ü東🚦", "<a>ü東🚦</a>"),
        ("a\0b\x1b\ufffe\uffff", "<a>a\ufffdb\ufffd\ufffd\ufffd</a>"),
        ("\x7f\x85\u2028", "<a>\x7f\x85\u2028</a>"),
        ({"b": {"c": 1}}, "<a><b><c>1</c></b></a>"),
        ([1, "two", None], "<a>1</a><a>two</a><a/>"),
        ([{"b": 1}, {}], "<a><b>1</b></a><a/>"),
        ([[1, 2], [3]], "<a><item>1</item><item>2</item></a><a><item>3</item></a>"),
        ([[]], "<a/>"),
        ([[[1], []]], "<a><item><item>1</item></item><item/></a>"),
        ([[{"b": [1, 2]}]], "<a><item><b>1</b><b>2</b></item></a>"),
    ],
)
def test_values_are_written_as_the_mapping_says(value: Any, expected: str) -> None:
    assert details({"a": value}) == expected
    assert inner({"a": value}) == expected


@pytest.mark.parametrize("name", ["a", "_", "a-b.c", "A1", "xml", "entry", "item", "ü", "東京", "a·b", "aé"])
def test_a_key_that_is_a_name_becomes_an_element(name: str) -> None:
    assert inner({name: 1}) == details({name: 1}) == f"<{name}>1</{name}>"
    assert etree.fromstring(as_xml.render({name: 1}, ATTEMPT))[0].tag == name


@pytest.mark.parametrize(
    ("key", "attribute"),
    [
        ("", ""),
        (" ", " "),
        ("a b", "a b"),
        ("1", "1"),
        ("-a", "-a"),
        (".a", ".a"),
        ("a:b", "a:b"),
        ("xmlns:x", "xmlns:x"),
        ("{urn:x}a", "{urn:x}a"),
        ("a\n", "a&#10;"),
        ("\ta", "&#9;a"),
        ("a\0", "a\ufffd"),
        ('"<&>', "&quot;&lt;&amp;&gt;"),
        ("🚦", "🚦"),
        ("\U00010000", "\U00010000"),
        ("foo🙂", "foo🙂"),
        ("a\u200d", "a\u200d"),
        ("\u0530", "\u0530"),
        ("×", "×"),
        ("÷", "÷"),
        ("a\u037e", "a\u037e"),
        ("a\ufffe", "a\ufffd"),
    ],
)
def test_a_key_that_is_no_name_becomes_an_attribute_of_an_entry(key: str, attribute: str) -> None:
    expected = f'<entry key="{attribute}">1</entry>'
    assert inner({key: 1}) == details({key: 1}) == expected


def test_a_list_of_a_key_that_is_no_name_repeats_the_entry() -> None:
    assert inner({"a b": [1, 2]}) == '<entry key="a b">1</entry><entry key="a b">2</entry>'


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [
        ("timestamp", 5, True),
        ("timestamp", "5", True),
        ("timestamp", "five", False),
        ("timestamp", -1, False),
        ("timestamp", None, False),
        ("success", True, True),
        ("success", "yes", False),
        ("success", {}, False),
        ("state", {"a": 1}, False),
        ("state", {}, True),
        ("attempts", {"a": 1}, True),
        ("attempts", [{}, "x"], False),
        ("notification_results", "x", False),
        ("notification_results", None, True),
        ("notification_details", "x", True),
        ("container", {"values": []}, False),
        ("fault", "", False),
        ("error", "ECONNREFUSED", True),
        ("error", {"code": 1}, False),
    ],
)
def test_an_unnamed_member_called_like_one_of_another_level_fits_it_or_becomes_an_entry(
    name: str, value: Any, plain: bool
) -> None:
    first = etree.fromstring(as_xml.render({name: value}, ATTEMPT))[0]
    assert (first.tag, first.get("key")) == ((name, None) if plain else ("entry", name))
    in_free_map = etree.fromstring(f"<details>{details({name: value})}</details>")
    assert in_free_map[0].tag == name  # nobody looks there


def test_members_keep_their_order() -> None:
    assert inner({"z": 1, "from": "f", "a": 2, "message": "m"}) == (
        "<z>1</z><from>f</from><a>2</a><message>m</message>"
    )


def test_json_keeps_what_xml_cannot_hold() -> None:
    assert as_json.render({"a\0": "\ufffe\x1b"}, ATTEMPT) == '{"a\\u0000":"\ufffe\\u001b"}'.encode()
