"""The choice of entity, alarm and check by labels."""

import hashlib
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifhist.feeds import labels
from notifhist.feeds.feed import Origin
from notifhist.feeds.labels import ENTITY_LABELS, MAX_HASHED, Labels, fingerprint, place_of
from tests.feed_items import WEBHOOK

ALERT = WEBHOOK["alerts"][0]


def test_the_fingerprint_is_the_one_that_alertmanager_sends() -> None:
    assert fingerprint(ALERT["labels"]) == ALERT["fingerprint"]


def test_long_labels_are_not_hashed_byte_by_byte() -> None:
    filled = {"a": "x" * (MAX_HASHED - 3)}
    with patch.object(labels, "MAX_HASHED", 2 * MAX_HASHED):
        as_alertmanager = fingerprint(filled)
        longer = fingerprint({"a": filled["a"] + "x"})
    assert fingerprint(filled) == as_alertmanager
    assert fingerprint({"a": filled["a"] + "x"}) != longer
    assert (
        fingerprint({"a": filled["a"] + "x"})
        == hashlib.sha256(b"a\xff%b\xff" % (b"x" * (MAX_HASHED - 2))).hexdigest()[:16]
    )


@given(st.dictionaries(st.text(), st.text()))
def test_the_order_of_labels_does_not_matter(labels: dict[str, str]) -> None:
    assert fingerprint(labels) == fingerprint(dict(reversed(labels.items())))


@pytest.mark.parametrize("first", range(len(ENTITY_LABELS)))
def test_the_first_label_present_names_the_entity(first: int) -> None:
    labels = {name: f"the {name}" for name in reversed(ENTITY_LABELS[first:])}
    assert place_of(labels, Origin("t", 0), "feed", "c").entity_id == f"the {ENTITY_LABELS[first]}"


@pytest.mark.parametrize(
    ("labels", "origin", "rule_uid", "place"),
    [
        ({}, {}, "", ("feed", "-")),
        ({"instance": "", "job": "node", "alertname": "Down"}, {}, "", ("node", "Down")),
        ({"alertname": "Down", "__alert_rule_uid__": "r1"}, {}, "", ("feed", "r1")),
        ({"alertname": "Down"}, {}, "r2", ("feed", "r2")),
        ({"instance": "i", "db": "d"}, {"entity_labels": ("none", "db")}, "r", ("d", "r")),
        ({"alertname": "a", "x": "y"}, {"alarm_labels": ("x",)}, "r", ("feed", "y")),
        ({"instance": "i", "alertname": "a/b"}, {"entity_labels": ("",), "alarm_labels": ("none",)}, "", ("i", "a∕b")),
    ],
)
def test_places(labels: Labels, origin: dict[str, Any], rule_uid: str, place: tuple[str, str]) -> None:
    chosen = place_of(labels, Origin("t", 0, **origin), "feed", "check", rule_uid)
    assert chosen == (*place, "check")
