"""Items are kept as XML, too: when the mapping changes, what was rendered before must not be answered."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from notifhist.schemas.document import Document
from notifhist.schemas.history import ITEM
from notifhist.serializers import as_xml
from tests import plain_xml
from tests.contract.test_examples import example
from tests.http.helpers import validated

PINNED = 3, "05ccece25c63d55c6456b9597f83b98721ea0b2955ccc51ddd15ad95469e8140"
"""The version of the mapping, and a digest of what it makes of `corpus`."""

NAMES = (
    *("_", "a-b.c", "ü", "東京", "\U00010000", "foo🙂", "\u0530", "𝑥", "a\u200d"),
    *("", " ", "1", "-", ".", "a b", "a:b", "xmlns:a", "{a}b"),
)
CHARACTERS = "<&>\"'\t\n\r\r\n]]>\0\x1b\x7f\x85\u2028\ufffd\ufffe\uffff🚦"
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -(2**63), 2**64 - 1, 1.5, -0.0, 1e21, 1e-7, 5e-324),
    *("", " x ", CHARACTERS, [], {}, {"b": {"c": 1}}, {"b": []}),
    *([None], [[]], [[], {}], [1, "two", None], [{"b": 1}, {}], [[1, 2], [3]], [[[1], []]], [[{"b": [1, 2]}]]),
)
ELSEWHERE: Document = {
    "timestamp": ["1", "never"],
    "success": [True, "yes"],
    "in_progress": None,
    "state": {"a": 1},
    "attempts": [[1]],
    "notification_result": {"id": "an element"},
    "notification_results": [],
    "notification_details": "text",
    "container": {"values": []},
    "alarm_notification_history_item": "",
    "notification_log": {"id": 1},
    "fault": "",
    "error": ["ECONNREFUSED", ""],
    "entry": 1,
    "item": 2,
    "key": 3,
    "suppressions": ["text", {"a": 1}],
    "alarm_changelog": "text",
    "suppression_log": {"id": "x"},
}
"""Members called like those of other levels and like roots: some fit what is declared of the name."""

WHOLE: Document = {
    "state": CHARACTERS,
    "unnamed before the id": 1,
    **{name: [1, {"in": name}] for name in (*NAMES, CHARACTERS, "n" * 1000, "n" * 1001)},
    "timestamp": 1_320_885_544_875,
    "id": "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26",
    "notification_results": [
        {},
        {
            "attempts": [{"from": CHARACTERS}, {}, {"message": "m", **ELSEWHERE}],
            "success": True,
            "notification_details": {"values": list(VALUES), **dict(zip(NAMES, VALUES, strict=False))},
            "in_progress": False,
            "error": {"code": 1},
        },
        {"notification_details": {CHARACTERS: ELSEWHERE}, "attempts": []},
        {"notification_details": {}, "details": ELSEWHERE, "values": list(VALUES)},
    ],
    "previous_state": "",
    "error": [{"code": 1}],
    "attempts": [{"message": 1}, "text"],
    "suppressions": [CHARACTERS, ""],
}
"""An item in which every rule of the mapping has its say."""


def corpus() -> Iterator[Document]:
    """Yield the published items, each rule at work, and an item without any result."""
    yield json.loads(example("item.json"))
    yield from json.loads(example("list.json"))["values"]
    yield WHOLE
    yield {"id": WHOLE["id"], "state": "", "notification_results": []}


def test_a_change_of_the_mapping_raises_its_version() -> None:
    rendered = [as_xml.render(item, ITEM) for item in corpus()]
    assert rendered == [plain_xml.render(item, ITEM) for item in corpus()]
    digest = hashlib.sha256(b"\n".join(rendered)).hexdigest()
    assert (as_xml.MAPPING_VERSION, digest) == PINNED, (
        "The mapping to XML has changed: raise MAPPING_VERSION in notifhist/serializers/as_xml.py, so that "
        "nothing is answered as it was rendered before, and pin the new version and digest here."
    )


def test_the_corpus_can_be_recorded_and_its_xml_is_valid() -> None:
    for item in corpus():
        assert json.dumps(ITEM.load(item)) == json.dumps(item)
        validated(as_xml.render(item, ITEM))
