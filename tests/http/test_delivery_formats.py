"""The formats of a list of deliveries: pages in JSON and XML, and CSV and NDJSON, which people take away whole."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import NOW_MS
from tests.http.delivery_data import (
    ATTEMPT_MEMBERS,
    CSV,
    DELIVERIES,
    MEMBERS,
    NDJSON,
    TYPES,
    cells_of,
    check_of,
    ids,
    listed,
    read_csv,
    read_ndjson,
    seed,
    taken,
)
from tests.http.helpers import IN_XML, JSON, XML, assert_fault, item_at, post, read_xml

WEEK = "20111103T010000Z-20111110T010000Z"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/csv", TYPES["csv"]),
        ("application/x-ndjson", NDJSON),
        ("application/x-ndjson, text/csv;q=0.9", NDJSON),
        ("text/csv, */*;q=0.1", TYPES["csv"]),
        ("text/csv;q=0.5, application/json;q=0.4", TYPES["csv"]),
        ("*/*", JSON),
        ("", JSON),
        ("application/*", JSON),
        ("text/*", "text/xml; charset=utf-8"),
        ("text/csv, application/json", JSON),
        ("application/xml, text/csv;q=0.9", IN_XML),
    ],
)
def test_accept_chooses(client: FlaskClient, accept: str, content_type: str) -> None:
    seed(client)
    response = client.get(DELIVERIES, headers={"Accept": accept})
    assert (response.status_code, response.content_type) == (200, content_type)
    assert response.headers["Vary"] == "Accept"


@pytest.mark.parametrize("accept", [JSON, XML, CSV, NDJSON, "image/png", "*/*;q=0", ""])
def test_the_parameter_format_beats_accept(client: FlaskClient, accept: str) -> None:
    seeded = seed(client)
    for word, content_type in TYPES.items():
        response = client.get(f"{DELIVERIES}?format={word}&limit=1", headers={"Accept": accept})
        assert (response.status_code, response.content_type) == (200, content_type)
        assert response.headers["Vary"] == "Accept"
        assert seeded[0]["id"] in response.text
        disposition = f'attachment; filename="deliveries-{WEEK}.{word}"' if word in ("csv", "ndjson") else None
        assert response.headers.get("Content-Disposition") == disposition


@pytest.mark.parametrize("word", ["", "CSV", "html", "text/csv", "json,csv", "%00", "%FF"])
def test_an_unknown_format_is_refused_in_the_format_of_accept(client: FlaskClient, word: str) -> None:
    for accept in ("*/*", CSV, NDJSON, "image/png", JSON):
        fault = assert_fault(client.get(f"{DELIVERIES}?format={word}", headers={"Accept": accept}), 400, "badRequest")
        assert fault["details"].startswith("format: ")
        assert fault["details"].endswith("is none of json, xml, csv, ndjson")
    root = read_xml(client.get(f"{DELIVERIES}?format={word}", headers={"Accept": XML}), 400)
    assert root.findtext("type") == "badRequest"


def test_what_accepts_nothing_of_it_is_refused(client: FlaskClient) -> None:
    for accept in ("image/png", "text/html", "text/csv;q=0, image/*", "*/*;q=0"):
        fault = assert_fault(client.get(DELIVERIES, headers={"Accept": accept}), 406, "notAcceptable")
        assert fault["message"].endswith("application/json or application/xml or text/csv or application/x-ndjson.")
    for below in ("/counts", "/receivers"):
        for accept in (CSV, NDJSON):
            fault = assert_fault(client.get(f"{DELIVERIES}{below}", headers={"Accept": accept}), 406, "notAcceptable")
            assert fault["message"].endswith("accept application/json or application/xml.")


def test_errors_of_what_is_taken_away_are_documents(client: FlaskClient) -> None:
    for accept in (CSV, NDJSON):
        assert_fault(client.get(f"{DELIVERIES}?outcome=x", headers={"Accept": accept}), 400, "badRequest")
        assert_fault(client.get("/v1.0/other/deliveries", headers={"Accept": accept}), 403, "forbiddenError")
    assert_fault(client.get(f"{DELIVERIES}?from=x&format=csv", headers={"Accept": "image/png"}), 400, "badRequest")
    root = read_xml(client.get(f"{DELIVERIES}?from=x&format=xml", headers={"Accept": CSV}), 400)
    assert root.findtext("type") == "badRequest"
    assert_fault(client.get(f"{DELIVERIES}?from=x&format=json", headers={"Accept": XML}), 400, "badRequest")


def test_csv_has_a_header_line_and_a_row_for_each_delivery(client: FlaskClient) -> None:
    seeded = seed(client)
    response = client.get(f"{DELIVERIES}?format=csv")
    assert "Content-Length" not in response.headers
    assert "ETag" not in response.headers
    assert response.data.startswith(",".join(MEMBERS).encode() + b"\r\n")
    assert response.data.count(b"\n") == response.data.count(b"\r\n") == len(seeded) + 1
    assert read_csv(response.data) == [cells_of({**each, **quoted(each)}) for each in seeded]


def quoted(delivery: dict[str, Any]) -> dict[str, str]:
    """Return the texts of a delivery that begin a formula as CSV has them."""
    texts = {name: text for name, text in delivery.items() if isinstance(text, str)}
    return {name: f"'{text}" for name, text in texts.items() if text[:1] in tuple("=+-@\t\r\n")}


def test_ndjson_has_the_documents_of_the_pages(client: FlaskClient) -> None:
    seed(client)
    page = client.get(f"{DELIVERIES}?limit=1000").data
    lines = client.get(f"{DELIVERIES}?format=ndjson").data
    assert lines.endswith(b"}\n")
    assert b'{"values":[' + b",".join(lines.splitlines()) + b"]," in page.partition(b'"metadata"')[0]


def test_all_that_match_are_taken_in_the_order_of_the_pages(client: FlaskClient) -> None:
    post(client, check_of(), {"values": [item_at(NOW_MS - n, n, state=f"S{n % 2}") for n in range(1200)]})
    seed(client)
    for query in ("", "state=S1", "q=message", "reverse=true", f"from={NOW_MS - 600}&to={NOW_MS - 100}", "state=none"):
        expected = listed(client, query)
        assert taken(client, "ndjson", query) == expected
        assert [row["id"] for row in taken(client, "csv", query)] == ids(expected)
    everything = listed(client)
    marker = everything[700]["id"]
    assert taken(client, "ndjson", f"marker={marker}") == everything[700:]
    assert taken(client, "ndjson", f"marker={marker}&reverse=true") == everything[700::-1]


@pytest.mark.parametrize("limit", [1, 499, 500, 501, 1000])
def test_with_a_limit_no_more_than_that_are_taken(client: FlaskClient, limit: int) -> None:
    post(client, check_of(), {"values": [item_at(NOW_MS - n, n) for n in range(1001)]})
    seeded = listed(client)
    for word in ("csv", "ndjson"):
        found = ids(taken(client, word, f"limit={limit}"))
        assert found == ids(seeded[:limit])
        assert ids(taken(client, word, f"limit={limit}&marker={seeded[700]['id']}")) == ids(seeded[700:][:limit])


def test_nothing_is_a_header_line_alone(client: FlaskClient) -> None:
    for query in ("", "state=none", "from=2&to=1"):
        assert client.get(f"{DELIVERIES}?format=csv&{query}").data == ",".join(MEMBERS).encode() + b"\r\n"
        assert client.get(f"{DELIVERIES}?format=ndjson&{query}").data == b""
        header = client.get(f"{DELIVERIES}?format=csv&rows=attempts&{query}").data
        assert header == ",".join((*MEMBERS, *ATTEMPT_MEMBERS)).encode() + b"\r\n"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("", WEEK),
        ("from=0&to=2011-11-09T12:30:59.999Z", "19700101T000000Z-20111109T123059Z"),
        (f"from=-{10**30}&to={10**30}", "19700101T000000Z-52360331T212100Z"),
        ("from=5000&to=1000", "19700101T000005Z-19700101T000001Z"),
    ],
)
def test_the_file_is_named_after_its_time(client: FlaskClient, query: str, name: str) -> None:
    for word in ("csv", "ndjson"):
        disposition = client.get(f"{DELIVERIES}?format={word}&{query}").headers["Content-Disposition"]
        assert disposition == f'attachment; filename="deliveries-{name}.{word}"'


TEXTS = (
    'say "no"',
    "one,two",
    "two\r\nlines",
    "two\nlines",
    "cr\rhere",
    " blank ",
    "Zoë 東京 🚨",
    "\0\x1b",
    "",
    "'",
    '"',
)


def test_any_text_is_read_back(client: FlaskClient) -> None:
    results = [{"message": text, "success": False, "notification_id": text} for text in TEXTS]
    post(client, check_of("en,\"'东"), item_at(NOW_MS, state='"', status="=\n", notification_results=results))
    rows = {row["position"]: row for row in taken(client, "csv")}
    assert [rows[str(n)]["message"] for n in range(len(TEXTS))] == list(TEXTS)
    assert [rows[str(n)]["notification_id"] for n in range(len(TEXTS))] == list(TEXTS)
    assert {(row["entity_id"], row["state"], row["status"]) for row in rows.values()} == {("en,\"'东", '"', "'=\n")}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_text_of_a_sender_begins_a_formula(client: FlaskClient, start: str) -> None:
    text = f"{start}cmd|' /C calc'!A0"
    result = dict.fromkeys(("message", "notification_id", "notification_type"), text)
    more = {"notification_details": {"url": text}, "attempts": [{"message": text, "from": text}]}
    members = ("state", "previous_state", "status", "notification_plan_id", "transaction_id")
    place = f"{start}x" if start in "=+-@" else "=x"  # the id of a check has no controls
    item = item_at(NOW_MS, notification_results=[{**result, **more}]) | dict.fromkeys(members, text)
    post(client, check_of(place, place, place), item)
    (row,) = taken(client, "csv", "rows=attempts")
    texts = (*members, "notification_id", "notification_type", "target", "message", "attempt_message", "attempt_from")
    assert {row[name] for name in texts} == {f"'{text}"}
    assert {row[name] for name in ("entity_id", "alarm_id", "check_id")} == {f"'{place}"}
    (delivery,) = listed(client)
    assert [row[name] for name in ("id", "item_id", "outcome", "attempts", "position", "attempt")] == [
        *(delivery["id"], delivery["item_id"], "unknown", "1", "0", "1")
    ]
    assert row["timestamp"] == "2011-11-10T01:00:00.000Z"
    assert delivery["message"] == read_ndjson(client.get(f"{DELIVERIES}?format=ndjson").data)[0]["message"] == text
