from typing import Any

import pytest

from notifhist.errors import BadRequest
from notifhist.schemas.history import ATTEMPT, HISTORY_CONTAINER, ITEM
from notifhist.schemas.runs import RUN, RUNS_CONTAINER
from notifhist.serializers import as_xml
from notifhist.serializers.from_xml import MAX_ELEMENT_DEPTH, parse
from tests.http.helpers import NIL


def read(inner: str) -> Any:
    """Return the attempt that `inner` makes."""
    parsed = parse(f"<attempts>{inner}</attempts>".encode(), ATTEMPT)
    assert parsed.problems == {}
    return parsed.document


def read_item(inner: str, attributes: str = "") -> Any:
    root = "alarm_notification_history_item"
    parsed = parse(f"<{root} {attributes}>{inner}</{root}>".encode(), ITEM)
    return {**parsed.document, **({"problems": parsed.problems} if parsed.problems else {})}


def problem(body: str | bytes) -> tuple[str, str]:
    """Return message and details of the error that `body` raises."""
    with pytest.raises(BadRequest) as raised:
        parse(body.encode() if isinstance(body, str) else body, ITEM, HISTORY_CONTAINER)
    return raised.value.message, raised.value.details


@pytest.mark.parametrize(
    ("inner", "document"),
    [
        ("", {}),
        ("<message>m</message><from>f</from>", {"message": "m", "from": "f"}),
        ("<from>f</from><message/>", {"from": "f", "message": ""}),
        ("<message> m\n </message>", {"message": " m\n "}),
        ("<message><![CDATA[<a>&amp;]]></message>", {"message": "<a>&amp;"}),
        ("<message>a<!-- b -->c<?d e?>f</message>", {"message": "acf"}),
        ("<message>&lt;&amp;&gt;&quot;&apos;&#9;&#x1F6A6;</message>", {"message": "<&>\"'\t🚦"}),
        ("\n  <a>1</a>\n  <b>true</b>\n", {"a": "1", "b": "true"}),
        ("<a/>", {"a": ""}),
        ("<a><b>1</b><c/></a>", {"a": {"b": "1", "c": ""}}),
        ("<a>1</a><b/><a>2</a>", {"a": ["1", "2"], "b": ""}),
        ("<a><item>1</item><item>2</item></a>", {"a": {"item": ["1", "2"]}}),
        ('<entry key="a b">1</entry>', {"a b": "1"}),
        ('<entry key="">1</entry>', {"": "1"}),
        ('<entry key="a">1</entry><a>2</a>', {"a": ["1", "2"]}),
        ('<entry key="message">m</entry>', {"message": "m"}),
        ("<entry>1</entry>", {"entry": "1"}),
        ('<a><entry key="1"><b/></entry></a>', {"a": {"1": {"b": ""}}}),
        ("<notification_details>x</notification_details>", {"notification_details": "x"}),
    ],
)
def test_elements_become_members(inner: str, document: dict[str, Any]) -> None:
    assert read(inner) == document
    assert list(read(inner)) == list(document)


@pytest.mark.parametrize(
    ("inner", "document"),
    [
        ("<timestamp>5</timestamp>", {"timestamp": 5}),
        ("<timestamp> 5\n</timestamp>", {"timestamp": 5}),
        ("<timestamp>five</timestamp>", {"timestamp": "five"}),
        ("<timestamp/>", {"timestamp": None}),
        ("<timestamp>٥</timestamp>", {"timestamp": "٥"}),
        ("<timestamp>5.0</timestamp>", {"timestamp": 5}),
        ("<timestamp>1.795727e12</timestamp>", {"timestamp": 1_795_727_000_000}),
        ("<timestamp>5.5</timestamp>", {"timestamp": "5.5"}),
        ("<timestamp>1e999</timestamp>", {"timestamp": "1e999"}),
        (f"<timestamp {NIL}/>", {"timestamp": None}),
        (f"<state {NIL}/>", {"state": None}),
        (f"<notification_results {NIL}/>", {"notification_results": None}),
        (f"<x {NIL}/>", {"x": None}),
        (f"<x><y {NIL}/></x>", {"x": {"y": None}}),
        (f"<x {NIL}/><x>1</x>", {"x": [None, "1"]}),
        (f"<state {NIL.replace('true', ' 1 ')}> </state>", {"state": None}),
        (f"<state {NIL.replace('true', 'false')}/>", {"state": ""}),
        ("<timestamp><a>5</a></timestamp>", {"timestamp": {"a": "5"}}),
        ("<state/>", {"state": ""}),
        ("<state><a/></state>", {"state": {"a": ""}}),
        ("<notification_results/>", {"notification_results": []}),
        ("<notification_results> \n </notification_results>", {"notification_results": []}),
    ],
)
def test_named_members_have_the_types_of_their_schema(inner: str, document: dict[str, Any]) -> None:
    assert read_item(inner) == document


@pytest.mark.parametrize(
    ("inner", "result"),
    [
        ("", {}),
        ("<in_progress>true</in_progress>", {"in_progress": True}),
        ("<in_progress> 0 </in_progress><success>1</success>", {"in_progress": False, "success": True}),
        ("<success>maybe</success>", {"success": "maybe"}),
        ("<success>True</success>", {"success": "True"}),
        ("<success/><message/>", {"success": None, "message": ""}),
        ("<attempts/>", {"attempts": []}),
        ("<attempts> </attempts>", {"attempts": []}),
        ("<attempts><from>a</from></attempts>", {"attempts": [{"from": "a"}]}),
        (
            "<attempts/><message>m</message><attempts><x>1</x></attempts>",
            {"attempts": [{}, {"x": "1"}], "message": "m"},
        ),
        ("<notification_details/>", {"notification_details": {}}),
        (
            "<notification_details><a>1</a><a>2</a><b/></notification_details>",
            {"notification_details": {"a": ["1", "2"], "b": ""}},
        ),
    ],
)
def test_a_result_is_read_by_its_schema(inner: str, result: dict[str, Any]) -> None:
    xml = f"<notification_results><notification_result>{inner}</notification_result></notification_results>"
    assert read_item(xml) == {"notification_results": [result]}


def test_the_id_of_an_item_is_an_attribute_and_comes_first() -> None:
    item = read_item("<state>OK</state>", 'id="ABC"')
    assert list(item.items()) == [("id", "ABC"), ("state", "OK")]


def test_attributes_of_the_schema_instance_namespace_are_no_members() -> None:
    xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="a.xsd"'
    assert read_item("", xsi) == {}


@pytest.mark.parametrize(
    ("inner", "attributes", "problems"),
    [
        ("", 'x="1"', {"x": "No such attribute."}),
        ('<state x="1">OK</state>', "", {"state.x": "No such attribute."}),
        ('<a><b x="1"/></a>', "", {"a.b.x": "No such attribute."}),
        ('<a key="1"/>', "", {"a.key": "No such attribute."}),
        ("text", "", {"the root element": "Has text beside elements."}),
        ("<a>text<b/></a>", "", {"a": "Has text beside elements."}),
        ("<a><b/>text</a>", "", {"a": "Has text beside elements."}),
        ("<state>OK</state><state>OK</state>", "", {"state": "Given twice."}),
        ("<id>1</id>", 'id="1"', {"id": "Given twice."}),
        ("<notification_results/><notification_results/>", "", {"notification_results": "Given twice."}),
        (
            "<notification_results><result/></notification_results>",
            "",
            {"notification_results.result": "Only notification_result elements stand here."},
        ),
        (
            "<notification_results>text</notification_results>",
            "",
            {"notification_results": "Has text beside elements."},
        ),
        ('<x:state xmlns:x="urn:x">OK</x:state>', "", {'["{urn:x}state"]': "Is in a namespace; documents use none."}),
        (
            "<notification_results><notification_result><attempts>text</attempts></notification_result>"
            "</notification_results>",
            "",
            {"notification_results[0].attempts[0]": "Has text beside elements."},
        ),
    ],
)
def test_what_no_document_has_is_named_by_its_path(inner: str, attributes: str, problems: dict[str, str]) -> None:
    assert read_item(inner, attributes)["problems"] == problems


@pytest.mark.parametrize(
    ("body", "message", "details"),
    [
        ("<a", "The body is not well-formed XML.", "line 1, column 3"),
        ("<a>\n<b></a>", "The body is not well-formed XML.", "line 2, column 8"),
        ("", "The body is not well-formed XML.", ""),
        ("{}", "The body is not well-formed XML.", "line 1, column 1"),
        ("<a>&x;</a>", "The body is not well-formed XML.", "line 1"),
        ("<a>&#0;</a>", "The body is not well-formed XML.", "line 1"),
        ("<a>\x01</a>", "The body is not well-formed XML.", "line 1"),
        ("<a x='1' x='2'/>", "The body is not well-formed XML.", "line 1"),
        ("<a/><b/>", "The body is not well-formed XML.", "line 1"),
        ("<p:a/>", "The body is not well-formed XML.", "line 1"),
        ("<item/>", "The body's root element does not fit.", "item is none of alarm_notification"),
        ("<attempts/>", "The body's root element does not fit.", "attempts is none of"),
        ('<container xmlns="urn:x"/>', "The body's root element does not fit.", "{urn:x}container"),
        ("<!DOCTYPE container><container/>", "The body has a DOCTYPE.", ""),
        ('<!DOCTYPE container SYSTEM "a.dtd"><container/>', "The body has a DOCTYPE.", ""),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "The body has a DOCTYPE.", ""),
        (
            '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;&x;">]><a>&y;</a>',
            "The body has a DOCTYPE.",
            "",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(body: str, message: str, details: str) -> None:
    found = problem(body)
    assert found[0] == message
    assert details in found[1]


def nested(levels: int) -> str:
    return f"<container><values/><a>{'<b>' * levels}{'</b>' * levels}</a></container>"


def test_elements_nested_too_deeply_are_refused() -> None:
    assert parse(nested(60).encode(), ITEM, HISTORY_CONTAINER).is_container
    assert problem(nested(70))[0] == "The body is nested too deeply."
    assert problem(nested(MAX_ELEMENT_DEPTH))[0] == "The body is nested too deeply."
    assert problem(nested(100_000))[0].startswith("The body is n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "us-ascii"])
def test_the_declared_encoding_is_understood(encoding: str) -> None:
    xml = f'<?xml version="1.0" encoding="{encoding}"?><attempts><message>é</message></attempts>'
    body = xml.encode(encoding, "xmlcharrefreplace")
    assert parse(body, ATTEMPT).document == {"message": "é"}


def test_the_root_says_whether_it_is_a_container() -> None:
    assert parse(b"<container><values/></container>", ITEM, HISTORY_CONTAINER).is_container
    assert not parse(b"<alarm_notification_history_item/>", ITEM, HISTORY_CONTAINER).is_container
    with pytest.raises(BadRequest, match="root element"):
        parse(b"<container/>", ITEM)


def test_a_run_is_read_by_its_schema() -> None:
    xml = (
        b'<container><values><notification_run id="7"><deliveredCount>1</deliveredCount>'
        b"<notificationObjects><id>5</id><name>1</name></notificationObjects>"
        b"</notification_run></values><metadata><page>0</page></metadata></container>"
    )
    parsed = parse(xml, RUN, RUNS_CONTAINER)
    assert parsed.problems == {}
    assert parsed.document["runs"] == [{"id": 7, "deliveredCount": 1, "notificationObjects": [{"id": 5, "name": "1"}]}]


@pytest.mark.parametrize(
    "document",
    [
        {"id": "i", "timestamp": 5, "notification_results": [{"in_progress": True, "attempts": [{}, {}]}]},
        {"state": "  a\r\nb\t", "a b": {"1": "x"}, "notification_results": []},
        {"notification_results": [{"notification_details": {"a": ["1", "2"], "b": {"c": "d"}}, "success": False}]},
    ],
)
def test_the_way_back_gives_the_document(document: dict[str, Any]) -> None:
    assert parse(as_xml.render(document, ITEM), ITEM).document == document


def test_the_parser_fetches_nothing() -> None:
    body = b'<?xml-stylesheet href="file:///etc/passwd"?><attempts><message>m</message></attempts>'
    assert parse(body, ATTEMPT).document == {"message": "m"}
