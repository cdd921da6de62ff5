"""Bodies in other charsets and content codings: stored as they were meant, or refused, never stored as other text."""

import codecs
import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from notifhist.serializers.bodies import MAX_BODY_BYTES, MAX_CONTAINER_BYTES
from tests.conftest import NOW_MS
from tests.http.helpers import CHECK, JSON, RUNS, XML, assert_fault, assert_run_error, get_json, item_at, run_of

ITEM_XML = (
    "{}<alarm_notification_history_item><timestamp>1320886800000</timestamp><state>Zürich</state>"
    "<notification_results/></alarm_notification_history_item>"
)
ITEM_JSON = json.dumps(item_at(NOW_MS, state="Zürich"), ensure_ascii=False)
UTF_8_MARK = codecs.BOM_UTF8


def declared(charset: str) -> str:
    return ITEM_XML.format(f'<?xml version="1.0" encoding="{charset}"?>')


def assert_stored(client: FlaskClient, response: TestResponse) -> None:
    assert response.status_code == 201, response.text
    assert [item["state"] for item in get_json(client, CHECK)["values"]] == ["Zürich"]


# Charsets


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/xml; charset=utf-8", declared("ISO-8859-1").encode()),
        ("application/xml;charset=UTF-8", declared("ISO-8859-1").encode()),
        ('text/xml; charset="utf-8"', declared("windows-1252").encode()),
        ("text/xml; charset=us-ascii", declared("UTF-8").encode()),
        ("text/xml; charset=iso-8859-1", declared("UTF-8").encode("latin-1")),
        ("text/xml; charset=ISO-8859-1", ITEM_XML.format("").encode("latin-1")),
        ("text/xml; charset=windows-1252", declared("utf-8").encode("cp1252")),
        ("text/xml; charset=utf-16", declared("utf-8").encode("utf-16")),
        ("text/xml; charset=utf-16", declared("utf-16").encode("utf-16-le")),
        ("text/xml; charset=utf-16", declared("utf-16").encode("utf-16-be")),
        ("text/xml; charset=utf-16le", declared("utf-16").encode("utf-16-le")),
        ("text/xml; charset=utf-16", ITEM_XML.format("").encode("utf-16-be")),
        ("text/xml; charset=iso-8859-1", UTF_8_MARK + declared("ISO-8859-1").encode()),
        ("text/xml; charset=utf-8", declared("utf-8").encode("utf-16")),
        ("text/xml", UTF_8_MARK + declared("ISO-8859-1").encode()),
        ("text/xml", declared("ISO-8859-1").encode("latin-1")),
        ("text/xml", declared("utf-8").encode()),
        ("text/xml; charset=", declared("ISO-8859-1").encode("latin-1")),
        ('text/xml; charset=""', declared("utf-8").encode()),
    ],
)
def test_of_xml_the_mark_counts_then_the_content_type_then_the_declaration(
    content_type: str, body: bytes, client: FlaskClient
) -> None:
    assert_stored(client, client.post(CHECK, data=body, content_type=content_type))


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("utf-8", ITEM_JSON.encode()),
        ("utf-8", UTF_8_MARK + ITEM_JSON.encode()),
        ("us-ascii", ITEM_JSON.encode()),
        ("iso-8859-1", ITEM_JSON.encode()),
        ("nonsense", ITEM_JSON.encode()),
        ("iso-8859-1", ITEM_JSON.encode("latin-1")),
        ("windows-1252", ITEM_JSON.encode("cp1252")),
        ("utf-16", ITEM_JSON.encode("utf-16")),
        ("utf-16le", ITEM_JSON.encode("utf-16-le")),
        ("utf-16", ITEM_JSON.encode("utf-16-be")),
        ("utf16le", ITEM_JSON.encode("utf-16-le")),
        ("UTF-16LE", codecs.BOM_UTF16_LE + ITEM_JSON.encode("utf-16-le")),
        ("utf-16", codecs.BOM_UTF16_BE + ITEM_JSON.encode("utf-16-be")),
        ("utf-32", ITEM_JSON.encode("utf-32-be")),
        ("utf-16be", json.dumps(item_at(NOW_MS, state="Zürich")).encode("utf-16-be")),
        ("utf-32", ITEM_JSON.encode("utf-32")),
    ],
)
def test_json_is_utf_8_else_of_the_charset_that_is_named(charset: str, body: bytes, client: FlaskClient) -> None:
    assert_stored(client, client.post(CHECK, data=body, content_type=f"application/json; charset={charset}"))


@pytest.mark.parametrize("media_type", [JSON, XML])
@pytest.mark.parametrize(
    "charset", ["nonsense", "utf-7", "punycode", "idna", "hex", "unicode_escape", "iso-8859-12", "x" * 200]
)
def test_a_charset_that_is_none_is_unsupported(media_type: str, charset: str, client: FlaskClient) -> None:
    body = b"\xff" + (ITEM_JSON if media_type == JSON else declared(charset)).encode()
    response = client.post(CHECK, data=body, content_type=f"{media_type}; charset={charset}")
    assert_fault(response, 415, "unsupportedMediaType")
    assert get_json(client, CHECK)["values"] == []


@pytest.mark.parametrize("media_type", [JSON, XML])
def test_a_body_that_is_not_of_its_charset_is_bad(media_type: str, client: FlaskClient) -> None:
    for charset in ("utf-8", "utf-16", "utf-16le", "euc-jp"):
        response = client.post(CHECK, data=b"\xff{<a>\xff\xff\x00", content_type=f"{media_type}; charset={charset}")
        assert_fault(response, 400, "badRequest")


def test_a_run_in_latin_1_is_stored_as_it_was_meant(client: FlaskClient) -> None:
    run = "<notification_run><notificationType>WEEKLY_REPORT</notificationType><medium>EMAIL</medium>"
    body = f"{run}<status>CREATED</status><summary>Zürich</summary></notification_run>".encode("latin-1")
    assert client.post(RUNS, data=body, content_type="text/xml; charset=iso-8859-1").status_code == 201
    assert [each["summary"] for each in get_json(client, RUNS)["runs"]] == ["Zürich"]


# Content codings


def raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP ": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": raw_deflate,
    "identity": bytes,
    "": bytes,
}


def send(client: FlaskClient, body: bytes, coding: str, url: str = CHECK, content_type: str = JSON) -> TestResponse:
    return client.post(url, data=body, content_type=content_type, headers={"Content-Encoding": coding})


@pytest.mark.parametrize("coding", PACKED)
def test_a_packed_body_is_unpacked(coding: str, client: FlaskClient) -> None:
    assert_stored(client, send(client, PACKED[coding](ITEM_JSON.encode()), coding))
    as_xml = PACKED[coding](declared("utf-8").encode())
    assert send(client, as_xml, coding, f"{CHECK}Xml", XML).status_code == 201
    assert send(client, PACKED[coding](json.dumps(run_of()).encode()), coding, RUNS).status_code == 201


def test_members_of_gzip_follow_each_other(client: FlaskClient) -> None:
    body = ITEM_JSON.encode()
    assert_stored(
        client, send(client, gzip.compress(body[:20]) + gzip.compress(b"") + gzip.compress(body[20:]), "gzip")
    )


@pytest.mark.parametrize(
    "coding",
    ["br", "zstd", "compress", "gzip, gzip", "deflate, gzip", "gzip, identity", "identity, identity", "*", "x"],
)
def test_another_coding_or_several_are_unsupported(coding: str, client: FlaskClient) -> None:
    response = send(client, gzip.compress(ITEM_JSON.encode()), coding)
    assert_fault(response, 415, "unsupportedMediaType")
    assert response.headers["Accept-Encoding"] == "gzip, deflate"
    assert_run_error(send(client, b"x", coding, RUNS), 415, "BAD_REQUEST")
    assert get_json(client, CHECK)["values"] == []


def test_another_media_type_does_not_tell_of_codings(client: FlaskClient) -> None:
    assert "Accept-Encoding" not in client.post(CHECK, data="x", content_type="text/plain").headers


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_cannot_be_unpacked_is_bad(coding: str, client: FlaskClient) -> None:
    packed = PACKED[coding](ITEM_JSON.encode())
    flipped = packed[:-1] + bytes([packed[-1] ^ 1])
    for body in (packed[:-5], packed[:9], flipped, packed + b"x", ITEM_JSON.encode(), b"\x1f\x8b", b"\x78\x9c", b"\0"):
        assert_fault(send(client, body, coding), 400, "badRequest")
        assert_run_error(send(client, body, coding, RUNS), 400, "BAD_REQUEST")
    assert get_json(client, CHECK)["values"] == []


def test_a_body_of_countless_empty_members_is_bad(client: FlaskClient) -> None:
    assert_fault(send(client, gzip.compress(b"") * 50_000, "gzip"), 400, "badRequest")


def test_limits_count_what_a_body_unpacks_to(client: FlaskClient) -> None:
    def filled(document: Any, size: int) -> bytes:
        text = json.dumps(document)
        return gzip.compress((text + " " * (size - len(text))).encode())

    single, container = item_at(NOW_MS), {"values": [item_at(NOW_MS, 1)]}
    assert send(client, filled(single, MAX_BODY_BYTES), "gzip").status_code == 201
    assert_fault(send(client, filled(single, MAX_BODY_BYTES + 1), "gzip"), 413, "requestTooLargeError")
    assert send(client, filled(container, MAX_CONTAINER_BYTES), "gzip").status_code == 201
    assert_fault(send(client, filled(container, MAX_CONTAINER_BYTES + 1), "gzip"), 413, "requestTooLargeError")
    assert_run_error(send(client, filled(run_of(), MAX_CONTAINER_BYTES + 1), "gzip", RUNS), 413, "BAD_REQUEST")


def test_a_small_body_of_gigabytes_is_too_large_in_flat_memory(client: FlaskClient) -> None:
    stream = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    sixteen_mib = stream.compress(bytes(16 * 2**20)) + stream.flush(zlib.Z_FULL_FLUSH)
    bomb = gzip.compress(b"")[:10] + sixteen_mib * 120
    assert len(bomb) < MAX_BODY_BYTES
    tracemalloc.start()
    try:
        for url in (CHECK, RUNS, f"{RUNS}/1"):
            method = "PUT" if url.endswith("1") else "POST"
            headers = {"Content-Encoding": "gzip"}
            assert client.open(url, method=method, data=bomb, content_type=JSON, headers=headers).status_code == 413
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_CONTAINER_BYTES
    finally:
        tracemalloc.stop()


def test_a_coding_without_a_body_is_ignored_where_none_is_read(client: FlaskClient) -> None:
    assert client.get(CHECK, headers={"Content-Encoding": "br"}).status_code == 200
