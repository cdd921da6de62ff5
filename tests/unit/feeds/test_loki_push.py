"""A push in protobuf, packed by snappy."""

import sys
import tracemalloc
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifhist.errors import BadRequest, UnsupportedMediaType
from notifhist.feeds import loki_push
from notifhist.feeds.loki_push import MAX_ENTRIES, read_push, unpack_snappy
from tests.feed_pushes import event_line, in_protobuf, push_of
from tests.payloads import FIRST_PUSH, packed_push, payload

LIMIT = 16 * 1024 * 1024


def test_the_vector_says_what_its_json_says() -> None:
    streams = [
        {**stream, "values": [value[:2] for value in stream["values"]]} for stream in payload(FIRST_PUSH)["streams"]
    ]
    assert read_push(unpack_snappy(packed_push(), LIMIT)) == {"streams": streams}


def test_our_own_pushes_are_like_the_vector() -> None:
    assert in_protobuf(payload(FIRST_PUSH)) == unpack_snappy(packed_push(), LIMIT)


def test_unknown_fields_are_skipped() -> None:
    push = push_of(event_line())
    assert read_push(in_protobuf(push) + b"\x7a\x03new") == push


def test_a_line_that_is_not_utf_8_does_not_cost_the_others() -> None:
    stream = b"\x0a\x02{}" + b"\x12\x04\x12\x02\xff{" + b"\x12\x04\x12\x02ok"
    body = b"\x0a" + bytes([len(stream)]) + stream
    assert read_push(body) == {"streams": [{"stream": {}, "values": [["0", "\ufffd{"], ["0", "ok"]]}]}


def test_labels_that_do_not_parse_stay_text() -> None:
    assert read_push(b"\x0a\x06\x0a\x04{a=b") == {"streams": [{"stream": "{a=b", "values": []}]}


@pytest.mark.parametrize("body", [b"\x0a", b"\x0a\x05abc", b"no protobuf", b'{"streams": []}'])
def test_what_is_no_push_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="no Loki push request"):
        read_push(body)


@pytest.mark.parametrize(
    "body", [b"\x0a\x00" * (MAX_ENTRIES + 1), b"\x0a\xc2\x9a\x0c" + b"\x12\x00" * (MAX_ENTRIES + 1)]
)
def test_a_push_has_not_too_many_streams_or_lines(body: bytes) -> None:
    with pytest.raises(BadRequest, match="too long"):
        read_push(body)


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x00" * (LIMIT // 2),
        b"\x0a\xfa\xff\xff\x07" + b"\x12\x00" * (LIMIT // 2 - 3),
        b"\x23\x24" + b"\x8a\x00\x00" * (LIMIT // 3),
        b"\x20\x00" * (LIMIT // 2),
    ],
    ids=["streams", "lines", "after a group", "unknown fields"],
)
def test_a_push_that_is_too_long_is_not_unpacked_into_messages(body: bytes) -> None:
    with patch.object(loki_push, "_push_request", side_effect=AssertionError), pytest.raises(BadRequest, match="long"):
        read_push(body)


@given(st.binary(max_size=40))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    with suppress(BadRequest):
        read_push(body)


@pytest.mark.parametrize("packed", [b"", b"\x05abc", b"\xff" * 20, b"\x80\x80\x80\x08"])
def test_what_is_no_snappy_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="snappy"):
        unpack_snappy(packed, LIMIT)


def test_nothing_is_unpacked_to_more_than_may_be() -> None:
    bomb = bytes(cramjam.snappy.compress_raw(bytes(LIMIT + 1)))
    tracemalloc.start()
    with pytest.raises(OverflowError):
        unpack_snappy(bomb, LIMIT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < LIMIT
    assert unpack_snappy(bytes(cramjam.snappy.compress_raw(bytes(LIMIT))), LIMIT) == bytes(LIMIT)


@pytest.mark.parametrize(("module", "read"), [("cramjam", unpack_snappy), ("google.protobuf.message", read_push)])
def test_without_the_extra_the_answer_says_what_to_install(
    module: str, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UnsupportedMediaType, match=r"pip install 'notifhist\[grafana\]'"):
        read(*{unpack_snappy: (b"", 0), read_push: (b"",)}[read])
