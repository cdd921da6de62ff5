"""Reading payloads."""

import pytest

from notifhist.errors import BadRequest
from notifhist.feeds.payloads import kept, read_json, ticks_of
from notifhist.schemas.fields import MAX_TICKS


@pytest.mark.parametrize(
    ("text", "ticks"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.123456789Z", 11_234_567),
        ("1970-01-01T01:00:00.5+01:00", 5_000_000),
        ("1970-01-01t00:00:00.0000001z", 1),
        ("2026-11-26T21:04:30.000418276Z", 17_957_270_700_004_182),
        ("5236-03-31T21:21:00.6846975Z", MAX_TICKS),
        ("5236-03-31T21:21:00.6846976Z", None),
        ("1969-12-31T23:59:59.9999999Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("2026-02-30T00:00:00Z", None),
        ("2026-11-26T24:04:30Z", None),
        ("2026-11-26T21:04:30", None),
        ("2026-11-26", None),
        ("٢٠٢٦-11-26T21:04:30Z", None),
        (1795727070000, None),
        (None, None),
    ],
)
def test_times(text: object, ticks: int | None) -> None:
    assert ticks_of(text) == ticks


@pytest.mark.parametrize("body", [b"{", b"NaN", b'"\\ud800"', b"\xff", b"[" * 5000, b"1e999", b""])
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_json(body)


def test_a_byte_order_mark_does_not_count() -> None:
    assert read_json(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


def test_what_is_kept_is_not_nested_too_deeply() -> None:
    value: object = "deep"
    for _ in range(500):
        value = {"a": [value]}
    flat = kept(value, 3)
    assert flat == {"a": [{"a": None}]}
