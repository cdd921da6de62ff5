"""The published XML schema: it is what the marshmallow schemas say, it refuses, and what we render is valid."""

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from marshmallow import Schema

from notifhist.schemas import xsd
from notifhist.schemas.history import HISTORY_PAGE, ITEM, AttemptSchema, HistoryItemSchema, NotificationResultSchema
from notifhist.schemas.xml_names import COMMON_WORDS, GLOBAL_MEMBERS, ROOTS
from notifhist.serializers import as_xml
from tests.http.helpers import validated

ID = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"
METADATA = "<metadata><count>0</count><limit>50</limit><marker/><next_marker/><next_href/></metadata>"
OUR_NAMES = sorted({*ROOTS, *GLOBAL_MEMBERS, "id", "values", "metadata", "entry", "item", "notification_result"})
"""Names that mean something somewhere: of roots, of members on any level, of the mapping itself."""


def item(inner: str, attributes: str = f'id="{ID}"') -> str:
    name = "alarm_notification_history_item"
    return f"<{name} {attributes}>{inner}</{name}>"


def result(inner: str) -> str:
    results = f"<notification_result>{inner}</notification_result>"
    return item(f"<notification_results>{results}</notification_results>")


def run(inner: str, attributes: str = 'id="1"') -> str:
    return f"<notification_run {attributes}>{inner}</notification_run>"


def log(inner: str, attributes: str = 'id="1"') -> str:
    return f"<notification_log {attributes}>{inner}</notification_log>"


def container(inner: str) -> str:
    return f"<container><values>{inner}</values>{METADATA}</container>"


def test_the_published_schema_is_the_generated_one() -> None:
    assert files("notifhist.schemas").joinpath("notification_history.xsd").read_bytes() == xsd.generate()


VALID = {
    "an item": item("<timestamp>1</timestamp>"),
    "an item in any order": item("<state/><notification_results/><timestamp>1</timestamp><status/>"),
    "unnamed members": item("<a><b/></a><z>1</z>"),
    "members of a free map": result("<notification_details><success>maybe</success></notification_details>"),
    "an empty container": container(""),
    "a container in another order": f"<container>{METADATA}<values/></container>",
    "a container of items": container(item("")),
    "a container of runs": container(run("")),
    "a container of logs": container(log("")),
    "a log": log("<runId>1</runId><recipientEntityId>2</recipientEntityId><recipientEmail/>"),
    "an entity in a container": container('<entity id="e"><label>e</label><metadata/></entity>'),
    "an entity of anything": "<entity>web7</entity>",
    "a container of deliveries": container(
        f'<delivery id="{ID}"><attempts>0</attempts><outcome>sent</outcome></delivery>'
    ),
    "a container of buckets": container("<bucket><from>0</from><to>1</to><counts><a>1</a><entry/></counts></bucket>"),
    "a container of receivers": container("<receiver><counts/><last_failure>1</last_failure></receiver>"),
    "the metadata of deliveries": container("").replace("<marker/>", "<marker/><total>0</total>"),
    "a run": run("<seqNo>1</seqNo><notificationObjects><id>1</id></notificationObjects>"),
    "no checks": "<alarm_checks_map><check_ids/></alarm_checks_map>",
    "checks": "<alarm_checks_map><check_ids><check_id>a</check_id></check_ids></alarm_checks_map>",
    "a fault": "<fault><type/><code/><message/><details/><request_id/></fault>",
    "an error": "<error><httpStatus>403</httpStatus></error>",
}

INVALID = {
    "a container without metadata": "<container><values/></container>",
    "a container without values": f"<container>{METADATA}</container>",
    "a container with two values": f"<container><values/><values/>{METADATA}</container>",
    "a container of something else": container("<fault/>"),
    "a container with another member": f"<container><values/>{METADATA}<links/></container>",
    "a container of text": container("text"),
    "metadata with another member": "<container><values/><metadata><size>1</size></metadata></container>",
    "a count of letters": "<container><values/><metadata><count>one</count></metadata></container>",
    "an item without id": item("", ""),
    "an item with another attribute": item("", f'id="{ID}" x="1"'),
    "an item in a container without id": container(item("", "")),
    "an item with text": item("text"),
    "a timestamp of letters": item("<timestamp>now</timestamp>"),
    "an empty timestamp": item("<timestamp/>"),
    "a timestamp before 1970": item("<timestamp>-1</timestamp>"),
    "a timestamp after the last": item("<timestamp>103072857660685</timestamp>"),
    "a status with members": item("<status><a/></status>"),
    "in_progress maybe": result("<in_progress>maybe</in_progress>"),
    "success True": result("<success>True</success>"),
    "a foreign element among results": item("<notification_results><result/></notification_results>"),
    "results as text": item("<notification_results>none</notification_results>"),
    "a result outside": result("<attempts><notification_results><a/></notification_results></attempts>"),
    "an attempt as text": result("<attempts>one</attempts>"),
    "a message with members": result("<attempts><message><a/></message></attempts>"),
    "a delivery without id": container("<delivery/>"),
    "a delivery with an unknown element": container(f'<delivery id="{ID}"><severity/></delivery>'),
    "a delivery alone": f'<delivery id="{ID}"/>',
    "attempts that are no number": container(f'<delivery id="{ID}"><attempts>many</attempts></delivery>'),
    "attempts below none": container(f'<delivery id="{ID}"><attempts>-1</attempts></delivery>'),
    "a bucket before 1970": container("<bucket><from>-1</from></bucket>"),
    "a receiver with an unknown element": container("<receiver><name/></receiver>"),
    "a run with an unknown element": run("<extra/>"),
    "a run in a container with an unknown element": container(run("<extra/>")),
    "a run without id": run("", ""),
    "a run whose id is text": run("", 'id="one"'),
    "a log with an unknown element": log("<extra/>"),
    "a log without id": log("", ""),
    "a runId of letters": log("<runId>one</runId>"),
    "a seqNo beyond int32": run("<seqNo>2147483648</seqNo>"),
    "an originalRunId beyond int64": run("<originalRunId>9223372036854775808</originalRunId>"),
    "an object with an unknown element": run("<notificationObjects><extra/></notificationObjects>"),
    "a fault with an unknown element": "<fault><stack/></fault>",
    "an error with an unknown element": "<error><stack/></error>",
    "an entity in a container with an unknown element": container('<entity id="e"><extra/></entity>'),
    "an alarm in a container without id": container("<alarm><check_id/></alarm>"),
    "limits in a container": container("<limit/>"),
    "another root": "<items/>",
    "a root in a namespace": '<fault xmlns="urn:x"/>',
    "checks without their list": "<alarm_checks_map><check_id>a</check_id></alarm_checks_map>",
}


@pytest.mark.parametrize("xml", VALID.values(), ids=VALID.keys())
def test_a_document_is_valid(xml: str) -> None:
    validated(xml.encode())


@pytest.mark.parametrize("xml", INVALID.values(), ids=INVALID.keys())
def test_what_is_no_document_is_not(xml: str) -> None:
    with pytest.raises(etree.DocumentInvalid):
        validated(xml.encode())


def test_the_roots_and_the_members_of_open_documents_are_declared() -> None:
    elements = etree.fromstring(xsd.generate()).findall("{http://www.w3.org/2001/XMLSchema}element")
    assert [element.get("name") for element in elements] == [*ROOTS, *GLOBAL_MEMBERS]


NASTY_VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "a number": 1,
    "a negative number": -1,
    "a large number": 2**64 - 1,
    "a fraction": 1.5,
    "an empty text": "",
    "blank": " ",
    "text": "text",
    "a number as text": "12",
    "a boolean as text": "true",
    "no XML characters": "\0\x1b\ufffe",
    "markup": "<a/>&b;]]>",
    "an empty list": [],
    "an empty map": {},
    "a list of nulls": [None, None],
    "a list of texts": ["a", ""],
    "a mixed list": [1, {"a": 1}, [], None, "a"],
    "lists of lists": [[1, [2, []]], [[]], []],
    "a map": {"a": 1},
    "a map of maps": {"a": {"b": {"c": None}}},
}


def items_with(name: str, value: Any) -> Iterator[dict[str, Any]]:
    """Yield items with a member in every place where it is an unnamed one."""
    places = (
        (HistoryItemSchema, lambda members: {**members, "notification_results": []}),
        (NotificationResultSchema, lambda members: {"notification_results": [{}, members]}),
        (AttemptSchema, lambda members: {"notification_results": [{"attempts": [{}, members]}]}),
        (Schema, lambda members: {"notification_results": [{"notification_details": members}]}),
        (Schema, lambda members: {"x": [members, {"y": members}], "notification_results": []}),
        (Schema, lambda members: {"notification_results": [{"x": [[members]], "attempts": [{"y": members}]}]}),
    )
    for schema, place in places:
        named = {field.data_key or each for each, field in schema().fields.items()}
        if name not in named | ({"values"} if schema is HistoryItemSchema else set()):
            yield {"id": ID, "state": "OK", **place({name: value})}


@pytest.mark.parametrize("value", NASTY_VALUES.values(), ids=NASTY_VALUES.keys())
def test_an_unnamed_member_of_any_name_and_value_renders_to_a_valid_document(value: Any) -> None:
    for name in (*OUR_NAMES, "", "a b", "a:b", "1", "\0", "xmlns", "xml:lang", "东"):
        for document in items_with(name, value):
            assert ITEM.load(document) == document
            page = {"values": [document], "metadata": {"count": 1, "limit": 1, "marker": None}}
            validated(as_xml.render(page, HISTORY_PAGE))


def test_unnamed_members_called_like_roots_that_are_common_words_keep_their_names() -> None:
    for name in COMMON_WORDS:
        for value in ("web7", 5, None, {"id": "web7", "state": "up"}, ["a", {"b": []}]):
            for document in items_with(name, value):
                rendered = as_xml.render(document, ITEM)
                validated(rendered)
                assert b"<entry" not in rendered
                assert f"<{name}".encode() in rendered


names = st.sampled_from(OUR_NAMES) | st.text(max_size=4)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
) | st.text(max_size=4)
nasty = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names, nasty, max_size=4))
def test_any_unnamed_members_render_to_a_valid_document(members: dict[str, Any]) -> None:
    for name, value in members.items():
        for document in items_with(name, value):
            validated(as_xml.render(document, ITEM))
