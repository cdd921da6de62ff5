"""The table of bad input, third part: bodies in JSON, and what contradicts itself or what is there."""

import json
from collections.abc import Iterator
from typing import Any

from tests.http.bad_input_cases import (
    ATTEMPTS,
    BEFORE_1970,
    DATE,
    DEEP,
    FAILED,
    FORM,
    INT64,
    INTEGER,
    ITEM,
    ITEM_ID,
    LEVELS,
    MEDIUMS,
    MIB,
    OTHER_ID,
    REQUIRED,
    RUN,
    RUN_ID,
    TEXT,
    TOO_LARGE,
    UNFIT,
    UUID_4,
    Case,
    at_line,
    json_item,
    post_body,
)
from tests.http.helpers import CHECK, JSON, RUNS, run_of

_ANY_NUMBER = "Must be from -9223372036854775808 to 18446744073709551615"
_NO_JSON, _NO_UTF_8 = "The body is not JSON.", "The body is not UTF-8."


def json_cases() -> Iterator[Case]:
    for name, body, message, details in (
        ("empty", b"", "The body is empty.", ""),
        ("blanks", b"  ", _NO_JSON, "Expecting value: line 1, column 3."),
        ("no JSON", b"hello", _NO_JSON, "Expecting value: line 1, column 1."),
        ("XML for JSON", b"<a/>", _NO_JSON, "Expecting value: line 1, column 1."),
        ("truncated", b'{"state":\n"OK"', _NO_JSON, "Expecting ',' delimiter: line 2, column 5."),
        ("truncated string", b'{"state":"O', _NO_JSON, "Unterminated string starting at: line 1, column 10."),
        ("trailing text", json_item() + b" x", _NO_JSON, "Extra data: line 1, column 42."),
        ("trailing comma", b'{"state":"OK",}', _NO_JSON, at_line(1)),
        ("apostrophes", b"{'state':1}", _NO_JSON, at_line(1)),
        ("comment", b"{/**/}", _NO_JSON, at_line(1)),
        ("control in a string", b'{"state":"\n"}', _NO_JSON, "Invalid control character at: line 1, column 11."),
        (
            "repeated member",
            b'{\n "state":"",\n  "state":""}',
            "The body repeats a member.",
            '"state" again: line 3, column 3.',
        ),
        (
            "repeated by escape",
            json_item(',"x":[{"a":1,"\\u0061":2}]'),
            "The body repeats a member.",
            '"\\u0061" again: line 1, column 53.',
        ),
        ("NaN", json_item(',\n"x": NaN'), _NO_JSON, "NaN is no JSON: line 2, column 6."),
        ("Infinity", json_item(',"x":["Infinity",Infinity]'), _NO_JSON, "Infinity is no JSON: line 1, column 57."),
        ("-Infinity", b"-Infinity", _NO_JSON, "-Infinity is no JSON: line 1, column 1."),
        ("NaN and more", b"[NaNx]", _NO_JSON, "NaN is no JSON: line 1, column 2."),
        ("Infinity and more", b'{"a":Infinity1}', _NO_JSON, "Infinity is no JSON: line 1, column 6."),
        ("-Infinity and more", b'[-1, "-I",\n-Infinity-]', _NO_JSON, "-Infinity is no JSON: line 2, column 1."),
        ("NaN and a text", b'{"a\\"NaN":[1,NaN"x', _NO_JSON, "NaN is no JSON: line 1, column 14."),
        ("a minus and more", b"[-Inf]", _NO_JSON, at_line(1)),
        ("nullx", b"[nullx]", _NO_JSON, at_line(1)),
        ("UTF-16", json_item().decode().encode("utf-16"), _NO_UTF_8, "Byte 0: invalid start byte: line 1, column 1."),
        ("UTF-16 without a mark", json_item().decode().encode("utf-16-le"), _NO_JSON, at_line(1)),
        (
            "Latin-1",
            '{"é":1,\n"state":"'.encode() + b'\xe9"}',
            _NO_UTF_8,
            "Byte 18: invalid continuation byte: line 2, column 10.",
        ),
        ("zipped", b"\x1f\x8b\x08", _NO_UTF_8, "Byte 1: invalid start byte: line 1, column 2."),
        ("depth 65", json_item(',"x":' + "[" * 64 + "]" * 64), DEEP, LEVELS),
        ("depth 1000", b"[" * 1000 + b"]" * 1000, DEEP, LEVELS),
        ("depth 100,000", b"[" * 100_000 + b"]" * 100_000, DEEP, LEVELS),
        ("depth 100,000, open", b'{"a":' * 100_000, DEEP, LEVELS),
    ):
        yield post_body(f"JSON: {name}", CHECK, body, details, message)
        if name in ("no JSON", "repeated member", "depth 65"):
            yield post_body(f"JSON run: {name}", RUNS, body, details, message)
    for url in (CHECK, RUNS, ATTEMPTS):
        for root in (b"[]", b"null", b"1", b'"x"', b"true", b"[{}]"):
            yield post_body(f"root {root.decode()} {url[:4]} {url[-8:]}", url, root, "the body: Must be an object")
    for name, more, details in (
        ("1e999", ',"x":[1e999]', "x[0]: Must be a finite number"),
        ("2^64", f',"x":{2**64}', f"x: {_ANY_NUMBER}"),
        ("-2^63-1", f',"x":{{"a b":[0,{-(2**63) - 1}]}}', f'x["a b"][1]: {_ANY_NUMBER}'),
        ("5000 digits", ',"x":' + "9" * 5000, f"x: {_ANY_NUMBER}"),
        ("lone surrogate", ',"x":{"y":["\\ud800"]}', "x.y[0]: Has a lone surrogate"),
        ("lone surrogate in a name", ',"\\udc00":1', '["\\udc00"]: The name has a lone surrogate'),
    ):
        yield post_body(f"JSON: {name}", CHECK, json_item(more), details)
    yield post_body("byte order mark", CHECK, b"\xef\xbb\xbf{}", f"state: {REQUIRED}; notification_results: {REQUIRED}")
    yield post_body("everything wrong", CHECK, json.dumps(_WRONG_ITEM).encode(), "; ".join(_WRONG_ITEM_DETAILS))
    yield post_body(
        "results null", CHECK, b'{"state":"","notification_results":null}', f"notification_results: {REQUIRED}"
    )
    yield post_body("attempt", ATTEMPTS, b'{"message":1,"from":null}', f"message: {TEXT}")
    yield post_body(
        "container",
        CHECK,
        b'{"values":[%b,{},5,{"state":1,"notification_results":[]}]}' % json_item(),
        f"values[1].state: {REQUIRED}; values[1].notification_results: {REQUIRED}; "
        f"values[2]: Must be an object; values[3].state: {TEXT}",
    )
    yield post_body("container null", CHECK, b'{"values":null}', f"values: {REQUIRED}")
    yield post_body("container of a map", CHECK, b'{"values":{}}', "values: Not a valid list")
    yield post_body(
        "container in a container",
        CHECK,
        b'{"values":[%b]}' % json_item(',"values":[]'),
        "values[0].values: Reserved: it makes a body a container",
    )
    yield post_body(
        "run missing all", RUNS, b"{}", f"medium: {REQUIRED}; notificationType: {REQUIRED}; status: {REQUIRED}"
    )
    yield post_body("run everything wrong", RUNS, json.dumps(_WRONG_RUN).encode(), "; ".join(_WRONG_RUN_DETAILS))
    yield post_body("runs null", RUNS, b'{"runs":null}', f"runs: {REQUIRED}")
    yield post_body(
        "runs",
        RUNS,
        json.dumps({"runs": [run_of(), run_of(id=True), 5]}).encode(),
        f"runs[1].id: {INTEGER}; runs[2]: Must be an object",
    )
    for name, members, details in (
        ("id 2^63", {"id": 2**63}, f"id: {INT64}"),
        ("seqNo 2^31", {"seqNo": 2**31}, "seqNo: Must be from -2147483648 to 2147483647"),
        ("boolean as number", {"deliveredCount": True}, f"deliveredCount: {INTEGER}"),
        ("1.5 as integer", {"seqNo": 1.5}, f"seqNo: {INTEGER}"),
        ("2^31 as 2147483648.0", {"seqNo": 2.0**31}, "seqNo: Must be from -2147483648 to 2147483647"),
        ("unnamed member", {"foo": 1}, "foo: Unknown field"),
        ("Python's name", {"seq_no": 1}, "seq_no: Unknown field"),
        ("U+0000", {"summary": "a\0b"}, "summary: U+0000 is not allowed"),
        ("a date of ms", {"dateCreated": "1722268288071"}, f"dateCreated: {DATE}"),
    ):
        yield post_body(f"run {name}", RUNS, json.dumps(run_of(**members)).encode(), details)
    for name, url, body in (
        ("3 MB item", CHECK, json_item(f',"x":"{"a" * 3 * MIB}"')),
        ("3 MB attempt", ATTEMPTS, b'{"message":"%b"}' % (b"a" * 3 * MIB)),
        ("17 MB container", CHECK, b'{"values":[%b]}' % b",".join([json_item(f',"x":"{"a" * MIB}"')] * 17)),
        ("3 MB run", RUNS, b'{"summary":"%b"}' % (b"a" * 3 * MIB)),
    ):
        yield post_body(name, url, body, "", TOO_LARGE, 413, "BAD_REQUEST" if url == RUNS else "requestTooLargeError")


_WRONG_ITEM = {
    "id": 1,
    "timestamp": "1",
    "notification_plan_id": 1,
    "transaction_id": [],
    "status": None,
    "state": {},
    "previous_state": True,
    "notification_results": [
        {"notification_id": 1, "notification_type": None, "notification_details": [], "in_progress": "yes"},
        {"message": 1.5, "success": 1, "attempts": {}},
        {"attempts": [{}, "x", {"message": 3, "from": []}]},
        5,
    ],
    "suppressions": ["sp", 1, None],
}
_WRONG_ITEM_DETAILS = (
    "id: Not a valid string",
    "timestamp: Not a valid integer",
    "notification_plan_id: Not a valid string",
    "transaction_id: Not a valid string",
    "state: Not a valid string",
    "previous_state: Not a valid string",
    "notification_results[0].notification_id: Not a valid string",
    "notification_results[0].notification_details: Not a valid mapping type",
    "notification_results[0].in_progress: Not a valid boolean",
    "notification_results[1].message: Not a valid string",
    "notification_results[1].success: Not a valid boolean",
    "notification_results[1].attempts: Not a valid list",
    "notification_results[2].attempts[1]: Must be an object",
    "notification_results[2].attempts[2].message: Not a valid string",
    "notification_results[2].attempts[2].from: Not a valid string",
    "notification_results[3]: Must be an object",
    "suppressions[1]: Not a valid string",
    "suppressions[2]: Field may not be null",
)
_WRONG_RUN: dict[str, Any] = {
    "dateCreated": 5,
    "deliveredCount": "1",
    "errorMessage": [],
    "failedReason": "X",
    "medium": "SMS",
    "notificationObjects": [{"id": "1", "name": None, "type": "X"}, 5, {"id": 2**63, "name": "\0", "foo": 1}],
    "notificationType": "WEEKLY_REPORT",
    "originalRunId": -(2**63) - 1 + 1,
    "status": None,
}
_WRONG_RUN_DETAILS = (
    f"dateCreated: {DATE}",
    "deliveredCount: Not a valid integer",
    "errorMessage: Not a valid string",
    f"failedReason: Must be one of: {FAILED}",
    f"medium: Must be one of: {MEDIUMS}",
    "notificationObjects[0].id: Not a valid integer",
    "notificationObjects[0].name: Missing data for required field",
    "notificationObjects[0].type: Must be one of: ENTITY, SCORECARD, INITIATIVE",
    "notificationObjects[1]: Must be an object",
    f"notificationObjects[2].id: {INT64}",
    "notificationObjects[2].name: U+0000 is not allowed",
    "notificationObjects[2].type: Missing data for required field",
    "notificationObjects[2].foo: Unknown field",
    "status: Missing data for required field",
)


def conflict_cases() -> Iterator[Case]:
    """Yield bodies that contradict themselves, their URL or what is there."""
    for name, more, details in (
        ("id no UUID", ',"id":"x"', f"id: {FORM}"),
        ("id of version 4", f',"id":"{UUID_4}"', "id: Not a version-1 UUID"),
        ("id before 1970", f',"id":"{BEFORE_1970}"', "id: Its time is before 1970"),
        ("id and timestamp disagree", f',"id":"{OTHER_ID}","timestamp":5', "timestamp: The id's time is 1320885544875"),
        ("timestamp negative", ',"timestamp":-1', "timestamp: Must be from 0 to 103072857660684"),
        ("timestamp too late", ',"timestamp":103072857660685', "timestamp: Must be from 0 to 103072857660684"),
        ("timestamp 1.5", ',"timestamp":1.5', f"timestamp: {INTEGER}"),
        ("timestamp 1e-1", ',"timestamp":1e-1', f"timestamp: {INTEGER}"),
        ("timestamp 1e15", ',"timestamp":1e15', "timestamp: Must be from 0 to 103072857660684"),
        ("timestamp true", ',"timestamp":true', f"timestamp: {INTEGER}"),
        ("suppressions as a text", ',"suppressions":"sp"', "suppressions: Not a valid list"),
    ):
        yield post_body(name, CHECK, json_item(more), details)
    again = json_item(f',"id":"{ITEM_ID}"')
    twice = b'{"values":[%b,%b]}' % (json_item(f',"id":"{OTHER_ID}"'), json_item(f',"id":"{OTHER_ID}","x":1'))
    for name, body, item_id, content_type in (
        ("same id, other content", again, ITEM_ID, JSON),
        ("same id in a container", b'{"values":[%b,%b]}' % (json_item(), again), ITEM_ID, JSON),
        ("same id twice in a container", twice, OTHER_ID, JSON),
    ):
        yield post_body(
            name,
            CHECK,
            body,
            f"{item_id} is there already; PUT replaces it.",
            "An item of this id exists with other content.",
            400,
            "indexCardinalityConstraintViolation",
            content_type,
        )
    for name, url, body, details in (
        ("PUT of another id", ITEM, json_item(f',"id":"{OTHER_ID}"'), f"id: The URL says {ITEM_ID}."),
        ("PUT of another timestamp", ITEM, json_item(',"timestamp":5'), "timestamp: The id's time is 1320885544875"),
        (
            "PUT of a container",
            ITEM,
            b'{"values":[]}',
            f"state: {REQUIRED}; notification_results: {REQUIRED}; values: Reserved: it makes a body a container",
        ),
        ("PUT of a run's other id", RUN, json.dumps(run_of(id=2)).encode(), f"id: The URL says {RUN_ID}."),
    ):
        yield Case(name, url, details, UNFIT, method="PUT", body=body, content_type=JSON)
    for name, document, number in (
        ("run: same id, other content", run_of(id=RUN_ID, seqNo=9), RUN_ID),
        ("run: same id in many", {"runs": [run_of(id=7), run_of(id=RUN_ID, seqNo=9)]}, RUN_ID),
        ("run: same id twice", {"runs": [run_of(id=7), run_of(id=7, seqNo=9)]}, 7),
    ):
        yield post_body(
            name,
            RUNS,
            json.dumps(document).encode(),
            f"{number} is there already; PUT replaces it.",
            "A run of this id exists with other content.",
            409,
            "CONFLICT",
        )
