import json
from typing import Any

import pytest

from notifhist.errors import BadRequest, RequestTooLarge, UnsupportedMediaType
from notifhist.schemas.history import ATTEMPT, HISTORY_CONTAINER, ITEM
from notifhist.schemas.runs import RUN, RUNS_CONTAINER
from notifhist.serializers.bodies import MAX_BODY_BYTES, MAX_CONTAINER_BYTES, Body, ExpectedBody, parse_body

JSON, XML = "application/json", "application/xml"
ITEM_BODY = ExpectedBody(ITEM, HISTORY_CONTAINER)
RUN_BODY = ExpectedBody(RUN, RUNS_CONTAINER)
SHORT = {"state": "OK", "notification_results": []}
ID = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"
RUN_SHORT = {"notificationType": "WEEKLY_REPORT", "medium": "EMAIL", "status": "CREATED"}


def item_body(document: Any) -> Body:
    return parse_body(json.dumps(document).encode(), JSON, ITEM_BODY)


def run_body(document: Any) -> Body:
    return parse_body(json.dumps(document).encode(), JSON, RUN_BODY)


def item_problems(document: Any) -> dict[str, str]:
    with pytest.raises(BadRequest) as raised:
        item_body(document)
    return named(raised.value)


def named(error: BadRequest) -> dict[str, str]:
    """Return the messages of an error by the paths that it names."""
    assert error.message == "The body does not fit."
    pairs = (part.partition(": ") for part in error.details.split("; "))
    return {path: message for path, _, message in pairs}


@pytest.mark.parametrize(
    ("members", "paths"),
    [
        ({"state": 1}, ["state"]),
        ({"state": None}, ["state"]),
        ({"id": "x"}, ["id"]),
        ({"id": ID, "timestamp": 1}, ["timestamp"]),
        ({"id": ID, "timestamp": "1320885544875"}, ["timestamp"]),
        ({"timestamp": -1}, ["timestamp"]),
        ({"timestamp": 103_072_857_660_685}, ["timestamp"]),
        ({"timestamp": True}, ["timestamp"]),
        ({"timestamp": 1.5}, ["timestamp"]),
        ({"id": "00000000-0000-1000-8000-000000000000"}, ["id"]),
        ({"previous_state": [], "status": {}}, ["previous_state", "status"]),
        ({"notification_results": {}}, ["notification_results"]),
        ({"notification_results": None}, ["notification_results"]),
        ({"notification_results": [1, {}]}, ["notification_results[0]"]),
        ({"notification_results": [{}, {"success": "true"}]}, ["notification_results[1].success"]),
        ({"notification_results": [{"notification_details": []}]}, ["notification_results[0].notification_details"]),
        (
            {"notification_results": [{"attempts": [{}, {}, {"message": 1, "from": 2}]}]},
            ["notification_results[0].attempts[2].from", "notification_results[0].attempts[2].message"],
        ),
        ({"notification_results": [{"attempts": {}}]}, ["notification_results[0].attempts"]),
        ({"x": {"y z": [2**64]}}, ['x["y z"][0]']),
        ({"notification_results": [{"notification_details": {"a": 2**64}}]},
         ["notification_results[0].notification_details.a"]),
        ({"x": "\ud800", "timestamp": 2**64}, ["timestamp", "x"]),
    ],
)  # fmt: skip
def test_every_wrong_member_of_an_item_is_named_by_its_path(members: dict[str, Any], paths: list[str]) -> None:
    assert sorted(item_problems({**SHORT, **members})) == paths


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        ({}, ["notification_results", "state"]),
        ([], ["the body"]),
        ("x", ["the body"]),
        (None, ["the body"]),
        (1, ["the body"]),
        ({"values": {}}, ["values"]),
        ({"values": None}, ["values"]),
        ({"values": [1]}, ["values[0]"]),
        ({"values": [SHORT, {}]}, ["values[1].notification_results", "values[1].state"]),
        ({"values": [{**SHORT, "values": []}]}, ["values[0].values"]),
        ({"values": [SHORT], "metadata": []}, ["metadata"]),
    ],
)
def test_a_body_of_another_form_is_named(document: Any, paths: list[str]) -> None:
    assert sorted(item_problems(document)) == paths


def test_values_are_reserved_where_no_container_is_taken() -> None:
    with pytest.raises(BadRequest) as raised:
        parse_body(json.dumps({**SHORT, "values": []}).encode(), JSON, ExpectedBody(ITEM))
    assert list(named(raised.value)) == ["values"]


@pytest.mark.parametrize(
    ("members", "paths"),
    [
        ({"medium": "PIGEON"}, ["medium"]),
        ({"status": None, "medium": None}, ["medium", "status"]),
        ({"id": "1"}, ["id"]),
        ({"id": 2**63}, ["id"]),
        ({"seqNo": 2**31}, ["seqNo"]),
        ({"deliveredCount": True}, ["deliveredCount"]),
        ({"originalRunId": 1.5}, ["originalRunId"]),
        ({"dateCreated": 1}, ["dateCreated"]),
        ({"dateCreated": "soon", "dateUpdated": ""}, ["dateCreated", "dateUpdated"]),
        ({"errorMessage": "a\0"}, ["errorMessage"]),
        ({"extra": 1}, ["extra"]),
        ({"date_created": "2024-07-29T15:51:28.071Z"}, ["date_created"]),
        (
            {"notificationObjects": [{"id": 1, "name": "n", "type": "ENTITY"}, {"type": "X", "a": 1}]},
            [f"notificationObjects[1].{name}" for name in ("a", "id", "name", "type")],
        ),
        ({"notificationObjects": {}}, ["notificationObjects"]),
        ({"notificationObjects": [None]}, ["notificationObjects[0]"]),
    ],
)
def test_every_wrong_member_of_a_run_is_named_by_its_path(members: dict[str, Any], paths: list[str]) -> None:
    for document, prefix in (({**RUN_SHORT, **members}, ""), ({"runs": [{**RUN_SHORT, **members}]}, "runs[0].")):
        with pytest.raises(BadRequest) as raised:
            run_body(document)
        assert sorted(named(raised.value)) == [prefix + path for path in paths]


def test_an_item_keeps_its_order_and_its_unnamed_members() -> None:
    document = {"z": [None, {"y": 1}], "notification_results": [{"b": 1, "success": True, "a": 2}], "state": ""}
    body = item_body(document)
    assert json.dumps(body.document) == json.dumps(document)
    assert not body.is_container


def test_a_member_called_like_a_variable_of_ours_is_unnamed() -> None:
    attempt = {"from_": 1, "from": "ele"}
    assert parse_body(json.dumps(attempt).encode(), JSON, ExpectedBody(ATTEMPT)).document == attempt


def test_a_page_fetched_elsewhere_is_a_container() -> None:
    body = item_body({"values": [SHORT, SHORT], "metadata": {"count": "two", "any": []}, "links": 1})
    assert body.is_container
    assert body.document["values"] == [SHORT, SHORT]


def test_null_members_of_an_item_count_as_absent_at_every_level() -> None:
    attempt, result = {"message": None, "x": None}, {"success": None, "attempts": None, "notification_details": None}
    body = item_body(
        {
            **SHORT,
            "id": None,
            "timestamp": None,
            "status": None,
            "x": None,
            "notification_results": [{**result, "attempts": [attempt]}, result],
        }
    )
    assert body.document == {**SHORT, "x": None, "notification_results": [{"attempts": [{"x": None}]}, {}]}
    details = {"notification_details": {"a": None}}
    assert item_body({**SHORT, "notification_results": [details]}).document["notification_results"] == [details]


def test_null_members_of_a_container_count_as_absent() -> None:
    assert item_body({"values": [{**SHORT, "status": None}], "metadata": None}).document == {"values": [SHORT]}


@pytest.mark.parametrize("text", ["5.0", "5e0", "0.5e1", "50E-1", "5.000000000000000000000000000000"])
def test_an_integer_may_be_written_as_a_number_without_fraction(text: str) -> None:
    body = json.dumps({**RUN_SHORT, "seqNo": "?"}).replace('"?"', text).encode()
    seq_no = parse_body(body, JSON, RUN_BODY).document["seq_no"]
    assert (seq_no, type(seq_no)) == (5, int)


@pytest.mark.parametrize("text", ["9007199254740993.0", "9.007199254740993e15", "9.223372036854775807e18"])
def test_an_integer_that_may_have_been_rounded_is_refused(text: str) -> None:
    body = json.dumps({**RUN_SHORT, "id": "?"}).replace('"?"', text).encode()
    with pytest.raises(BadRequest, match="digits alone"):
        parse_body(body, JSON, RUN_BODY)


def test_null_members_of_a_run_count_as_absent() -> None:
    run = run_body({**RUN_SHORT, "summary": None, "id": None, "notificationObjects": None}).document
    assert run == {"notification_type": "WEEKLY_REPORT", "medium": "EMAIL", "status": "CREATED"}


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "*/*"])
def test_a_body_of_another_type_is_unsupported(content_type: str | None) -> None:
    with pytest.raises(UnsupportedMediaType):
        parse_body(b"{}", content_type, ExpectedBody(ITEM))


@pytest.mark.parametrize("content_type", [None, JSON, XML, "text/plain"])
def test_an_empty_body_is_a_bad_request(content_type: str | None) -> None:
    with pytest.raises(BadRequest, match="empty"):
        parse_body(b"", content_type, ExpectedBody(ITEM))


def sized(size: int, document: dict[str, Any]) -> bytes:
    """Return `document` in JSON, blanks at its end making up the size."""
    return json.dumps(document).encode().ljust(size)


def test_a_single_body_may_have_2_mib() -> None:
    assert (MAX_BODY_BYTES, MAX_CONTAINER_BYTES) == (2_097_152, 16_777_216)
    parse_body(sized(MAX_BODY_BYTES, SHORT), JSON, ITEM_BODY)
    with pytest.raises(RequestTooLarge):
        parse_body(sized(MAX_BODY_BYTES + 1, SHORT), JSON, ITEM_BODY)
    with pytest.raises(RequestTooLarge):
        parse_body(sized(MAX_BODY_BYTES + 1, RUN_SHORT), JSON, RUN_BODY)


def test_a_container_may_have_more() -> None:
    parse_body(sized(MAX_BODY_BYTES + 1, {"values": []}), JSON, ITEM_BODY)
    parse_body(sized(MAX_BODY_BYTES + 1, {"runs": []}), JSON, RUN_BODY)
    xml = b"<container><values>" + b" " * MAX_BODY_BYTES + b"</values></container>"
    assert parse_body(xml, XML, ITEM_BODY).document == {"values": []}


def test_wrong_members_of_an_xml_body_are_named_alike() -> None:
    xml = b"""<alarm_notification_history_item id="x" y="1"><timestamp>five</timestamp><notification_results>
      <notification_result><success>maybe</success></notification_result></notification_results>
      </alarm_notification_history_item>"""
    with pytest.raises(BadRequest) as raised:
        parse_body(xml, "text/xml; charset=utf-8", ITEM_BODY)
    paths = ["id", "notification_results[0].success", "state", "timestamp", "y"]
    assert sorted(named(raised.value)) == paths
