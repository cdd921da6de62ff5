"""Any history item comes back as it was recorded; through XML, as far as XML can say it."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from hypothesis import assume, example, given
from lxml import etree

from notifhist.schemas.document import Document
from notifhist.schemas.fields import MAX_TIMESTAMP, TICKS_PER_MS
from notifhist.schemas.history import HISTORY_PAGE, ITEM
from notifhist.schemas.item_ids import ItemKey, id_of, key_of
from notifhist.serializers import as_json, as_xml, from_json, from_xml
from tests.property.conftest import Newcomer
from tests.property.strategies import ANY_ITEM, AWKWARD_ITEM, MANY_ATTEMPTS, NOT_XML, XML_ITEM, completed, examples

SERIES = "/entities/e/alarms/a/notification_history"
PURE = 3
"""How many times as many examples a test without a database can afford."""
CLOCK_AND_NODE = key_of("646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26").clock_and_node


@cache
def published_schema() -> etree.XMLSchema:
    source = files("notifhist.schemas").joinpath("notification_history.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(source))


def assert_valid(body: bytes) -> None:
    assert body.startswith(b'<?xml version="1.0" encoding="utf-8"?>')
    published_schema().assertValid(etree.fromstring(body))


def text(value: Any) -> str:
    """Return what tells two JSON values apart: the order of members, 1 from 1.0 and -0.0, true from 1."""
    return json.dumps(value)


def with_id(item: Document) -> Document:
    """Return `item` with the id and timestamp that it may have left to be filled in."""
    filled_in_id = id_of(ItemKey(item.get("timestamp", 0) * TICKS_PER_MS, CLOCK_AND_NODE))
    return completed(item, {"id": filled_in_id, "timestamp": key_of(item.get("id", filled_in_id)).timestamp})


def read_xml(body: bytes) -> Document:
    """Return the item of an XML body, as recording it would load it."""
    parsed = from_xml.parse(body, ITEM)
    assert parsed.problems == {}
    loaded: Document = ITEM.load(parsed.document)
    return loaded


def names_stay_apart(value: Any) -> bool:
    """Say whether no two members of a map have one name when U+FFFD stands for what XML cannot hold.

    Two that do are repeated siblings in XML, and read back as one list: their places are lost.
    """
    if isinstance(value, list):
        return all(map(names_stay_apart, value))
    if not isinstance(value, dict):
        return True
    names = {NOT_XML.sub("\ufffd", name) for name in value}
    return len(names) == len(value) and all(map(names_stay_apart, value.values()))


def returns_through_xml(item: Document) -> bool:
    """Say whether the XML of an item, sent back, gives the same XML again.

    Not where names run together, nor where a single suppression has blanks alone: it is read as an empty list.
    """
    suppressions = item.get("suppressions", [])
    return names_stay_apart(item) and (len(suppressions) != 1 or bool(suppressions[0].strip()))


@example(AWKWARD_ITEM)
@example(MANY_ATTEMPTS)
@given(ANY_ITEM)
@examples(PURE)
def test_loading_and_dumping_change_nothing(item: Document) -> None:
    loaded = ITEM.load(item)

    assert text(loaded) == text(item)
    assert text(ITEM.dump(loaded)) == text(item)


@example(AWKWARD_ITEM)
@given(ANY_ITEM)
@examples(PURE)
def test_json_says_it_in_full(item: Document) -> None:
    parsed = from_json.parse(as_json.render(item, ITEM), ITEM)

    assert parsed.problems == {}
    assert text(parsed.document) == text(item)


@example(AWKWARD_ITEM)
@example(MANY_ATTEMPTS)
@given(ANY_ITEM)
@examples(PURE)
def test_its_xml_is_valid(item: Document) -> None:
    assert_valid(as_xml.render(with_id(item), ITEM))


@given(ANY_ITEM, ANY_ITEM)
@examples(1)
def test_the_xml_of_a_page_is_valid(one: Document, other: Document) -> None:
    metadata = {
        "count": 2,
        "limit": 2,
        "marker": None,
        "next_marker": id_of(ItemKey(0, CLOCK_AND_NODE)),
        "next_href": "http://h/?a&b",
    }

    assert_valid(as_xml.render({"values": [with_id(one), with_id(other)], "metadata": metadata}, HISTORY_PAGE))


@given(XML_ITEM)
@examples(PURE)
def test_named_members_come_back_equal_through_xml(item: Document) -> None:
    item = with_id(item)
    back = read_xml(as_xml.render(item, ITEM))

    assert back == item
    # An attribute has no place among the elements: only the id's is lost.
    assert text(back) == text({"id": item["id"], **item})


@example(AWKWARD_ITEM)
@given(ANY_ITEM)
@examples(PURE)
def test_any_item_renders_the_same_xml_again(item: Document) -> None:
    assume(returns_through_xml(item))
    xml = as_xml.render(with_id(item), ITEM)

    assert as_xml.render(read_xml(xml), ITEM) == xml


def json_body(document: Document) -> dict[str, Any]:
    """Return what makes the test client send `document`; its own way sorts the members."""
    return {"data": text(document), "content_type": "application/json"}


def record(client: FlaskClient, item: Document, check: str) -> Document:
    response = client.post(f"{SERIES}/{check}", **json_body(item))
    assert response.status_code == 201, response.text
    answered: Document = json.loads(response.data)
    assert text(answered) == text(completed(item, answered))
    return answered


def get_json(client: FlaskClient, check: str, item_id: str) -> str:
    response = client.get(f"{SERIES}/{check}/{item_id}")
    assert response.status_code == 200, response.text
    return text(json.loads(response.data))


def get_xml(client: FlaskClient, path: str) -> bytes:
    response = client.get(path, headers={"Accept": "application/xml"})
    assert response.status_code == 200, response.text
    body: bytes = response.data
    assert_valid(body)
    return body


def send_xml(client: FlaskClient, check: str, body: bytes) -> None:
    response = client.post(f"{SERIES}/{check}", data=body, content_type="application/xml")
    assert response.status_code == 201, response.text


def test_any_item_comes_back_as_it_was_recorded(unlimited: Flask, newcomer: Newcomer) -> None:
    @example(AWKWARD_ITEM)
    @example(MANY_ATTEMPTS)
    @given(ANY_ITEM)
    @examples()
    def holds(item: Document) -> None:
        client = newcomer(unlimited)
        answered = record(client, item, "recorded")
        item_id = answered["id"]

        assert get_json(client, "recorded", item_id) == text(answered)
        page = client.get(f"{SERIES}/recorded?from=0&to={MAX_TIMESTAMP}")
        assert text(json.loads(page.data)["values"]) == text([answered])
        xml = get_xml(client, f"{SERIES}/recorded/{item_id}")
        assert_valid(get_xml(client, f"{SERIES}/recorded?from=0&to={MAX_TIMESTAMP}"))
        if returns_through_xml(item):
            send_xml(client, "from-xml", xml)
            assert get_xml(client, f"{SERIES}/from-xml/{item_id}") == xml

    holds()


def test_an_item_of_named_members_goes_through_xml_unharmed(unlimited: Flask, newcomer: Newcomer) -> None:
    @given(XML_ITEM)
    @examples(0.5)
    def holds(item: Document) -> None:
        client = newcomer(unlimited)
        answered = record(client, item, "recorded")
        item_id = answered["id"]
        send_xml(client, "from-xml", get_xml(client, f"{SERIES}/recorded/{item_id}"))

        assert get_json(client, "from-xml", item_id) == text({"id": item_id, **answered})

    holds()


def test_a_replaced_item_comes_back_as_the_new_one(unlimited: Flask, newcomer: Newcomer) -> None:
    @given(ANY_ITEM, ANY_ITEM)
    @examples(0.5)
    def holds(old: Document, new: Document) -> None:
        client = newcomer(unlimited)
        item_id = record(client, old, "c")["id"]
        for member in ("id", "timestamp"):
            new.pop(member, None)
        response = client.put(f"{SERIES}/c/{item_id}", **json_body(new))
        assert response.status_code == 200, response.text
        replaced = json.loads(response.data)

        assert text(replaced) == text({"id": item_id, "timestamp": replaced["timestamp"], **new})
        assert get_json(client, "c", item_id) == text(replaced)

    holds()
