"""The ids of derived items."""

import json

from notifhist.feeds.item_ids import item_id
from notifhist.feeds.payloads import ticks_of
from notifhist.schemas.item_ids import key_of
from tests.payloads import FIRST_PUSH, payload


def test_the_id_of_the_example() -> None:
    group_key = json.loads(payload(FIRST_PUSH)["streams"][0]["values"][0][1])["groupKey"]
    ticks = ticks_of("2026-11-26T21:04:30.000418276Z")
    assert ticks is not None
    assert item_id(ticks, "grafana", "acme", "grafana=g1", group_key, "ops") == "f8b6d356-e9dc-11f1-8ffc-ab532488fadb"


def test_the_node_is_no_network_card() -> None:
    assert all(key_of(item_id(n, str(n))).clock_and_node >> 40 & 1 for n in range(50))


def test_parts_that_are_joined_stay_apart() -> None:
    assert item_id(0, "a", "b") != item_id(0, "ab", "")
