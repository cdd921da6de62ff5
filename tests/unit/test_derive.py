"""The deliveries of one item: outcomes, targets, messages and ids by the contract (E1), and what does not fit."""

from typing import Any

import orjson
import pytest
from hypothesis import example, given

from notifhist.errors import BadRequest
from notifhist.schemas.deliveries import DELIVERY, OUTCOMES
from notifhist.schemas.document import Document, member_fields
from notifhist.schemas.history import ITEM, is_change
from notifhist.schemas.item_ids import id_of, key_in_tenant, key_of
from notifhist.schemas.query import CheckPath
from notifhist.schemas.validation import validate
from notifhist.serializers.from_xml import parse
from notifhist.store.deliveries import derive
from notifhist.store.deliveries.derive import MAX_RESULTS, Delivery, deliveries_of, hash_of
from tests.delivery_model import MEMBERS, expected_deliveries
from tests.http.helpers import NIL
from tests.property.strategies import ANY_ITEM, AWKWARD_ITEM, MANY_ATTEMPTS, completed

ITEM_ID = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"
TIMESTAMP = 1_320_885_544_875
CHECK = CheckPath("t", "enOne", "alOne", "chOne")
SHORT: Document = {"id": ITEM_ID, "timestamp": TIMESTAMP, "state": "OK", "notification_results": []}


def item_of(*results: Document, **members: Any) -> Document:
    """Return an item as it is loaded, from a body in JSON."""
    item: Document = validate(ITEM, {**SHORT, "notification_results": list(results), **members})
    return item


def documents_of(item: Document, check: CheckPath = CHECK) -> list[Document]:
    return [orjson.loads(each.document) for each in deliveries_of(check, item)]


def delivery_of(result: Document, **members: Any) -> Document:
    (delivery,) = documents_of(item_of(result, **members))
    return delivery


# Members and ids.


def test_the_members_are_those_of_the_contract_in_its_order() -> None:
    assert tuple(member_fields(DELIVERY)) == MEMBERS
    assert OUTCOMES == ("not_sent", "in_progress", "sent", "failed", "unknown")  # codes in the database: never reorder
    result = {
        "notification_id": "ntOne",
        "notification_type": "webhook",
        "notification_details": {"url": "http://a/"},
        "success": True,
        "message": "Done",
        "attempts": [{"message": "tried"}, {}],
    }
    members = {"status": "fine", "previous_state": "WARNING", "notification_plan_id": "np", "transaction_id": "tr"}
    whole = delivery_of(result, **members)
    assert tuple(whole) == MEMBERS
    assert whole == {
        **members,
        "id": "646ac7b0-0b34-11e1-ae72-13ccfb648f06",
        "timestamp": TIMESTAMP,
        "entity_id": "enOne",
        "alarm_id": "alOne",
        "check_id": "chOne",
        "item_id": ITEM_ID,
        "position": 0,
        "state": "OK",
        "notification_id": "ntOne",
        "notification_type": "webhook",
        "target": "http://a/",
        "outcome": "sent",
        "attempts": 2,
        "message": "Done",
    }


def test_what_is_not_known_is_absent() -> None:
    assert list(delivery_of({})) == [
        *("id", "timestamp", "entity_id", "alarm_id", "check_id", "item_id", "position", "state", "outcome", "attempts")
    ]
    (without_results,) = documents_of(item_of())
    assert "position" not in without_results
    assert (without_results["outcome"], without_results["attempts"]) == ("not_sent", 0)


def test_ids_are_as_published() -> None:
    ids = [each["id"] for each in documents_of(item_of({}, {}))]
    assert [each[19:] for each in ids] == ["ae72-13ccfb648f06", "b35b-2bb201a6b4d4"]
    assert {each[:19] for each in ids} == {ITEM_ID[:19]}
    logs = {
        check: id_of(key_in_tenant(CheckPath("t", "enOne", "alOne", check), ITEM_ID)) for check in ("chOne", "chTwo")
    }
    assert logs == {"chOne": "646ac7b0-0b34-11e1-8c5f-31a968bcad0e", "chTwo": "646ac7b0-0b34-11e1-ab01-9d10d3e50bbb"}


def test_an_id_in_capitals_names_the_same_deliveries() -> None:
    assert documents_of(item_of({}, {}, id=ITEM_ID.upper())) == documents_of(item_of({}, {}))


def test_a_thousand_results_are_a_thousand_deliveries() -> None:
    deliveries = documents_of(item_of(*({"notification_id": f"nt{n}"} for n in range(1000))))
    assert [each["position"] for each in deliveries] == list(range(1000))
    assert [each["notification_id"] for each in deliveries] == [f"nt{n}" for n in range(1000)]
    assert len({each["id"] for each in deliveries}) == 1000


# Outcomes.

RESULTS: list[tuple[Document, str]] = [
    ({}, "unknown"),
    ({"success": True}, "sent"),
    ({"success": False}, "failed"),
    ({"in_progress": True}, "in_progress"),
    ({"in_progress": True, "success": True}, "in_progress"),
    ({"in_progress": True, "success": False}, "in_progress"),
    ({"in_progress": False}, "unknown"),
    ({"in_progress": False, "success": True}, "sent"),
    ({"in_progress": False, "success": False}, "failed"),
    ({"in_progress": None, "success": None}, "unknown"),
    ({"in_progress": True, "success": None}, "in_progress"),
    ({"in_progress": None, "success": False}, "failed"),
]


@pytest.mark.parametrize(("result", "outcome"), RESULTS)
def test_the_outcome_of_a_result(result: Document, outcome: str) -> None:
    assert delivery_of(result)["outcome"] == outcome
    assert delivery_of(result, suppressions=[])["outcome"] == outcome
    assert delivery_of(result, suppressions=None)["outcome"] == outcome


@pytest.mark.parametrize("result", [result for result, _ in RESULTS])
@pytest.mark.parametrize("suppressions", [["sp1"], ["sp1", "sp2"]])
def test_suppressions_win(result: Document, suppressions: list[str]) -> None:
    item = item_of(result, result, suppressions=suppressions, status="muted")
    deliveries = documents_of(item)
    assert [each["outcome"] for each in deliveries] == ["not_sent", "not_sent"]
    assert [each["position"] for each in deliveries] == [0, 1]
    assert [each["message"] for each in deliveries] == ["muted", "muted"]
    # Before they were a named member, a single one that came as XML was recorded as a text.
    assert documents_of(item | {"suppressions": "sp1"}) == deliveries


@pytest.mark.parametrize(
    ("inner", "outcome"),
    [
        ("", "sent"),
        ("<suppressions/>", "sent"),
        (f"<suppressions {NIL}/>", "sent"),
        ("<suppressions>sp1</suppressions>", "not_sent"),
        ("<suppressions>sp1</suppressions><suppressions>sp2</suppressions>", "not_sent"),
    ],
)
def test_suppressions_that_came_as_xml(inner: str, outcome: str) -> None:
    root = "alarm_notification_history_item"
    result = "<notification_result><success>true</success></notification_result>"
    results = f"<notification_results>{result}</notification_results>"
    body = f'<{root} id="{ITEM_ID}"><state>OK</state>{inner}{results}</{root}>'
    item = {"timestamp": TIMESTAMP, **validate(ITEM, parse(body.encode(), ITEM).document)}
    (delivery,) = deliveries_of(CHECK, item)
    assert orjson.loads(delivery.document)["outcome"] == outcome
    assert delivery.is_suppressed is (outcome == "not_sent")


# Targets and messages.


@pytest.mark.parametrize(
    ("details", "target"),
    [
        ({"recipient": "6", "email": "5", "channel": "4", "phone_number": "3", "address": "2", "url": "1"}, "1"),
        ({"recipient": "6", "email": "5", "channel": "4", "phone_number": "3", "address": "2"}, "2"),
        ({"recipient": "6", "email": "5", "channel": "4", "phone_number": "3"}, "3"),
        ({"recipient": "6", "email": "5", "channel": "4"}, "4"),
        ({"recipient": "6", "email": "5"}, "5"),
        ({"other": "0", "recipient": "6"}, "6"),
        (
            {
                "url": 1,
                "address": None,
                "phone_number": ["3"],
                "channel": {"name": "4"},
                "email": True,
                "recipient": "6",
            },
            "6",
        ),
        ({"url": "", "address": "2"}, ""),
        ({"b": 1, "a": "first", "c": "second"}, "first"),
        ({"c": "second", "a": "first"}, "second"),
        ({"nested": {"url": "http://a/"}, "list": ["a"], "n": None}, None),
        ({}, None),
        (None, None),
        ({"url": "tel:\0\ud7ff🚨"}, "tel:\0\ud7ff🚨"),
    ],
)
def test_the_target_is_the_first_string(details: Any, target: str | None) -> None:
    assert delivery_of({"notification_details": details}).get("target") == target


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"message": "own", "attempts": [{"message": "tried"}]}, "own"),
        ({"message": "", "attempts": [{"message": "tried"}]}, ""),
        ({"message": None, "attempts": [{"message": "first"}, {"message": "last"}]}, "last"),
        ({"attempts": [{"message": "first"}, {"from": "ele"}]}, None),
        ({"attempts": [{"message": "first"}, {"message": None}]}, None),
        ({"attempts": [{"message": "first"}, {"message": ""}]}, ""),
        ({"attempts": []}, None),
        ({"attempts": None}, None),
        ({}, None),
    ],
)
def test_the_message_is_the_results_or_the_last_attempts(result: Document, message: str | None) -> None:
    assert delivery_of(result, status="not this").get("message") == message


@pytest.mark.parametrize("status", ["fine", "", None])
def test_the_message_of_what_was_not_sent_is_the_status(status: str | None) -> None:
    (delivery,) = documents_of(item_of(status=status))
    assert delivery.get("message") == delivery.get("status") == status
    suppressed = delivery_of({"message": "own", "attempts": [{"message": "a"}]}, status=status, suppressions=["sp"])
    assert suppressed.get("message") == status
    assert suppressed["attempts"] == 1


# What is searched and filtered by.


def searched(result: Document, **members: Any) -> str:
    (delivery,) = deliveries_of(CHECK, item_of(result, **members))
    return delivery.search_text


def test_all_texts_are_searched_case_folded_and_none_across_two() -> None:
    text = searched(
        {
            "notification_id": "NT",
            "notification_type": "Webhook",
            "notification_details": {"url": "HTTP://A/", "other": "Hidden"},
            "message": "Straße",
            "attempts": [{"message": "İ"}, {"message": "Straße"}, {"from": "Elsewhere"}],
        },
        status="All Fine",
        transaction_id="Transaction",
    )
    assert sorted(text.split("X")) == sorted(["all fine", "strasse", "http://a/", "nt", "i̇"])
    assert searched({}) == ""


def test_u_0000_is_kept_and_divides_what_is_searched() -> None:
    result = {"notification_id": "a\0b", "message": "\0", "notification_details": {"url": "c\0"}}
    (delivery,) = deliveries_of(CHECK, item_of(result, state="\0", status="\0d"))
    document = orjson.loads(delivery.document)
    assert [document[name] for name in ("notification_id", "message", "target", "state")] == ["a\0b", "\0", "c\0", "\0"]
    assert "\0" not in delivery.search_text + delivery.document
    assert {"a", "b", "c", "d"} <= set(delivery.search_text.split("X"))


def test_the_receiver_is_all_that_is_known_of_it() -> None:
    def receivers(*results: Document) -> list[str | None]:
        return [each.names[-1] for each in deliveries_of(CHECK, item_of(*results))]

    known: list[Document] = [{"notification_id": "a"}, {"notification_type": "a"}, {"notification_id": ""}]
    known += [{"notification_details": {"url": "a"}}, {"notification_id": "a", "notification_type": "a"}]
    names = receivers({}, *known)
    assert names[0] is None
    assert len(set(names)) == 6
    assert receivers({"success": True, "message": "m", "notification_id": "a"}) == names[1:2]


def test_a_change_and_a_suppression_are_marked_at_the_first_delivery_alone() -> None:
    def marks(**members: Any) -> list[tuple[bool, bool, bool]]:
        deliveries = deliveries_of(CHECK, item_of({}, {}, **members))
        return [(each.is_change, each.is_suppressed, each.log_clock_and_node is not None) for each in deliveries]

    nothing = (False, False, False)
    assert marks() == marks(previous_state="CRITICAL") == marks(previous_state=None) == [(True, False, True), nothing]
    assert marks(previous_state="OK") == [nothing, nothing]
    assert marks(previous_state="OK", suppressions=["sp"]) == [(False, True, True), nothing]
    assert marks(previous_state="ok", suppressions=["sp"]) == [(True, True, True), nothing]
    (delivery,) = deliveries_of(CHECK, item_of())
    assert delivery.log_clock_and_node == key_of("646ac7b0-0b34-11e1-8c5f-31a968bcad0e").clock_and_node


# What does not fit.


def test_an_item_may_have_two_thousand_results() -> None:
    assert len(deliveries_of(CHECK, item_of(*([{}] * MAX_RESULTS)))) == MAX_RESULTS == 2000
    with pytest.raises(BadRequest) as raised:
        deliveries_of(CHECK, item_of(*([{}] * (MAX_RESULTS + 1))))
    assert raised.value.details == "It may have 2000 results."


def test_the_deliveries_may_not_repeat_a_long_status_too_often() -> None:
    status = "x" * 1_000_000
    assert len(deliveries_of(CHECK, item_of(*([{}] * 33), status=status))) == 33
    with pytest.raises(BadRequest) as raised:
        deliveries_of(CHECK, item_of(*([{}] * 34), status=status))
    assert str(64 * 2**20) in raised.value.details
    assert len(deliveries_of(CHECK, item_of(status="x" * 10_000_000))) == 1  # as long as a text may be


def test_the_limit_holds_for_the_characters_together(monkeypatch: pytest.MonkeyPatch) -> None:
    item = item_of({}, {"message": "m"}, status="s")
    characters = sum(len(each.document) + len(each.search_text) for each in deliveries_of(CHECK, item))
    monkeypatch.setattr(derive, "MAX_CHARACTERS", characters)
    assert len(deliveries_of(CHECK, item)) == 2
    monkeypatch.setattr(derive, "MAX_CHARACTERS", characters - 1)
    with pytest.raises(BadRequest):
        deliveries_of(CHECK, item)


# Any item.


def assert_as_expected(delivery: Delivery, document: Document, texts: tuple[str, ...], check: CheckPath) -> None:
    assert orjson.loads(delivery.document) == document
    assert list(orjson.loads(delivery.document)) == list(document)
    assert id_of(key_of(document["id"])) == document["id"]
    assert delivery.clock_and_node == key_of(document["id"]).clock_and_node
    assert OUTCOMES[delivery.outcome - 1] == document["outcome"]
    names = ("state", "notification_type", "notification_id", "notification_plan_id", "entity_id")
    assert delivery.names[:-1] == tuple(document.get(name) for name in names)
    transaction_id = document.get("transaction_id")
    assert delivery.transaction_hash == (None if transaction_id is None else hash_of(transaction_id))
    parts = {part for text in texts for part in text.casefold().split("\0")}
    assert set(delivery.search_text.split("X")) | {""} == parts | {""}


@given(ANY_ITEM)
@example(MANY_ATTEMPTS)
@example(AWKWARD_ITEM)
@example({"state": "X", "status": "x" * 100_000, "suppressions": ["s"], "notification_results": [{"message": "m"}]})
def test_the_deliveries_of_any_item_are_those_of_the_contract(document: Document) -> None:
    item = validate(ITEM, document)
    item = completed(item, {"id": ITEM_ID, "timestamp": TIMESTAMP} | item)
    item |= {"timestamp": key_of(item["id"]).timestamp}
    check = CheckPath("t", "é\u0301 e", "al:1", "%")
    deliveries, expected = deliveries_of(check, item), expected_deliveries(check, item)
    assert len(deliveries) == len(expected)
    for delivery, each in zip(deliveries, expected, strict=True):
        assert_as_expected(delivery, each.document, each.texts, check)
    assert deliveries[0].is_change is is_change(item)
